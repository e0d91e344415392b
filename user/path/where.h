// Where: what would become of a packet now, and why, step by step: `xdplb where`. What is decided comes from the code
// that decides (KernelModel for the program in the kernel, Trial for a worker's stages); this class says it in words,
// with what the workers' live tables hold beside it.
//
// Control thread only. Reads the tables as any other reader does; the workers notice nothing.
#pragma once

#include <functional>
#include <optional>

#include "user/ctl/where_wire.h"
#include "user/lb/target_history.h"
#include "user/path/kernel_model.h"
#include "user/path/trial.h"
#include "user/path/worker_slots.h"

namespace xdplb {

// What of the daemon the answer depends on, at the moment of the question.
struct WhereNow {
  const Config* config = nullptr;
  const Snapshot* snapshot = nullptr;
  const TargetHistory* history = nullptr;
  WorkerSlots* slots = nullptr;
  EgressRules rules;
  size_t workers = 0;  // that run; 0: the data plane is away
  // VIPs that an operator put into the kernel's map with bpftool.
  std::function<bool(const IpAddr&)> is_operator_vip;
};

class Where : public WhereVerb {
 public:
  explicit Where(std::function<WhereNow()> now) : now_(std::move(now)) {}

  Result<WhereAnswer> where(const std::vector<std::vector<uint8_t>>& frames) override;

 private:
  std::function<WhereNow()> now_;
  std::optional<KernelModel> kernel_;  // of the snapshot of that version
  uint64_t kernel_version_ = 0;
};

}  // namespace xdplb
