#include "user/base/log.h"

#include <cstdlib>
#include <string>

#include <unistd.h>

namespace xdplb {
namespace {

struct LevelText {
  const char* journal_prefix;
  const char* word;
};

LevelText level_text(LogLevel level) {
  switch (level) {
    case LogLevel::error: return {"<3>", "error: "};
    case LogLevel::warning: return {"<4>", "warning: "};
    case LogLevel::info: return {"<6>", ""};
    case LogLevel::debug: return {"<7>", "debug: "};
  }
  return {"", ""};
}

}  // namespace

void log_line(LogLevel level, std::string_view text) {
  // systemd sets JOURNAL_STREAM for a unit whose output goes to the journal (systemd.exec(5)).
  static const bool to_journal = std::getenv("JOURNAL_STREAM") != nullptr;
  const LevelText prefix = level_text(level);
  std::string line = fmt::format("{}{}{}\n", to_journal ? prefix.journal_prefix : "", prefix.word, text);
  // One write, so that lines of several threads do not mix. A log that cannot be written is not worth failing for.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace xdplb
