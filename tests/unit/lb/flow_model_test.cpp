// A million random operations on a flow table, each answer compared with a map's.
//
// The model knows nothing of buckets, ticks or tags. Where the table may refuse for want of room, the model only
// checks that the refusal was possible.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/support/flow_fixture.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint16_t kServices = 3;

struct ModelFlow {
  FlowOwner owner;
  FlowState state;
  uint64_t expires_ns;
};

class ModelTest {
 public:
  ModelTest(uint32_t flows, uint32_t keys, uint64_t seed)
      : memory_(flows), table_(make(memory_, flows)), keys_(keys), random_(seed) {
    policies_[0] = test_policy(flows / 8, flows / 64);
    policies_[1] = test_policy(flows, 2);
    policies_[2] = test_policy(flows * 2, flows * 2);
  }

  void run(uint32_t operations) {
    for (uint32_t i = 0; i < operations; ++i) {
      const uint64_t what = random_() % 1000;
      if (what < 970) {
        packet(static_cast<uint32_t>(random_() % keys_));
      } else if (what < 990) {
        now_ns_ += random_() % 3 * kSecond;
      } else if (what < 994) {
        table_.sweep(static_cast<uint32_t>(random_() % 50), now_ns_);
      } else if (what < 999) {
        flush(static_cast<uint32_t>(random_()) % table_.reader().slots());
      } else if (random_() % 10 == 0) {
        sweep_all_and_compare();
      }
    }
    sweep_all_and_compare();
    CHECK(outcomes_[FlowOutcome::entered] > operations / 100);
    CHECK(outcomes_[FlowOutcome::refused_quota] > 0);
    CHECK(outcomes_[FlowOutcome::refused_embryonic] > 0);
    CHECK(outcomes_[FlowOutcome::not_tracked] > 0);
  }
  uint64_t refused_full() { return outcomes_[FlowOutcome::refused_full]; }

 private:
  static FlowTable make(const FlowMemory& memory, uint32_t flows) {
    Result<FlowTable> made = FlowTable::create(memory.bytes(), flows, 0x5eed);
    return std::move(made).value();
  }
  static FlowKey key_of(uint32_t n) { return flow_key(n, n % 10 < 7 ? 6 : n % 10 < 9 ? 17 : 50); }
  static uint16_t service_of_key(uint32_t n) { return static_cast<uint16_t>(n % kServices); }
  [[nodiscard]] uint64_t timeout_ns(FlowState state) const {
    const uint64_t half_seconds[kFlowStates] = {0, 61, 41, 1801, 31, 11, 121, 101};
    return half_seconds[static_cast<size_t>(state)] * 500'000'000;
  }

  void packet(uint32_t n) {
    const uint8_t all_flags[] = {kTcpSyn,           kTcpAck, kTcpAck,           kTcpAck,
                                 kTcpFin | kTcpAck, kTcpRst, kTcpSyn | kTcpAck, 0};
    const uint8_t flags = all_flags[random_() % 8];
    const FlowKey key = key_of(n);
    const uint64_t hash = table_.hash(key);
    const FlowPolicy& policy = policies_[service_of_key(n)];
    const FlowHit hit = table_.find(hash, now_ns_);
    auto in_model = model_.find(n);
    const bool live = in_model != model_.end() && in_model->second.expires_ns > now_ns_;
    REQUIRE(bool(hit) == live);  // in particular: nothing live was evicted
    if (live) {
      ModelFlow& flow = in_model->second;
      REQUIRE(hit.target() == flow.owner.target);
      REQUIRE(hit.service == flow.owner.service);
      REQUIRE(hit.state == flow.state);
      const bool stale_target = random_() % 50 == 0;
      if (!stale_target && !(key.protocol == 6 && starts_anew(hit.state, flags))) {
        REQUIRE(table_.touch(hit, flags, policy, now_ns_));
        flow.state = next_state(flow.state, flags);
        flow.expires_ns = now_ns_ + timeout_ns(flow.state);
        return;
      }
      table_.remove(hit);
      model_.erase(in_model);
    }
    enter(n, key, hash, flags, policy);
  }

  void enter(uint32_t n, const FlowKey& key, uint64_t hash, uint8_t flags, const FlowPolicy& policy) {
    const FlowOwner owner = {.target = {.id = static_cast<uint16_t>(random_() % 8), .epoch = 7},
                             .service = service_of_key(n)};
    const uint32_t occupied = table_.reader().live_of_service(owner.service);
    const uint32_t embryonic = table_.reader().embryonic_of_service(owner.service);
    const FlowEntry entry = table_.enter(hash, key, flags, owner, policy, now_ns_);
    ++outcomes_[entry.outcome];
    const FlowState state = first_state(key.protocol, flags);
    switch (entry.outcome) {
      case FlowOutcome::entered:
        REQUIRE(occupied < policy.flows_max);
        REQUIRE((state != FlowState::embryonic || embryonic < policy.embryonic_max));
        model_[n] = {.owner = owner, .state = state, .expires_ns = now_ns_ + timeout_ns(state)};
        break;
      case FlowOutcome::refused_quota: REQUIRE(occupied >= policy.flows_max); break;
      case FlowOutcome::refused_embryonic:
        REQUIRE(state == FlowState::embryonic);
        REQUIRE(embryonic >= policy.embryonic_max);
        break;
      case FlowOutcome::refused_full: check_full(hash); break;
      case FlowOutcome::not_tracked: REQUIRE(state == FlowState::none); break;
      case FlowOutcome::existed: FAIL("the key was found missing just before");
    }
  }

  // There must be as many live flows that could lie in the two buckets of the hash (or the one, if they are the same)
  // as these hold.
  void check_full(uint64_t hash) {
    const uint32_t buckets = table_.reader().slots() / kBucketWays;
    const uint32_t near = near_bucket(hash, buckets), far = far_bucket(hash, buckets);
    uint32_t rivals = 0;
    for (const auto& [n, flow] : model_) {
      const uint64_t other = table_.hash(key_of(n));
      bool rival = false;
      for (const uint32_t b : {near_bucket(other, buckets), far_bucket(other, buckets)})
        rival |= b == near || b == far;
      rivals += rival && flow.expires_ns > now_ns_;
    }
    REQUIRE(rivals >= (near == far ? 1 : 2) * kBucketWays);
  }

  void flush(uint32_t slot) {
    const auto record = table_.reader().read(slot, now_ns_);
    if (!record) return;
    REQUIRE(table_.flush({&record->handle, 1}) == 1);
    for (auto it = model_.begin(); it != model_.end(); ++it) {
      if (key_of(it->first) == record->key) {
        REQUIRE(it->second.expires_ns > now_ns_);
        REQUIRE(record->target == it->second.owner.target);
        REQUIRE(record->state == it->second.state);
        model_.erase(it);
        return;
      }
    }
    FAIL("listed a flow that nobody entered");
  }

  void sweep_all_and_compare() {
    table_.sweep(~0u, now_ns_);
    std::erase_if(model_, [&](const auto& item) { return item.second.expires_ns <= now_ns_; });
    const FlowReader& reader = table_.reader();
    std::array<uint32_t, kServices> live{}, embryonic{};
    std::array<uint32_t, 8> targets{};
    for (const auto& [n, flow] : model_) {
      ++live[flow.owner.service];
      embryonic[flow.owner.service] += flow.state == FlowState::embryonic;
      ++targets[flow.owner.target.id];
    }
    REQUIRE(reader.counter(FlowCounter::live) == model_.size());
    for (uint16_t s = 0; s < kServices; ++s) {
      REQUIRE(reader.live_of_service(s) == live[s]);
      REQUIRE(reader.embryonic_of_service(s) == embryonic[s]);
    }
    for (uint16_t t = 0; t < 8; ++t) REQUIRE(reader.live_of_target({.id = t, .epoch = 7}) == targets[t]);
    uint32_t listed = 0;
    for (uint32_t slot = 0; slot < reader.slots(); ++slot) listed += reader.read(slot, now_ns_).has_value();
    REQUIRE(listed == model_.size());
    REQUIRE(reader.counter(FlowCounter::created) ==
            model_.size() + reader.counter(FlowCounter::expired) + reader.counter(FlowCounter::removed));
  }

  FlowMemory memory_;
  FlowTable table_;
  uint32_t keys_;
  std::mt19937_64 random_;
  std::array<FlowPolicy, kServices> policies_;
  std::map<uint32_t, ModelFlow> model_;
  std::map<FlowOutcome, uint64_t> outcomes_;
  uint64_t now_ns_ =
      (uint64_t{0xffffffff} << kTickShift) / kSecond * kSecond - 100 * kSecond;  // near the tick's wrap
};

}  // namespace

TEST_CASE("flow model: a table with room answers as a map does", "[flow][model]") {
  ModelTest test(512, 700, 1);
  test.run(700'000);
}

TEST_CASE("flow model: an overcrowded table refuses, and answers as a map does", "[flow][model]") {
  ModelTest test(64, 1000, 2);
  test.run(300'000);
  CHECK(test.refused_full() > 0);
}

}  // namespace xdplb
