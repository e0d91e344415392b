// What a capture takes of a worker's batches: filters, the ring, and two threads at it.
#include "user/path/capture_tap.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/packet.h"

namespace xdplb {
namespace {

using test::operator+;
using test::Bytes;

// A batch of packets as they are after steering: n bytes of payload tell them apart.
class Rig {
 public:
  void add(Fate fate, uint16_t service, uint16_t target, Reason reason = Reason::none, unsigned payload = 8) {
    frames_.push_back(test::ether(0x0800) + test::ipv4(IPPROTO_TCP, test::tcp(1000, 80, 0x10, test::fill(payload))));
    const uint32_t i = batch_->count++;
    batch_->packets.reason[i] = parse_packet(frames_.back(), batch_->packets.info[i]);
    batch_->packets.fate[i] = fate;
    batch_->packets.service[i] = service;
    batch_->packets.target[i] = target;
    batch_->packets.flow[i] = FlowUse::hit;
    if (fate == Fate::drop) batch_->packets.reason[i] = reason;
  }
  // One turn of the worker: what is decided, what rewriting changes, the end.
  void turn() {
    for (uint32_t i = 0; i < batch_->count; ++i) {
      batch_->data[i] = frames_[i].data();
      batch_->frames[i] = {{0}, static_cast<uint32_t>(frames_[i].size())};
    }
    if (tap_.is_looking()) tap_.on_decided(*batch_, 77);
    for (uint32_t i = 0; i < batch_->count; ++i) {
      if (batch_->packets.fate[i] != Fate::forward) continue;
      std::fill_n(frames_[i].begin(), 12, uint8_t{0xee});
      frames_[i][14 + 20 + 16] ^= 0xff;
    }
    if (late_drop_) batch_->packets.drop(0, Reason::tx_full);
    tap_.on_batch(*batch_);
  }
  std::vector<CaptureRecord> capture(const CaptureFilter& filter) {
    tap_.begin(std::make_unique<CaptureSession>(filter, 64, 128));
    turn();
    std::vector<CaptureRecord> records;
    CaptureRing& ring = tap_.session()->ring;
    for (auto front = ring.front(); front; front = ring.front()) {
      records.push_back(*front->record);
      ring.pop();
    }
    tap_.end();
    CHECK(tap_.collect());
    return records;
  }
  size_t count(const CaptureFilter& filter) { return capture(filter).size(); }

  CaptureTap tap_;
  std::vector<Bytes> frames_;
  std::unique_ptr<Batch> batch_ = std::make_unique<Batch>();
  bool late_drop_ = false;
};

CaptureFilter of_vip(const char* vip) {
  CaptureFilter filter;
  filter.vips = {parse_prefix(vip).value()};
  return filter;
}

}  // namespace

TEST_CASE("capture ring: in order, cut to its length; what finds no room is lost and counted") {
  CaptureRing ring(4, 16);
  CHECK_FALSE(ring.front());
  const auto write = [&](uint8_t n) {
    CaptureRecord record;
    record.time_ns = n;
    return ring.write(record, std::vector<uint8_t>(n, n));
  };
  uint8_t written = 10, read = 10;
  for (int round = 0; round < 100; ++round) {
    while (write(written)) ++written;
    CHECK(static_cast<uint8_t>(written - read) == 4);
    for (int n = 0; n < 3; ++n, ++read) {
      const auto front = ring.front();
      REQUIRE(front);
      CHECK(front->record->time_ns == read);
      CHECK(front->record->len_bytes == read);
      CHECK(front->frame.size() == std::min<size_t>(read, 16));
      for (const uint8_t byte : front->frame) CHECK(byte == read);
      ring.pop();
    }
  }
  CHECK(ring.lost() == 100);
}

TEST_CASE("capture: by VIP, service, target and reason, and all of them at once") {
  Rig rig;
  rig.add(Fate::forward, 1, 5);
  rig.add(Fate::forward, 2, 6);
  rig.add(Fate::drop, 1, 5, Reason::no_target);
  rig.add(Fate::drop, kNoService, 0, Reason::ip_ttl);
  rig.add(Fate::hold, 1, 5);
  rig.add(Fate::peer, kNoService, 0);
  CHECK(rig.count({}) == 5);  // what is held comes again
  CHECK(rig.count(of_vip("10.0.0.0/32")) == 5);
  CHECK(rig.count(of_vip("10.0.0.1/32")) == 0);
  CaptureFilter two_vips = of_vip("10.0.0.1/32");
  two_vips.vips.push_back(parse_prefix("10.0.0.0/31").value());
  CHECK(rig.count(two_vips) == 5);
  CHECK(rig.count({.vips = {}, .services = {1}, .targets = {}, .reasons = {}}) == 2);
  CHECK(rig.count({.vips = {}, .services = {}, .targets = {5}, .reasons = {}}) == 1);
  CHECK(rig.count({.vips = {}, .services = {}, .targets = {}, .reasons = {Reason::no_target}}) == 1);
  CHECK(rig.count({.vips = {}, .services = {2, 1}, .targets = {}, .reasons = {}}) == 3);
  CHECK(rig.count({.vips = {}, .services = {}, .targets = {5, 6}, .reasons = {}}) == 2);
  CHECK(rig.count({.vips = {}, .services = {}, .targets = {}, .reasons = {Reason::ip_ttl, Reason::no_target}}) == 2);
  CHECK(rig.count({.vips = {}, .services = {2}, .targets = {}, .reasons = {Reason::no_target}}) == 0);
  CHECK(rig.count(
            {.vips = of_vip("10.0.0.0/8").vips, .services = {1}, .targets = {}, .reasons = {Reason::no_target}}) ==
        1);
}

TEST_CASE("capture: the frame as it left, and what it was before") {
  Rig rig;
  rig.add(Fate::forward, 1, 5);
  const Bytes received = rig.frames_[0];
  const auto records = rig.capture({});
  REQUIRE(records.size() == 1);
  const CaptureRecord& record = records[0];
  CHECK(record.time_ns == 77);
  CHECK(record.target == 5);
  CHECK(record.flow == FlowUse::hit);
  CHECK(std::equal(record.macs_received.begin(), record.macs_received.end(), received.begin()));
  CHECK(record.checksum_at == 14 + 20 + 16);
  CHECK(std::equal(record.checksum_received.begin(), record.checksum_received.end(), received.begin() + 50));
  CHECK(rig.frames_[0] != received);
}

TEST_CASE("capture: a packet that could not be sent is a drop, whatever had been decided") {
  Rig rig;
  rig.add(Fate::forward, 1, 5);
  rig.late_drop_ = true;
  const auto records = rig.capture({.vips = {}, .services = {}, .targets = {5}, .reasons = {Reason::tx_full}});
  REQUIRE(records.size() == 1);
  CHECK(records[0].fate == Fate::drop);
  CHECK(records[0].target == kNoTarget);
}

TEST_CASE("capture: a held fragment that is given up") {
  CaptureTap tap;
  CaptureFilter filter = of_vip("10.0.0.0/32");
  filter.reasons = {Reason::fragment_timeout};
  tap.begin(std::make_unique<CaptureSession>(filter, 8, 64));
  test::Ipv4Options options;
  options.fragment = 5;
  const Bytes frame = test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::fill(32), options);
  tap.on_held_drop({}, frame, Reason::fragment_overflow);
  CHECK_FALSE(tap.session()->ring.front());
  tap.on_held_drop({}, frame, Reason::fragment_timeout);
  REQUIRE(tap.session()->ring.front());
  CHECK(tap.session()->ring.front()->record->reason == Reason::fragment_timeout);
  tap.end();
  CHECK(tap.collect());
  tap.on_held_drop({}, frame, Reason::fragment_timeout);  // nobody looks
}

TEST_CASE("capture: begun, read and ended while the worker goes on") {
  Rig rig;
  for (uint16_t n = 0; n < 8; ++n) rig.add(Fate::forward, 1, n);
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      if (!rig.tap_.is_looking()) {
        std::this_thread::yield();
        continue;
      }
      rig.turn();
    }
  });
  uint64_t read = 0;
  for (int round = 0; round < 50; ++round) {
    while (!rig.tap_.collect()) std::this_thread::yield();
    rig.tap_.begin(std::make_unique<CaptureSession>(CaptureFilter{}, 16, 128));
    CaptureRing& ring = rig.tap_.session()->ring;
    for (int n = 0; n < 40;) {
      const auto front = ring.front();
      if (!front) continue;
      CHECK(front->record->target == static_cast<uint16_t>(front->record->target & 7));
      CHECK(front->frame.size() == front->record->captured);
      ring.pop();
      ++read;
      ++n;
    }
    rig.tap_.end();
  }
  stop = true;
  worker.join();
  CHECK(rig.tap_.collect());
  CHECK(read == 50 * 40);
}

}  // namespace xdplb
