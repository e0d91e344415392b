// Options that take a whole number. CLI11 itself takes -1 for a huge one and "0x10" for 16, and says of what it
// cannot take only that; here a message names the option, the value and what would do: `Invalid --batch [-1]: 1 to
// 4096`.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace xdplb {

struct Numbers {
  uint64_t least = 0;
  uint64_t most = std::numeric_limits<uint64_t>::max();
  std::string_view words = {};       // what would do, where "LEAST to MOST" does not say it
  bool (*fits)(uint64_t) = nullptr;  // beside the bounds
};

// Throws what CLI11 does of wrong usage.
uint64_t parse_number(const std::string& option, const std::string& text, const Numbers& numbers);

template <typename T>
CLI::Option* add_number(CLI::App& app, const std::string& option, T& value, Numbers numbers,
                        const std::string& help) {
  numbers.most = std::min(numbers.most, static_cast<uint64_t>(std::numeric_limits<T>::max()));
  const auto take = [&value, option, numbers](const std::string& text) {
    value = static_cast<T>(parse_number(option, text, numbers));
  };
  return app.add_option_function<std::string>(option, take, help)
      ->type_name("NUMBER")
      ->default_str(std::to_string(value));
}

// A list of them, with commas.
template <typename T>
CLI::Option* add_numbers(CLI::App& app, const std::string& option, std::vector<T>& values, Numbers numbers,
                         const std::string& help) {
  numbers.most = std::min(numbers.most, static_cast<uint64_t>(std::numeric_limits<T>::max()));
  const auto take = [&values, option, numbers](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) values.push_back(static_cast<T>(parse_number(option, text, numbers)));
  };
  return app.add_option_function<std::vector<std::string>>(option, take, help)->type_name("NUMBER")->delimiter(',');
}

}  // namespace xdplb
