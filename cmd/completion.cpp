// xdplb completion: a completion script, made from the commands and options themselves, so that it cannot fall
// behind. For bash: `. <(xdplb completion)`; zsh takes the same after `autoload bashcompinit && bashcompinit`.
#include <CLI/CLI.hpp>

#include "cmd/command.h"

namespace xdplb {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands({})) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  }
  return words;
}

// Every command with its subcommands, as the words that lead to it: "vip", "vip add".
void print_known(const CLI::App& app, const std::string& path) {
  for (const CLI::App* sub : app.get_subcommands({})) {
    const std::string below = path.empty() ? sub->get_name() : path + " " + sub->get_name();
    fmt::print("|\"{}\"", below);
    print_known(*sub, below);
  }
}

// One line of the case statement per command: what may follow it.
void print_cases(const CLI::App& app, const std::string& path) {
  fmt::print("    \"{}\") words=\"{}\" ;;\n", path, words_of(app));
  for (const CLI::App* sub : app.get_subcommands({})) {
    print_cases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name());
  }
}

// A word that names no command is an option or its value; bash splits --option=value into three words.
constexpr std::string_view kHead = R"sh(_xdplb() {
  local current="${COMP_WORDS[COMP_CWORD]}" path="" words="" word last=""
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [ "$word" = "=" ] || last="$word"
    case "${path:+$path }$word" in
      "")sh";

constexpr std::string_view kMiddle = R"sh() path="${path:+$path }$word" ;;
    esac
  done
  [ "$current" != "=" ] || current=""
  case "$path" in
)sh";

constexpr std::string_view kTail = R"sh(  esac
  case "$last" in
    --idev|--edev) words="$(cd /sys/class/net && echo *)" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _xdplb xdplb
)sh";

}  // namespace

Action setup_completion(CLI::App& app) {
  return [&app]() -> Result<int> {
    const CLI::App* root = &app;
    while (root->get_parent() != nullptr) root = root->get_parent();
    fmt::print("{}", kHead);
    print_known(*root, "");
    fmt::print("{}", kMiddle);
    print_cases(*root, "");
    fmt::print("{}", kTail);
    return kExitDone;
  };
}

}  // namespace xdplb
