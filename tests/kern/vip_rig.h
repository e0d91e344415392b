// VipRig: xdp_vip (or xdp_vip_live) loaded privately (nothing pinned, nothing attached to a device that matters) and
// run on frames through BPF_PROG_TEST_RUN, as if they had come in on a given device and queue.
//
// main() moves the process into a network namespace of its own with one veth pair of 70 queues; the kernel runs tests
// only on queues of a device that has a program, so xdp_egress is attached to both ends. Slot 0 always holds a
// socket: an entry that may be redirected to. A rig starts with empty maps; each test makes its own.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "kern/abi.h"
#include "tests/support/frame_builder.h"
#include "user/base/unique_fd.h"
#include "user/path/bpf_objects.h"

namespace xdplb {

// The two ends of the veth pair, made once by main().
struct TestDevices {
  int first = 0;
  int second = 0;
};
const TestDevices& test_devices();

enum Verdict { kAborted = 0, kDrop = 1, kPass = 2, kTx = 3, kRedirect = 4 };

class VipRig {
 public:
  explicit VipRig(const EmbeddedObject& object = vip_object());

  void add_vip(const std::string& addr, int fallback);
  void add_vip(const std::string& addr, int fallback, uint32_t portset);
  void add_prefix(const std::string& addr, uint32_t len_bits, int fallback, uint32_t portset = 0);
  void add_portset(uint32_t id, const xdplb_portset& set);
  void set_setup(bool has_prefixes, bool has_portsets);
  void set_slot(uint32_t index, const xdplb_slot& slot);
  // Slot `index` for `queue` of `ifindex`, without a heartbeat.
  void arm(uint32_t index, int ifindex, uint32_t queue);
  // Puts the rig's socket into xsks_map, takes it out.
  void put_socket(uint32_t index);
  void remove_socket(uint32_t index);

  [[nodiscard]] xdplb_slot slot(uint32_t index) const;
  [[nodiscard]] uint64_t count(xdplb_count which) const;

  // The frame comes in on `queue` of `ifindex`. At least 14 bytes: the kernel takes nothing shorter.
  [[nodiscard]] Verdict run(const frames::Bytes& frame, int ifindex, uint32_t queue) const;
  [[nodiscard]] Verdict run(const frames::Bytes& frame) const { return run(frame, test_devices().first, 0); }
  // The same as a test run without a device: it comes from ifindex 1.
  [[nodiscard]] Verdict run_from_nowhere(const frames::Bytes& frame) const { return run(frame, nullptr); }
  // Nanoseconds of one run, the mean of `repeat`.
  [[nodiscard]] uint32_t measure(const frames::Bytes& frame, uint32_t repeat) const;

  [[nodiscard]] int program_fd() const { return program_fd_; }
  // The map of that name; every call checks that it is there.
  [[nodiscard]] int map_fd(const char* name) const;

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  Verdict run(const frames::Bytes& frame, xdp_md* context) const;

  std::unique_ptr<bpf_object, Close> object_;
  int program_fd_ = -1;
  UniqueFd socket_;
};

}  // namespace xdplb
