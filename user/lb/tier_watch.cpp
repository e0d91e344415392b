#include "user/lb/tier_watch.h"

#include <algorithm>

namespace xdplb {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {'x', 'd', 'p', 'l', 'b', 't', 'r', 1};  // the last: version
constexpr size_t kLeavesAt = 8, kAgreementAt = 16, kHearsAt = 24, kEnd = 32;
static_assert(kEnd <= std::tuple_size_v<TierHelloBytes>);

void put_u64(TierHelloBytes& bytes, size_t at, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (56 - 8 * i));
}

uint64_t get_u64(std::span<const uint8_t> bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | bytes[at + i];
  return value;
}

}  // namespace

TierHelloBytes encode_hello(const TierHello& hello) {
  TierHelloBytes bytes{};
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  bytes[kLeavesAt] = hello.leaves ? 1 : 0;
  put_u64(bytes, kAgreementAt, hello.agreement);
  put_u64(bytes, kHearsAt, hello.hears);
  return bytes;
}

std::optional<TierHello> decode_hello(std::span<const uint8_t> bytes) {
  if (bytes.size() < kEnd || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) return std::nullopt;
  return TierHello{get_u64(bytes, kAgreementAt), get_u64(bytes, kHearsAt), bytes[kLeavesAt] != 0};
}

bool TierWatch::heard(const MacAddr& source, const TierHello& hello, uint64_t now_ns) {
  if (!tier_.is_peer(source)) return false;
  uint32_t member = 0;
  while (tier_.mac(member) != source) ++member;
  peers_[member] = {now_ns, hello};
  return true;
}

template <typename Holds>
TierMask TierWatch::peers_where(uint64_t now_ns, Holds holds) const {
  TierMask mask = 0;
  for (uint32_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    if (!peer.heard_ns || now_ns - *peer.heard_ns >= kTierGoneAfterNs || peer.last.leaves) continue;
    if (holds(peer.last)) mask |= TierMask{1} << i;
  }
  return mask;
}

TierHello TierWatch::hello(uint64_t now_ns) const {
  const TierMask hears = peers_where(now_ns, [](const TierHello&) { return true; });
  return {.agreement = tier_.agreement(), .hears = hears};
}

TierMask TierWatch::live(uint64_t now_ns) const {
  const TierMask own = TierMask{1} << tier_.own_index();
  return peers_where(
      now_ns, [&](const TierHello& last) { return last.agreement == tier_.agreement() && (last.hears & own) != 0; });
}

TierMask TierWatch::disagreeing(uint64_t now_ns) const {
  return peers_where(now_ns, [&](const TierHello& last) { return last.agreement != tier_.agreement(); });
}

}  // namespace xdplb
