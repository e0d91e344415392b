#include "tests/kern/live_rig.h"

#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/kern/vip_rig.h"

namespace xdplb {
namespace {

UniqueFd packet_socket(int ifindex) {
  UniqueFd fd(socket(AF_PACKET, SOCK_RAW, htons(LiveRig::kEtherType)));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(LiveRig::kEtherType);
  address.sll_ifindex = ifindex;
  const int bytes = 16 << 20;
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0);
  REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

void* map_memory(int fd, size_t len_bytes) {
  void* memory = mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(memory != MAP_FAILED);
  return memory;
}

}  // namespace

LiveRig::LiveRig(uint32_t workers, const EmbeddedObject& object) : stages_bytes_(workers * sizeof(xdplb_stage)) {
  object_.reset(bpf_object__open_mem(object.bytes.data(), object.bytes.size(), nullptr));
  REQUIRE(object_);
  bpf_program* program = bpf_object__find_program_by_name(object_.get(), object.program);
  bpf_map* stage = bpf_object__find_map_by_name(object_.get(), "xdp_stage_map");
  REQUIRE(bpf_map__set_max_entries(stage, workers) == 0);
  REQUIRE(bpf_object__load(object_.get()) == 0);
  program_fd_ = bpf_program__fd(program);
  const int runs_fd = bpf_object__find_map_fd_by_name(object_.get(), "xdp_live_map");
  runs_ = static_cast<xdplb_live_run*>(map_memory(runs_fd, XDPLB_LIVE_WORKERS * sizeof(xdplb_live_run)));
  stages_ = static_cast<xdplb_stage*>(map_memory(bpf_map__fd(stage), stages_bytes_));
  REQUIRE(bpf_xdp_attach(test_devices().first, program_fd_, 0, nullptr) == 0);
  far_end_ = packet_socket(test_devices().second);
}

LiveRig::~LiveRig() {
  munmap(runs_, XDPLB_LIVE_WORKERS * sizeof(xdplb_live_run));
  munmap(stages_, stages_bytes_);
}

void LiveRig::stage(uint32_t worker, const std::vector<frames::Bytes>& frames) {
  size_t at = 0;
  for (const frames::Bytes& frame : frames) {
    xdplb_staged slot;
    REQUIRE(frame.size() <= sizeof slot.bytes);
    slot.len_bytes = static_cast<uint32_t>(frame.size());
    slot.stride = static_cast<uint32_t>(offsetof(xdplb_staged, bytes) + frame.size() + 7) & ~7u;
    std::memcpy(slot.bytes, frame.data(), frame.size());
    REQUIRE(at <= sizeof(xdplb_stage) - sizeof slot);
    std::memcpy(stages_[worker].bytes + at, &slot, slot.stride);
    at += slot.stride;
  }
  runs_[worker].ifindex = static_cast<uint32_t>(test_devices().first);
  runs_[worker].count = static_cast<uint32_t>(frames.size());
  runs_[worker].tail = runs_[worker].next_at = 0;
}

xdplb_staged& LiveRig::staged(uint32_t worker, uint32_t packet) {
  uint8_t* at = stages_[worker].bytes;
  while (packet-- != 0) at += reinterpret_cast<xdplb_staged*>(at)->stride;
  return *reinterpret_cast<xdplb_staged*>(at);
}

int LiveRig::call(uint32_t worker, uint32_t repeat, uint32_t batch) {
  uint8_t input[XDPLB_LIVE_RUN_BYTES + XDPLB_LIVE_WORKERS] = {};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = input;
  options.data_size_in = XDPLB_LIVE_RUN_BYTES + worker;
  options.repeat = static_cast<int>(repeat);
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = batch;
  return bpf_prog_test_run_opts(program_fd_, &options);
}

uint32_t LiveRig::send(uint32_t worker, uint32_t batch) {
  xdplb_live_run& r = run(worker);
  uint32_t interrupted = 0;
  r.armed = 1;
  while (r.tail < r.count) {
    const int rc = call(worker, r.count - r.tail, batch);
    if (rc != 0 && rc != -EINTR) throw std::runtime_error(std::strerror(-rc));
    interrupted += rc == -EINTR;
  }
  r.armed = 0;
  return interrupted;
}

int LiveRig::test_run_verdict() const {
  uint8_t input[XDPLB_LIVE_RUN_BYTES] = {};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = input;
  options.data_size_in = sizeof input;
  options.repeat = 1;
  REQUIRE(bpf_prog_test_run_opts(program_fd_, &options) == 0);
  return static_cast<int>(options.retval);
}

std::vector<frames::Bytes> LiveRig::receive(size_t count) {
  std::vector<frames::Bytes> frames;
  pollfd wait{.fd = far_end_.get(), .events = POLLIN, .revents = 0};
  while (frames.size() < count && poll(&wait, 1, 1000) == 1) {
    frames::Bytes frame(4096);
    const ssize_t len_bytes = recv(far_end_.get(), frame.data(), frame.size(), MSG_DONTWAIT);
    if (len_bytes < 0) break;
    frame.resize(static_cast<size_t>(len_bytes));
    frames.push_back(std::move(frame));
  }
  return frames;
}

bool LiveRig::is_silent() {
  pollfd wait{.fd = far_end_.get(), .events = POLLIN, .revents = 0};
  return poll(&wait, 1, 50) == 0;
}

}  // namespace xdplb
