// Reason: why a packet was dropped (reasons.def), as data. Hot path: one byte per packet.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace xdplb {

enum class Reason : uint8_t {
  none,
#define X(name, description) name,
#include "user/base/reasons.def"
#undef X
};

struct ReasonText {
  std::string_view name;
  std::string_view description;
};

inline constexpr std::array kReasonTexts = {
    ReasonText{"none", "forwarded"},
#define X(name, description) ReasonText{#name, description},
#include "user/base/reasons.def"
#undef X
};

inline constexpr size_t kReasonCount = kReasonTexts.size();

inline constexpr std::string_view reason_name(Reason reason) {
  return kReasonTexts[static_cast<size_t>(reason)].name;
}

}  // namespace xdplb
