// Bytes as hexadecimal digits, for JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "user/base/result.h"

namespace xdplb {

std::string to_hex(const std::vector<uint8_t>& bytes);
// Error where it is not pairs of digits.
Result<std::vector<uint8_t>> from_hex(std::string_view text);

}  // namespace xdplb
