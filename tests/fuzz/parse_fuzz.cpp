// Any bytes as a frame: no read beyond it (AddressSanitizer watches), and every answer keeps the invariants. What is
// accepted also goes through the completion of its checksum, which may write nothing but that field.
#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "tests/support/packet.h"
#include "tests/support/parse_invariants.h"
#include "user/base/check.h"
#include "user/net/checksum.h"
#include "user/net/parse.h"

namespace {

using namespace xdplb;

void check_parse(std::span<uint8_t> frame) {
  PacketInfo info;
  const Reason reason = parse_packet(frame, info);
  XDPLB_CHECK(test::broken_invariant(frame, reason, info) == nullptr);
  if (reason != Reason::none) return;

  const test::Bytes before(frame.begin(), frame.end());
  const bool partial = has_partial_checksum(frame.data(), info);
  const bool completed = complete_checksum(frame, info);
  XDPLB_CHECK(partial == completed);
  size_t changed = 0;
  for (size_t i = 0; i < before.size(); ++i) changed += frame[i] != before[i] ? 1 : 0;
  XDPLB_CHECK(changed <= (completed ? 2u : 0u));
  PacketInfo again;
  XDPLB_CHECK(parse_packet(frame, again) == reason && test::same_info(info, again));
}

}  // namespace

XDPLB_FUZZ_TARGET(parse) {
  const test::ExactBytes frame(std::span(data, size));
  check_parse(frame.span());
  // No fuzzer guesses a checksum.
  test::repair_ipv4_checksum(frame.span());
  check_parse(frame.span());
}
