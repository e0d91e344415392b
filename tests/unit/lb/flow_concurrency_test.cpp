// One worker writes, another thread looks: it never sees a flow with another's target. Meant for ThreadSanitizer, but
// the answers are checked in any build.
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "tests/support/flow_fixture.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint32_t kFlows = 64;  // few slots, so that they change hands all the time
constexpr uint32_t kKeys = 300;

FlowOwner owner_of(const FlowKey& key) {
  return {.target = {.id = static_cast<uint16_t>(key.src_port * 7), .epoch = static_cast<uint16_t>(key.src_port * 3)},
          .service = static_cast<uint16_t>(key.src_port % 8)};
}

// One writer's turn: enter, touch, remove and flush at random, while the clock makes others expire.
void write_some(FlowTable& table, std::mt19937_64& random, uint64_t& now_ns) {
  static const FlowPolicy policy = test_policy(~0u, ~0u);
  const FlowKey key = flow_key(static_cast<uint32_t>(random() % kKeys));
  const uint64_t hash = table.hash(key);
  const FlowHit hit = table.find(hash, now_ns);
  if (!hit) {
    table.enter(hash, key, kTcpAck, owner_of(key), policy, now_ns);
  } else if (random() % 4 == 0) {
    table.remove(hit);
  } else {
    table.touch(hit, random() % 2 == 0 ? kTcpFin : kTcpAck, policy, now_ns);
  }
  if (random() % 16 == 0) now_ns += kSecond;
  if (random() % 16 == 0) table.sweep(2, now_ns);
}

}  // namespace

TEST_CASE("flow table: a reader never sees a torn entry", "[flow][threads]") {
  const FlowMemory memory(kFlows);
  FlowTable table = *FlowTable::create(memory.bytes(), kFlows, 0x5eed);
  const FlowReader reader = *FlowReader::open(memory.bytes());
  // relaxed: ends the loop, orders nothing; the partner is the load in the writer's loop.
  std::atomic<bool> done{false};
  std::thread writer([&] {
    std::mt19937_64 random(1);
    uint64_t now_ns = 1000 * kSecond;
    while (!done.load(std::memory_order_relaxed)) {
      for (int i = 0; i < 100; ++i) write_some(table, random, now_ns);
    }
  });
  uint64_t found = 0, listed = 0, wrong = 0;
  std::mt19937_64 random(2);
  for (int round = 0; found + listed < 200'000 && round < 20'000'000; ++round) {
    const FlowKey key = flow_key(static_cast<uint32_t>(random() % kKeys));
    // The clock stands still here: what is long expired for the writer is still live for us, which is the worst case.
    if (const FlowHit hit = reader.find(reader.hash(key), 1000 * kSecond)) {
      ++found;
      wrong += !(hit.target() == owner_of(key).target) || hit.service != owner_of(key).service;
    }
    const auto slot = static_cast<uint32_t>(random() % reader.slots());
    if (const auto record = reader.read(slot, 1000 * kSecond)) {
      ++listed;
      wrong += !(record->target == owner_of(record->key).target) || record->service != owner_of(record->key).service;
    }
    wrong += reader.counter(FlowCounter::live) > reader.slots();
  }
  done.store(true, std::memory_order_relaxed);
  writer.join();
  CHECK(found > 0);
  CHECK(listed > 0);
  CHECK(wrong == 0);
}

// A flow that is never removed is found at every moment, however often its state changes and others make it move from
// its near to its far bucket.
TEST_CASE("flow table: a reader never misses a flow that is there", "[flow][threads]") {
  const FlowMemory memory(kFlows);
  FlowTable table = *FlowTable::create(memory.bytes(), kFlows, 0x5eed);
  const FlowReader reader = *FlowReader::open(memory.bytes());
  const FlowPolicy policy = test_policy(~0u, ~0u);
  std::vector<FlowKey> kept;
  for (uint32_t n = 0; n < 60; ++n) {
    kept.push_back(flow_key(100'000 + n));
    table.enter(table.hash(kept.back()), kept.back(), kTcpAck, owner_of(kept.back()), policy, kSecond);
  }
  std::atomic<bool> done{false};  // relaxed, as above
  std::thread writer([&] {
    std::mt19937_64 random(3);
    while (!done.load(std::memory_order_relaxed)) {
      const FlowKey key = flow_key(static_cast<uint32_t>(random() % kKeys));
      const FlowHit hit = table.find(table.hash(key), kSecond);
      if (hit) table.remove(hit);
      if (!hit) table.enter(table.hash(key), key, kTcpAck, owner_of(key), policy, kSecond);
      const uint64_t hash = table.hash(kept[random() % kept.size()]);
      table.touch(table.find(hash, kSecond), random() % 2 == 0 ? kTcpRst : kTcpAck, policy, kSecond);
    }
  });
  uint64_t missed = 0;
  for (uint32_t round = 0; round < 300'000; ++round) {
    missed += !reader.find(reader.hash(kept[round % kept.size()]), kSecond);
  }
  done.store(true, std::memory_order_relaxed);
  writer.join();
  CHECK(missed == 0);
}

}  // namespace xdplb
