// Decisions about fragments: by example, against a map, and by several workers at once.
#include "user/lb/fragment_table.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace xdplb {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kTtl = 2 * kSecond;
constexpr uint64_t kStart = 1000 * kSecond;

FragmentDecision decision(uint16_t target, uint32_t flow = 1) {
  return {.target = {.id = target, .epoch = 5}, .service = 2, .flow = flow};
}

struct Rig {
  explicit Rig(uint32_t datagrams = 1000) : memory(fragment_buckets(datagrams)), table(memory, 0x5eed) {}
  FragmentOutcome publish(uint64_t n, const FragmentDecision& d, uint64_t now_ns = kStart) {
    return table.publish(hash(n), d, now_ns, kTtl).outcome;
  }
  std::optional<FragmentDecision> find(uint64_t n, uint64_t now_ns = kStart) { return table.find(hash(n), now_ns); }
  static uint64_t hash(uint64_t n) { return hash_bytes(&n, sizeof n, 1); }

  std::vector<FragmentBucket> memory;
  FragmentTable table;
};

}  // namespace

TEST_CASE("fragment table: the first decides, the others follow", "[fragment]") {
  Rig rig;
  CHECK_FALSE(rig.find(1));
  CHECK(rig.publish(1, decision(7)) == FragmentOutcome::published);
  CHECK(rig.find(1) == decision(7));
  CHECK_FALSE(rig.find(2));
  // Another worker's handle sees the same.
  const FragmentTable other(rig.memory, 0x5eed);
  CHECK(other.find(Rig::hash(1), kStart) == decision(7));
}

TEST_CASE("fragment table: a decision lasts for its time", "[fragment]") {
  Rig rig;
  rig.publish(1, decision(7));
  CHECK(rig.find(1, kStart + kTtl));
  CHECK_FALSE(rig.find(1, kStart + kTtl + kSecond / 10));
  CHECK(rig.publish(1, decision(8), kStart + kTtl + kSecond / 10) == FragmentOutcome::published);
  CHECK(rig.find(1, kStart + kTtl + kSecond / 10) == decision(8));
}

TEST_CASE("fragment table: a decision that is over stays over, for years", "[fragment]") {
  Rig rig;
  rig.publish(1, decision(7));
  for (uint64_t days = 1; days < 20'000; days += 7) REQUIRE_FALSE(rig.find(1, kStart + days * 86400 * kSecond));
  // And the time in which it is in force does not end where 32 bits of ticks do.
  const uint64_t wrap = (uint64_t{1} << 32) << kTickShift;
  rig.publish(2, decision(8), wrap - kSecond);
  CHECK(rig.find(2, wrap - kSecond) == decision(8));
  CHECK(rig.find(2, wrap + kSecond / 2) == decision(8));
  CHECK_FALSE(rig.find(2, wrap + 2 * kSecond));
}

TEST_CASE("fragment table: a duplicate of the first fragment follows it", "[fragment]") {
  Rig rig;
  rig.publish(1, decision(7));
  const FragmentPublished again = rig.table.publish(Rig::hash(1), decision(8), kStart, kTtl);
  CHECK(again.outcome == FragmentOutcome::known);
  CHECK(again.decision == decision(7));
  CHECK(rig.find(1) == decision(7));
}

TEST_CASE("fragment table: an identification that is used again names another datagram", "[fragment]") {
  Rig rig;
  rig.publish(1, decision(7, 100));
  CHECK(rig.publish(1, decision(8, 101)) == FragmentOutcome::published);
  CHECK(rig.find(1) == decision(8, 101));
}

TEST_CASE("fragment table: a full bucket forgets the decision that ends first", "[fragment]") {
  Rig rig(kFragmentWays);  // one bucket
  for (uint64_t n = 0; n < kFragmentWays; ++n) {
    CHECK(rig.publish(n, decision(1), kStart + (n == 3 ? 0 : n + 1) * kSecond / 10) == FragmentOutcome::published);
  }
  CHECK(rig.publish(9, decision(2), kStart + kSecond) == FragmentOutcome::evicted);
  CHECK(rig.find(9, kStart + kSecond) == decision(2));
  for (uint64_t n = 0; n < kFragmentWays; ++n) CHECK(rig.find(n, kStart + kSecond).has_value() == (n != 3));
  // What has expired goes before anything that has not.
  CHECK(rig.publish(10, decision(3), kStart + kTtl + 3 * kSecond / 20) == FragmentOutcome::published);
}

TEST_CASE("fragment table: nobody waits for a bucket that is held", "[fragment]") {
  Rig rig(kFragmentWays);
  rig.publish(1, decision(7));
  rig.memory[0].lock = 1;  // its holder was descheduled
  CHECK(rig.publish(2, decision(8)) == FragmentOutcome::busy);
  CHECK_FALSE(rig.find(1));
  rig.memory[0].lock = 0;
  CHECK(rig.find(1) == decision(7));
}

TEST_CASE("fragment table: what makes the key", "[fragment]") {
  PacketInfo info;
  info.ip_version = 4;
  info.fragment_id = 77;
  info.key.protocol = 17;
  info.key.src_port = 4000;  // the first fragment's: no part of the key
  const Rig rig;
  const uint64_t first = rig.table.hash(fragment_key(info));
  info.key.src_port = 0;
  CHECK(rig.table.hash(fragment_key(info)) == first);
  info.key.protocol = 6;
  CHECK(rig.table.hash(fragment_key(info)) != first);
  info.key.protocol = 17;
  info.fragment_id = 78;
  CHECK(rig.table.hash(fragment_key(info)) != first);
  info.ip_version = 6;
  const uint64_t v6 = rig.table.hash(fragment_key(info));
  info.key.protocol = 0;
  CHECK(rig.table.hash(fragment_key(info)) == v6);
  info.key.src.bytes[15] = 1;
  CHECK(rig.table.hash(fragment_key(info)) != v6);
}

// What the table gives is what was published last and has not expired; it may have forgotten what was evicted.
TEST_CASE("fragment table: a million operations answer as a map does", "[fragment][model]") {
  struct Known {
    FragmentDecision decision;
    uint64_t expires_ns;
  };
  Rig rig(200);
  std::map<uint64_t, Known> model;
  std::mt19937_64 random(3);
  uint64_t now_ns = kStart, forgotten = 0, found = 0, evicted = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const uint64_t n = random() % 400;
    auto known = model.find(n);
    if (known != model.end() && known->second.expires_ns < now_ns) known = model.end();
    if (random() % 4 == 0) {
      const FragmentDecision d = decision(static_cast<uint16_t>(random() % 9), random() % 8 == 0);
      const FragmentPublished p = rig.table.publish(Rig::hash(n), d, now_ns, kTtl);
      REQUIRE(p.outcome != FragmentOutcome::busy);
      evicted += p.outcome == FragmentOutcome::evicted;
      if (p.outcome == FragmentOutcome::known) {
        REQUIRE(known != model.end());
        REQUIRE(p.decision == known->second.decision);
      } else {
        REQUIRE(p.decision == d);
        model[n] = {.decision = d, .expires_ns = now_ns + kTtl};
      }
    } else if (const auto d = rig.find(n, now_ns)) {
      ++found;
      REQUIRE(known != model.end());
      REQUIRE(*d == known->second.decision);
    } else if (known != model.end()) {
      ++forgotten;
      model.erase(known);
    }
    if (random() % 100 == 0) now_ns += kSecond / 4;
  }
  CHECK(found > 100'000);
  CHECK(forgotten > 0);
  CHECK(forgotten <= evicted);  // nothing is forgotten without an eviction
}

TEST_CASE("fragment table: workers on the same buckets never read half a decision", "[fragment][threads]") {
  Rig rig(3 * kFragmentWays);
  std::atomic<uint64_t> wrong{0}, found{0};  // relaxed: sums, read after the join
  auto work = [&](uint64_t seed) {
    FragmentTable table(rig.memory, 0x5eed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 100'000; ++i) {
      const uint64_t n = random() % 40;
      const auto target = static_cast<uint16_t>(n * 3);
      if (random() % 2 == 0) {
        table.publish(Rig::hash(n), decision(target, static_cast<uint32_t>(n)), kStart, kTtl);
      } else if (const auto d = table.find(Rig::hash(n), kStart)) {
        found.fetch_add(1, std::memory_order_relaxed);
        if (!(*d == decision(target, static_cast<uint32_t>(n)))) wrong.fetch_add(1, std::memory_order_relaxed);
      }
    }
  };
  std::thread one(work, 1), two(work, 2), three(work, 3);
  one.join();
  two.join();
  three.join();
  CHECK(wrong.load(std::memory_order_relaxed) == 0);
  CHECK(found.load(std::memory_order_relaxed) > 0);
}

}  // namespace xdplb
