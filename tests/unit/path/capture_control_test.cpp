// A capture's life, and the words that go with its packets.
#include "user/path/capture_control.h"

#include <catch2/catch.hpp>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/base/clock.h"

namespace xdplb {
namespace {

class Rig {
 public:
  Rig() : config_(make_default_config(997, 2)) {
    options_.ingress = {"eth2"};
    options_.egress = "eth1";
    auto store = FlowStore::open(dir_.name(), 64, config_, monotonic_ns());
    REQUIRE(store);
    slots_.emplace(std::move(*store), 1);
    REQUIRE(slots_->grow_to(2));
    control_.emplace(*slots_, config_, options_);
  }
  uint64_t start() {
    const auto started = control_->start({{}, {}, {}, {}, 128, 60});
    REQUIRE(started);
    CHECK(started->ingress == "eth2");
    CHECK(started->egress == "eth1");
    return started->number;
  }
  void write(size_t worker, Fate fate, uint64_t time_ns, Reason reason = Reason::none) {
    CaptureRecord record;
    record.time_ns = time_ns;
    record.fate = fate;
    record.reason = reason;
    record.service = 0;
    record.target = fate == Fate::forward ? 1 : kNoTarget;
    record.flow = FlowUse::entered;
    record.peer = 3;
    record.macs_received.fill(0x11);
    slots_->taps[worker]->session()->ring.write(record, std::vector<uint8_t>(60, 0x22));
  }
  [[nodiscard]] bool is_off() const {
    return std::none_of(slots_->taps.begin(), slots_->taps.end(), [](const auto& tap) { return tap->is_looking(); });
  }

  ShmTestDir dir_;
  Config config_;
  LbOptions options_;
  std::optional<WorkerSlots> slots_;
  std::optional<CaptureControl> control_;
};

}  // namespace

TEST_CASE("capture control: packets of all workers by time, received and sent, each with its comment") {
  Rig rig;
  CHECK(rig.is_off());
  const uint64_t number = rig.start();
  CHECK_FALSE(rig.is_off());
  rig.write(0, Fate::forward, 30);
  rig.write(1, Fate::drop, 10, Reason::no_target);
  rig.write(1, Fate::peer, 20);
  const auto page = rig.control_->read(number);
  REQUIRE(page);
  REQUIRE(page->packets.size() == 3);
  CHECK(page->packets[0].comment == "service default, dropped: no_target: no usable target in the service, worker 1");
  CHECK(page->packets[0].sent.empty());
  CHECK(page->packets[1].comment == "service default, to balancer 3 of the tier, worker 1");
  CHECK(page->packets[2].comment == "service default, target 1, flow new, worker 0");
  CHECK(page->packets[2].received[0] == 0x11);
  CHECK(page->packets[2].received[12] == 0x22);
  CHECK(page->packets[2].sent == std::vector<uint8_t>(60, 0x22));
  CHECK_FALSE(page->ended);
  CHECK(rig.control_->read(number)->packets.empty());
  CHECK(rig.control_->stop(number));
  CHECK(rig.is_off());
  CHECK_FALSE(rig.control_->read(number));
  CHECK_FALSE(rig.control_->stop(number));
}

TEST_CASE("capture control: a page is bounded, and says that there is more") {
  Rig rig;
  const uint64_t number = rig.start();
  for (uint64_t n = 0; n < 2 * kCapturePagePackets; ++n) rig.write(0, Fate::forward, n);
  size_t packets = 0, pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = rig.control_->read(number);
    REQUIRE(page);
    CHECK(page->packets.size() <= kCapturePagePackets);
    packets += page->packets.size();
    more = page->more;
  }
  CHECK(packets == 2 * kCapturePagePackets);
  CHECK(pages >= 2);
}

TEST_CASE("capture control: one at a time; what nobody reads ends") {
  Rig rig;
  const uint64_t first = rig.start();
  CHECK(rig.control_->start({{}, {}, {}, {}, 128, 60}).error().message.find("one at a time") != std::string::npos);
  rig.control_->advance(monotonic_ns() + kCaptureUnreadNs / 2);
  CHECK_FALSE(rig.is_off());
  rig.control_->advance(monotonic_ns() + kCaptureUnreadNs + kNsPerSec);
  CHECK(rig.is_off());
  CHECK_FALSE(rig.control_->read(first));
  CHECK(rig.start() == first + 1);
}

TEST_CASE("capture control: workers that come later are captured, too") {
  Rig rig;
  rig.start();
  REQUIRE(rig.slots_->grow_to(3));
  CHECK_FALSE(rig.slots_->taps[2]->is_looking());
  rig.control_->advance(monotonic_ns());
  CHECK(rig.slots_->taps[2]->is_looking());
}

TEST_CASE("capture control: what cannot be asked") {
  Rig rig;
  const CaptureRequest good{{"10.0.0.0/8", "1000::"}, {"default"}, {"1", "0"}, {"no_target", "ip_ttl"}, 128, 60};
  const auto refused = [&](auto CaptureRequest::*field, auto value) {
    CaptureRequest request = good;
    request.*field = value;
    const auto started = rig.control_->start(request);
    REQUIRE_FALSE(started);
    return started.error().message;
  };
  // One bad value beside good ones is enough.
  const auto refused_also = [&](std::vector<std::string> CaptureRequest::*field, const char* value) {
    std::vector<std::string> values = good.*field;
    values.emplace_back(value);
    return refused(field, values);
  };
  CHECK(refused_also(&CaptureRequest::vips, "10.0.0.300").find("10.0.0.300") != std::string::npos);
  CHECK(refused_also(&CaptureRequest::services, "web") == "Unknown service [web]");
  CHECK(refused_also(&CaptureRequest::targets, "vm-9") == "Unknown target [vm-9]");
  CHECK(refused_also(&CaptureRequest::reasons, "bad_luck").find("Unknown reason [bad_luck]") == 0);
  CHECK(refused(&CaptureRequest::snap_bytes, 63u).find("--snaplen [63]") != std::string::npos);
  CHECK(refused(&CaptureRequest::snap_bytes, 4097u).find("--snaplen [4097]") != std::string::npos);
  CHECK(refused(&CaptureRequest::seconds, 0u).find("--seconds [0]") != std::string::npos);
  CHECK(rig.is_off());
  CHECK(rig.control_->start(good));
}

}  // namespace xdplb
