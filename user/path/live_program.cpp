#include "user/path/live_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <sys/mman.h>

#include "user/path/bpf_objects.h"

namespace xdplb {
namespace {

constexpr size_t kRunsBytes = XDPLB_LIVE_WORKERS * sizeof(xdplb_live_run);
// Frames of one round inside a call. The kernel's default; 256 is slower.
constexpr uint32_t kRoundPackets = 64;
constexpr uint32_t kVlanTagBytes = 4;

Result<void*> map_shared(int fd, size_t len_bytes) {
  void* memory = mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map the stage of xdp_egress_live, {} bytes", len_bytes);
  return memory;
}

}  // namespace

int LiveProgram::Call::run(uint32_t repeat) {
  static constexpr uint8_t kInput[XDPLB_LIVE_RUN_BYTES + XDPLB_LIVE_WORKERS] = {};
  bpf_test_run_opts options = {};
  options.sz = sizeof options;
  options.data_in = kInput;
  options.data_size_in = XDPLB_LIVE_RUN_BYTES + worker_;
  options.repeat = static_cast<int>(repeat);
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = kRoundPackets;
  return -bpf_prog_test_run_opts(prog_fd_, &options);
}

Result<std::unique_ptr<LiveProgram>> LiveProgram::load(uint32_t workers) {
  std::unique_ptr<LiveProgram> live(new LiveProgram());
  auto object = open_bpf_object(egress_object(), "xdp_egress_live");
  if (!object) return object.error();
  live->object_ = std::move(*object);
  bpf_object* raw = live->object_.get();
  bpf_program* prog = bpf_object__find_program_by_name(raw, "xdp_egress_live");
  bpf_map* stage = bpf_object__find_map_by_name(raw, "xdp_stage_map");
  bpf_map* runs = bpf_object__find_map_by_name(raw, "xdp_live_map");
  XDPLB_CHECK(prog != nullptr && stage != nullptr && runs != nullptr);
  bpf_program__set_autoload(prog, true);
  bpf_map__set_max_entries(stage, workers * XDPLB_LIVE_PACKETS);
  if (auto r = load_bpf_object(raw); !r) return r.error();
  live->prog_.reset(fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3));
  if (auto r = live->map_arrays(bpf_map__fd(runs), bpf_map__fd(stage), workers); !r) return r.error();
  return live;
}

Result<void> LiveProgram::map_arrays(int runs_fd, int stage_fd, uint32_t workers) {
  auto runs = map_shared(runs_fd, kRunsBytes);
  if (!runs) return runs.error();
  runs_ = static_cast<xdplb_live_run*>(*runs);
  const size_t stage_bytes = size_t{workers} * XDPLB_LIVE_PACKETS * sizeof(xdplb_staged);
  auto stage = map_shared(stage_fd, stage_bytes);
  if (!stage) return stage.error();
  stage_ = static_cast<xdplb_staged*>(*stage);
  stage_bytes_ = stage_bytes;
  for (uint32_t w = 0; w < workers; ++w) calls_.push_back(std::make_unique<Call>(prog_.get(), w));
  return {};
}

LiveProgram::~LiveProgram() {
  if (runs_ != nullptr) munmap(runs_, kRunsBytes);
  if (stage_ != nullptr) munmap(stage_, stage_bytes_);
}

Result<void> LiveProgram::try_run() {
  runs_[0].count = runs_[0].tail = 0;
  runs_[0].armed = 1;  // so that the one frame is dropped: an unarmed run passes it to the stack
  const int sys_errno = calls_[0]->run(1);
  runs_[0].armed = 0;
  if (sys_errno != 0) return fail_errno(sys_errno, "The kernel does not run live frames");
  return {};
}

std::unique_ptr<LiveTransmit> LiveProgram::transmit(uint32_t w, const LinkInfo& link, TxChoice choice) {
  XDPLB_CHECK(w < workers());
  const std::span stage(stage_ + size_t{w} * XDPLB_LIVE_PACKETS, XDPLB_LIVE_PACKETS);
  // What the kernel lets a redirected frame have beyond the MTU.
  const uint32_t frame_max = link.mtu + ETH_HLEN + kVlanTagBytes;
  return std::make_unique<LiveTransmit>(runs_[w], stage, link.ifindex, frame_max, choice, *calls_[w]);
}

}  // namespace xdplb
