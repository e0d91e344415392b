// What is asked of live flows, over tables in memory and without a device: listed, found, flushed by their owners.
#include "user/path/flow_queries.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "tests/support/flow_fixture.h"
#include "tests/unit/ctl/shm_test_dir.h"
#include "user/base/clock.h"
#include "user/net/flow_key_text.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint32_t kFlows = 65536;
constexpr uint32_t kWorkers = 3;

// Tables of three workers; flow n is in table n % 3 and has target n % 4.
class Rig {
 public:
  Rig() : config_(make_default_config(997, 4)) {
    auto store = FlowStore::open(dir_.name(), kFlows, config_, monotonic_ns());
    REQUIRE(store);
    slots_.emplace(std::move(*store), 1);
    REQUIRE(slots_->grow_to(kWorkers));
    queries_.emplace(*slots_, config_);
  }

  void enter(uint32_t first, uint32_t count) {
    const FlowPolicy policy = make_flow_policy(config_.services[0], kFlows);
    for (uint32_t n = first; n < first + count; ++n) {
      FlowTable& table = slots_->flows->table(n % kWorkers);
      const FlowOwner owner{{static_cast<uint16_t>(n % 4), config_.targets[n % 4].epoch}, 0};
      const FlowKey key = flow_key(n, 17);
      REQUIRE(table.enter(table.hash(key), key, 0, owner, policy, monotonic_ns()).outcome == FlowOutcome::entered);
    }
  }
  [[nodiscard]] bool has(uint32_t n) {
    const FlowTable& table = slots_->flows->table(n % kWorkers);
    return static_cast<bool>(table.find(table.hash(flow_key(n, 17)), monotonic_ns()));
  }
  // All pages, as the command asks for them.
  FlowsPage list(const std::vector<std::string>& filter, uint32_t lines_max = 100) {
    FlowsPage all;
    FlowsRequest request{filter, {}, lines_max};
    for (pages_ = 1;; ++pages_) {
      const auto page = queries_->list(request);
      REQUIRE(page);
      all.counts.add(page->counts);
      for (const FlowLine& line : page->flows) all.flows.push_back(line);
      if (!page->next) return all;
      request.from = *page->next;
      request.lines_max = lines_max - static_cast<uint32_t>(all.flows.size());
    }
  }
  FlushState flush(const std::vector<std::string>& filter, size_t workers) {
    const auto number = queries_->flush(filter);
    REQUIRE(number);
    FlushState state;
    for (int i = 0; i < 100'000 && !state.done; ++i) {
      queries_->advance(workers, monotonic_ns());
      state = queries_->flush_state(*number).value();
    }
    REQUIRE(state.done);
    return state;
  }

  ShmTestDir dir_;
  Config config_;
  std::optional<WorkerSlots> slots_;
  std::optional<FlowQueries> queries_;
  int pages_ = 0;
};

}  // namespace

TEST_CASE("flow queries: a listing has every flow once, in as many pages as it takes") {
  Rig rig;
  rig.enter(0, 3000);
  const FlowsPage all = rig.list({}, 5000);
  CHECK(rig.pages_ >= 3);
  CHECK(all.counts.total == 3000);
  std::set<std::string> sources;
  for (const FlowLine& line : all.flows) sources.insert(line.src);
  CHECK(sources.size() == 3000);
  CHECK(all.counts.by_target == std::map<std::string, uint64_t>{{"0", 750}, {"1", 750}, {"2", 750}, {"3", 750}});
  CHECK(all.counts.by_worker == std::map<std::string, uint64_t>{{"0", 1000}, {"1", 1000}, {"2", 1000}});
  CHECK(all.counts.by_state == std::map<std::string, uint64_t>{{"udp", 3000}});
  CHECK(all.counts.by_service == std::map<std::string, uint64_t>{{"default", 3000}});

  const FlowsPage some = rig.list({"target=1,2", "worker=0"}, 10);
  CHECK(some.flows.size() == 10);
  CHECK(some.counts.total == 500);
  for (const FlowLine& line : some.flows) CHECK(((line.target == "1" || line.target == "2") && line.worker == 0));
  CHECK(rig.list({"target=0"}, 0).flows.empty());
  CHECK_FALSE(rig.queries_->list({{"target=9"}, {}, 1}));
  CHECK_FALSE(rig.queries_->list({{}, {0, ~0u}, 1}));
  CHECK(rig.queries_->list({{}, {99, 0}, 1})->counts.total == 0);
}

TEST_CASE("flow queries: one flow by its key") {
  Rig rig;
  rig.enter(0, 100);
  const auto lines = rig.queries_->find(flow_key(17, 17));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].src == src_text(flow_key(17, 17)));
  CHECK(lines[0].target == "1");
  CHECK(lines[0].worker == 2);
  CHECK(lines[0].idle_ns < kSecond);
  CHECK(rig.queries_->find(flow_key(17, 6)).empty());
  CHECK(rig.queries_->find(flow_key(100, 17)).empty());
}

TEST_CASE("flow queries: without workers, the control thread flushes what was asked for and nothing else") {
  Rig rig;
  rig.enter(0, 1200);
  CHECK(rig.flush({"target=3"}, 0).flushed == 300);
  for (uint32_t n = 0; n < 1200; ++n) REQUIRE(rig.has(n) == (n % 4 != 3));
  CHECK(rig.flush({"target=3"}, 0).flushed == 0);
  CHECK(rig.flush({}, 0).flushed == 900);
  CHECK(rig.list({}).counts.total == 0);
}

TEST_CASE("flow queries: one flush at a time, and each is known by its number") {
  Rig rig;
  rig.enter(0, 10);
  const auto first = rig.queries_->flush({});
  REQUIRE(first);
  const auto second = rig.queries_->flush({});
  REQUIRE_FALSE(second);
  CHECK(second.error().message == "another flush is under way; try again when it has ended");
  CHECK_FALSE(rig.queries_->flush_state(*first)->done);
  CHECK_FALSE(rig.queries_->flush_state(*first + 1));
  CHECK_FALSE(rig.queries_->flush_state(0));
  CHECK_FALSE(rig.queries_->flush({"target=9"}));
}

TEST_CASE("flow queries: running workers flush their own, a few a turn, while they go on entering flows") {
  Rig rig;
  rig.enter(0, 30000);
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (uint32_t w = 0; w < 2; ++w) {
    workers.emplace_back([&rig, &stop, w] {
      const FlowPolicy policy = make_flow_policy(rig.config_.services[0], kFlows);
      FlowTable& table = rig.slots_->flows->table(w);
      FlushBox& box = *rig.slots_->flush[w];
      for (uint32_t n = 0; !stop.load(); ++n) {
        const FlowKey key = flow_key(40000 + w + n % 5000 * kWorkers, 17);
        const uint64_t now_ns = monotonic_ns(), hash = table.hash(key);
        const FlowHit hit = table.find(hash, now_ns);
        if (!hit) table.enter(hash, key, 0, {{0, rig.config_.targets[0].epoch}, 0}, policy, now_ns);
        if (hit) table.touch(hit, 0, policy, now_ns);
        box.serve(table, 16);
      }
    });
  }
  const FlushState state = rig.flush({"target=1"}, 2);  // the third table has no worker
  stop = true;
  for (std::thread& worker : workers) worker.join();
  CHECK(state.flushed == 7500);
  for (uint32_t n = 0; n < 30000; ++n) REQUIRE(rig.has(n) == (n % 4 != 1));
  for (const auto& box : rig.slots_->flush) {
    CHECK(box->is_idle());
    CHECK_FALSE(box->expects_more());
  }
}

TEST_CASE("flow queries: a tally has every flow once, by service, target and VIP") {
  Rig rig;
  rig.enter(0, 2000);
  rig.config_.targets[3].epoch ^= 1;  // another target under its id
  // The VIP of the flows, twice: the longer one counts.
  const IpPrefix all = parse_prefix("0.0.0.0/0").value(), one{flow_key(0, 17).dst, 128};
  rig.config_.services[0].vips = {all, one};
  const auto tally_all = [&] {
    std::map<std::tuple<std::string, std::string, std::string>, uint64_t> sums;
    std::optional<FlowCursor> at = FlowCursor{};
    while (at) {
      const auto page = rig.queries_->tally(*at);
      REQUIRE(page);
      for (const FlowTally& t : page->tallies) sums[{t.service, t.target, t.vip}] += t.flows;
      at = page->next;
    }
    return sums;
  };
  uint64_t total = 0, gone = 0, with_one = 0;
  for (const auto& [of, flows] : tally_all()) {
    const auto& [service, target, vip] = of;
    CHECK(service == "default");
    total += flows;
    gone += target.empty() ? flows : 0;
    with_one += vip == to_string(one) ? flows : 0;
    if (!target.empty()) CHECK(target != "3");
  }
  CHECK(total == 2000);
  CHECK(gone == 500);
  CHECK(with_one >= 1);
  rig.config_.services[0].vips.clear();
  for (const auto& [of, flows] : tally_all()) CHECK(std::get<2>(of).empty());
  CHECK_FALSE(rig.queries_->tally({0, UINT32_MAX}));
}

}  // namespace xdplb
