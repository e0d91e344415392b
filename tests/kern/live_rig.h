// LiveRig: xdp_egress_live or xdp_vip_live attached to one end of the veth pair, its maps mapped, and a packet socket
// at the other end that sees what arrives. It plays a worker: stages frames, calls, continues where a call was
// interrupted.
//
// The rings of a veth hold 256 frames, and a busy machine may leave them full: no test has more than kFlight under
// way.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <vector>

#include "kern/abi.h"
#include "tests/support/frame_builder.h"
#include "user/base/unique_fd.h"
#include "user/path/bpf_objects.h"

namespace xdplb {

class LiveRig {
 public:
  static constexpr uint32_t kFlight = 192;
  static constexpr uint16_t kEtherType = 0x88b5;  // for local experiments: no one else speaks it

  explicit LiveRig(uint32_t workers, const EmbeddedObject& object = egress_live_object());
  ~LiveRig();
  LiveRig(const LiveRig&) = delete;
  LiveRig& operator=(const LiveRig&) = delete;

  [[nodiscard]] xdplb_live_run& run(uint32_t worker) { return runs_[worker]; }
  [[nodiscard]] xdplb_staged& staged(uint32_t worker, uint32_t packet);
  void stage(uint32_t worker, const std::vector<frames::Bytes>& frames);

  // One call for `repeat` packets. Returns 0 or a negative errno. Any thread; no two for one worker.
  int call(uint32_t worker, uint32_t repeat, uint32_t batch = 64);
  // Arms, calls until all that is staged was taken, disarms. Returns how many calls were interrupted.
  uint32_t send(uint32_t worker, uint32_t batch = 64);
  // The verdict of an ordinary test run: one that is not live.
  [[nodiscard]] int test_run_verdict() const;

  // The next `count` frames at the far end; fewer if they do not come within a second.
  std::vector<frames::Bytes> receive(size_t count);
  // Whether the far end stays silent for 50 ms.
  bool is_silent();

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  std::unique_ptr<bpf_object, Close> object_;
  int program_fd_ = -1;
  xdplb_live_run* runs_ = nullptr;
  xdplb_stage* stages_ = nullptr;
  size_t stages_bytes_ = 0;
  UniqueFd far_end_;
};

}  // namespace xdplb
