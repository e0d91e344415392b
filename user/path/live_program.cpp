#include "user/path/live_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <sys/mman.h>

#include <algorithm>

#include "user/path/program_maps.h"

namespace xdplb {
namespace {

constexpr MapShape kRunsShape{BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(xdplb_live_run)};
constexpr MapShape kStageShape{BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(xdplb_stage)};
constexpr size_t kRunsBytes = XDPLB_LIVE_WORKERS * sizeof(xdplb_live_run);
// Frames of one round inside a call. The kernel's default; 256 is slower.
constexpr uint32_t kRoundPackets = 64;
constexpr uint32_t kVlanTagBytes = 4;

Result<void*> map_shared(int fd, size_t len_bytes) {
  void* memory = mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map the stage of live frames, {} bytes", len_bytes);
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

Result<UniqueFd> LiveProgram::load(bpf_object* object, uint32_t workers) {
  bpf_map* stage = bpf_object__find_map_by_name(object, "xdp_stage_map");
  XDPLB_CHECK(stage != nullptr);
  bpf_map__set_max_entries(stage, workers);
  auto prog = load_bpf_object(object);
  if (!prog) return fail_errno(prog.error().sys_errno, "live frames need kernel 5.18, and root to load them");
  return prog;
}

Result<std::unique_ptr<LiveProgram>> LiveProgram::of_program(int prog_fd) {
  auto maps = maps_of_program(prog_fd);
  if (!maps) return maps.error();
  int runs_fd = -1, stage_fd = -1;
  uint32_t workers = 0;
  for (const ProgramMap& map : *maps) {
    if (map.shape == kRunsShape && map.entries_max == XDPLB_LIVE_WORKERS) runs_fd = map.fd.get();
    if (map.shape != kStageShape) continue;
    stage_fd = map.fd.get();
    workers = map.entries_max;
  }
  if (runs_fd < 0 || workers == 0) return fail("the program has no room for live frames");
  std::unique_ptr<LiveProgram> live(new LiveProgram());
  live->prog_.reset(fcntl(prog_fd, F_DUPFD_CLOEXEC, 3));
  if (auto r = live->map_arrays(runs_fd, stage_fd, std::min(workers, uint32_t{XDPLB_LIVE_WORKERS})); !r)
    return r.error();
  // A daemon that died in a call has left its word armed.
  std::fill_n(live->runs_, XDPLB_LIVE_WORKERS, xdplb_live_run{});
  return live;
}

Result<void> LiveProgram::map_arrays(int runs_fd, int stages_fd, uint32_t workers) {
  auto runs = map_shared(runs_fd, kRunsBytes);
  if (!runs) return runs.error();
  runs_ = static_cast<xdplb_live_run*>(*runs);
  auto stages = map_shared(stages_fd, workers * sizeof(xdplb_stage));
  if (!stages) return stages.error();
  stages_ = static_cast<xdplb_stage*>(*stages);
  for (uint32_t w = 0; w < workers; ++w) calls_.push_back(std::make_unique<Call>(prog_.get(), w));
  return {};
}

LiveProgram::~LiveProgram() {
  if (runs_ != nullptr) munmap(runs_, kRunsBytes);
  if (stages_ != nullptr) munmap(stages_, calls_.size() * sizeof(xdplb_stage));
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
  // What the kernel lets a redirected frame have beyond the MTU.
  const uint32_t frame_max = link.mtu + ETH_HLEN + kVlanTagBytes;
  return std::make_unique<LiveTransmit>(runs_[w], stages_[w], link.ifindex, frame_max, choice, *calls_[w]);
}

}  // namespace xdplb
