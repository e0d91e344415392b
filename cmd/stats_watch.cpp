#include "cmd/stats_watch.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include "user/ctl/event_loop.h"
#include "user/ctl/rates.h"
#include "user/ctl/stats_segment.h"

namespace xdplb {
namespace {

constexpr const char* kEnter = "\033[?1049h\033[?25l";  // a screen of our own, without a cursor
constexpr const char* kLeave = "\033[?25h\033[?1049l";
constexpr const char* kHome = "\033[H";
constexpr const char* kClearLine = "\033[K";
constexpr const char* kClearBelow = "\033[J";
constexpr char kCtrlC = 3;

// Keys come at once and are not shown, until the object goes.
class RawKeys {
 public:
  RawKeys() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    set_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    fmt::print("{}", kEnter);
  }
  ~RawKeys() {
    fmt::print("{}", kLeave);
    std::fflush(stdout);
    if (set_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawKeys(const RawKeys&) = delete;
  RawKeys& operator=(const RawKeys&) = delete;

 private:
  termios before_{};
  bool set_ = false;
};

ScreenSize screen_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row - 1u};  // the cursor rests on the last line
}

class Screen {
 public:
  explicit Screen(const ShmName& name) : name_(name) { show(); }

  void show() {
    const auto now = read_stats(name_);
    const std::string text = now ? rates_text(last_, *now, screen_size()) : now.error().message + '\n';
    if (now) last_ = *now;
    fmt::print("{}", kHome);
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      fmt::print("{}{}\n", text.substr(at, end - at), kClearLine);
      at = end + 1;
    }
    fmt::print("{}", kClearBelow);
    std::fflush(stdout);
  }

 private:
  ShmName name_;
  DaemonStats last_;
};

Result<void> watch_on_terminal(const ShmName& name, uint64_t period_ns) {
  auto loop = EventLoop::create(LoopBackend::epoll);
  if (!loop) return loop.error();
  EventLoop& events = **loop;
  auto signals = events.on_signals({SIGINT, SIGTERM, SIGHUP}, [&events](int) { events.stop(); });
  if (!signals) return signals.error();
  const RawKeys keys;
  Screen screen(name);
  auto timer = events.every(period_ns, [&screen] { screen.show(); });
  if (!timer) return timer.error();
  auto pressed = events.watch_fd(STDIN_FILENO, [&events] {
    char key = 'q';  // also where the terminal went away
    [[maybe_unused]] const ssize_t length = ::read(STDIN_FILENO, &key, 1);
    if (key == 'q' || key == 'Q' || key == kCtrlC) events.stop();
  });
  if (!pressed) return pressed.error();
  return events.run();
}

}  // namespace

Result<void> watch_stats(const ShmName& name, uint64_t period_ns) {
  const auto before = read_stats(name);
  if (!before) return before.error();
  if (::isatty(STDOUT_FILENO) != 0 && ::isatty(STDIN_FILENO) != 0) return watch_on_terminal(name, period_ns);
  std::this_thread::sleep_for(std::chrono::nanoseconds{period_ns});
  const auto now = read_stats(name);
  if (!now) return now.error();
  fmt::print("{}", rates_text(*before, *now, screen_size()));
  return {};
}

}  // namespace xdplb
