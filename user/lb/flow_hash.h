// FlowHash: where a flow lies in the flow tables, and its tag there. Keyed by the secret of the tables: whoever does
// not know that cannot choose flows that meet in one bucket, or pass for one another.
//
// What that rests on. The key goes through NH, the hash of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway 1999):
// each pair of words is added to two secret words and multiplied in full, and the products are summed. Any two
// different keys have the same sum for at most one in 2^64 choices of the secret words, whatever the keys are. (The
// words are drawn from the 64 bits of the secret by SplitMix64; nobody sees them.) The sum is folded into 64
// bits by one more multiplication with two secret words; that its bits are then evenly spread is experience (it is
// the last step of wyhash) and not proof. Hashes are never shown to anybody.
//
// It is not the steering hash (user/net/flow_key.h), on which balancers agree.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "user/lb/backend.h"
#include "user/net/flow_key.h"

namespace xdplb {

class FlowHash {
 public:
  explicit constexpr FlowHash(uint64_t secret) {
    for (uint64_t& word : secret_) word = mix_bits(secret += 0x9e3779b97f4a7c15u);
  }

  [[nodiscard]] uint64_t operator()(const FlowKey& key) const {
    const Wide sum = multiply(word(key, 0) + secret_[0], word(key, 1) + secret_[1]) +
                     multiply(word(key, 2) + secret_[2], word(key, 3) + secret_[3]) +
                     multiply(word(key, 4) + secret_[4], secret_[5]);
    const Wide folded =
        multiply(static_cast<uint64_t>(sum) ^ secret_[6], static_cast<uint64_t>(sum >> 64) ^ secret_[7]);
    return static_cast<uint64_t>(folded) ^ static_cast<uint64_t>(folded >> 64);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static uint64_t word(const FlowKey& key, size_t i) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const uint8_t*>(&key) + i * sizeof word, sizeof word);
    return word;
  }
  static Wide multiply(uint64_t a, uint64_t b) { return Wide{a} * b; }

  std::array<uint64_t, 8> secret_{};
};

}  // namespace xdplb
