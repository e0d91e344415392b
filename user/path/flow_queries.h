// FlowQueries: what the control socket is asked about live flows, answered from the tables of the running workers.
//
// Control thread only. Listing reads the tables as any other reader does and the workers notice nothing; each call
// looks at a bounded number of slots, so the control thread is back within a few milliseconds. Flushing is the
// workers' work: this object finds the flows, piece by piece, and puts them into the boxes of those who own them
// (user/lb/flush_box.h). Tables whose worker is gone, all of them while a device is away, it flushes itself.
#pragma once

#include <optional>

#include "user/ctl/flow_wire.h"
#include "user/lb/flow_filter.h"
#include "user/path/worker_slots.h"

namespace xdplb {

class FlowQueries : public FlowVerbs {
 public:
  // Both are the daemon's and must outlive the object; `config` is the configuration in force.
  FlowQueries(WorkerSlots& slots, const Config& config) : slots_(slots), config_(config) {}

  Result<FlowsPage> list(const FlowsRequest& request) override;
  Result<FlowTallyPage> tally(const FlowCursor& from) override;
  std::vector<FlowLine> find(const FlowKey& key) override;
  Result<uint64_t> flush(const std::vector<std::string>& filter) override;
  Result<FlushState> flush_state(uint64_t number) override;

  // Goes on with a flush that is under way: called every few milliseconds. `workers` threads run, for the first
  // tables.
  void advance(size_t workers, uint64_t now_ns);

 private:
  // How far the flush is in each table: up to which slot flows were handed over.
  struct Flush {
    FlowMatcher matcher;
    uint64_t removed_before;                    // what the boxes had counted until then
    std::vector<std::optional<uint32_t>> next;  // nothing: looked through
    size_t turn = 0;                            // whose table is looked at next
  };

  // Calls visit(table, flow) for each flow of one look. Returns where the next one begins.
  template <typename Visit>
  Result<std::optional<FlowCursor>> look_at(const FlowCursor& at, Visit visit);
  void look_further(Flush& flush, size_t table, uint64_t now_ns);
  void finish_own(size_t workers);
  [[nodiscard]] bool is_finished(const Flush& flush) const;
  [[nodiscard]] uint64_t removed() const;

  WorkerSlots& slots_;
  const Config& config_;
  std::optional<Flush> flush_;
  uint64_t number_ = 0;   // of the last flush
  uint64_t flushed_ = 0;  // by the last one that is done
};

// What is said of one flow of a worker's table.
FlowLine flow_line(const FlowMatcher& matcher, uint32_t worker, const FlowRecord& flow);

inline constexpr uint32_t kSlotsPerLook = 32768;  // some 3 ms where half of them hold flows

}  // namespace xdplb
