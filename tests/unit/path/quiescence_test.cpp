#include "user/path/quiescence.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

namespace xdplb {
namespace {

std::unique_ptr<const Snapshot> snapshot(uint64_t version) {
  auto s = std::make_unique<Snapshot>();
  s->version = version;
  s->hash_seed = version * 3;  // so that a reader can tell a whole snapshot from freed memory
  return s;
}

TEST_CASE("a worker that is at work must move on before an old snapshot goes; one that sleeps need not") {
  SnapshotPublisher publisher(snapshot(1));
  WorkerEpoch awake, asleep;
  WorkerEpoch* const workers[] = {&awake, &asleep};
  CHECK(publisher.collect(workers));
  CHECK(publisher.acquire(awake)->version == 1);
  publisher.publish(snapshot(2));
  CHECK_FALSE(publisher.collect(workers));
  CHECK(publisher.acquire(awake)->version == 2);
  CHECK(publisher.collect(workers));
  publisher.publish(snapshot(3));
  SnapshotPublisher::release(awake);
  CHECK(publisher.collect(workers));
  CHECK(publisher.acquire(asleep)->version == 3);
}

// Run by ThreadSanitizer and AddressSanitizer: a snapshot freed too early is a use after free here.
TEST_CASE("workers never see a freed snapshot, however often one is published") {
  SnapshotPublisher publisher(snapshot(1));
  WorkerEpoch epochs[2];
  WorkerEpoch* const workers[] = {&epochs[0], &epochs[1]};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> turns{0};
  const auto work = [&](WorkerEpoch& epoch, bool sleeps) {
    uint64_t last = 0;
    while (!stop.load()) {
      const Snapshot* s = publisher.acquire(epoch);
      if (s->hash_seed != s->version * 3 || s->version < last) std::abort();
      last = s->version;
      if (sleeps) SnapshotPublisher::release(epoch);
      turns.fetch_add(1);
    }
    SnapshotPublisher::release(epoch);
  };
  std::thread first([&] { work(epochs[0], false); });
  std::thread second([&] { work(epochs[1], true); });
  for (uint64_t version = 2; version < 3000; ++version) {
    publisher.publish(snapshot(version));
    publisher.collect(workers);
  }
  while (turns.load() < 1000) std::this_thread::yield();
  stop.store(true);
  first.join();
  second.join();
  CHECK(publisher.collect(workers));
}

}  // namespace
}  // namespace xdplb
