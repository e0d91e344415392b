// BpfMaps: the maps of one loaded xdp_vip program, as typed operations (layouts: kern/abi.h).
//
// The same whether the daemon loaded the program or an operator did with bpftool: they are found through the program
// that uses them and told apart by type and size, whatever their names and pins. Control thread only, but for the
// heartbeats, which workers write through the mapping.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kern/abi.h"
#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/net/ip.h"

namespace xdplb {

// What the kernel program should do with a VIP.
struct VipRule {
  int32_t fallback = XDPLB_FALLBACK_DROP;  // where no socket serves
  uint32_t portset = 0;                    // 0: every protocol and port
  friend bool operator==(const VipRule&, const VipRule&) = default;
};
using VipRules = std::map<IpPrefix, VipRule>;
using PortSets = std::map<uint32_t, xdplb_portset>;  // by number; never 0

struct KernelVips {
  VipRules rules;
  PortSets portsets;
};

// Where a worker says that it is alive: one word of a slot in the mapped xdp_slot_map. The program reads it.
class Heartbeat {
 public:
  Heartbeat() = default;
  explicit Heartbeat(xdplb_slot* slot) : slot_(slot) {}
  void beat(uint64_t now_ns) {
    if (slot_ != nullptr) std::atomic_ref(slot_->beat_ns).store(now_ns, std::memory_order_relaxed);
  }

 private:
  xdplb_slot* slot_ = nullptr;
};

class BpfMaps {
 public:
  // The maps that the program uses. Error where they are not those of an xdp_vip program of this version.
  static Result<BpfMaps> of_program(int prog_fd);

  BpfMaps(BpfMaps&& other) noexcept;
  BpfMaps& operator=(BpfMaps&&) = delete;
  ~BpfMaps();

  // The first slot of an ingress device: slots_of_device + queue serves a queue. Devices that are gone make room.
  Result<uint32_t> slots_of_device(uint32_t ifindex);
  // Puts the socket at `slot` and lets the program redirect what arrives on that queue.
  Result<void> arm(uint32_t slot, int xsk_fd, uint32_t ifindex, uint32_t queue, uint64_t stale_after_ns,
                   uint64_t stale_grace_ns, uint64_t now_ns);
  // The reverse; no error where it was not armed.
  void disarm(uint32_t slot);

  // For the worker that serves `slot`. Valid as long as this object.
  [[nodiscard]] Heartbeat heartbeat(uint32_t slot) { return Heartbeat(&slots_[slot]); }
  [[nodiscard]] xdplb_slot read_slot(uint32_t slot) const;
  // When the worker of `slot` last gave a sign of life.
  [[nodiscard]] uint64_t last_beat_ns(uint32_t slot) const;

  // Makes the program's VIPs those of `vips`, beside those that an operator put there with bpftool, which stay as
  // they are. Adds before it removes, so that no VIP is away for a moment, and a port set is there before a VIP
  // names it. One number must always mean the same ports.
  Result<void> set_vips(const KernelVips& vips);
  // Takes out what set_vips put in.
  Result<void> clear_vips() { return set_vips({}); }
  // Everything in xdp_vip_map that is not ours.
  Result<std::vector<IpAddr>> operator_vips() const;

  // Packets for a VIP that took its fallback action or passed, by cause (enum xdplb_count), summed over the CPUs.
  [[nodiscard]] std::vector<uint64_t> counts() const;

 private:
  BpfMaps() = default;
  Result<void> map_slots();
  Result<void> set_exact(const VipRules& rules);
  Result<void> set_prefixes(const VipRules& rules);
  Result<void> add_portsets(const PortSets& portsets);
  void remove_portsets_but(const PortSets& portsets);
  Result<void> write_setup(const VipRules& rules);

  UniqueFd vips_, prefixes_, attrs_, portsets_, sockets_, slots_fd_, setup_, counts_;
  xdplb_slot* slots_ = nullptr;  // mapping of xdp_slot_map
};

}  // namespace xdplb
