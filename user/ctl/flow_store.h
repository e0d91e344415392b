// FlowStore: the memory of the flow tables, /dev/shm/NAME.flows: one table after the other, one for each worker.
//
// It outlives the daemon, so that the next one adopts every flow: after a crash, a restart or an upgrade no
// established flow moves. With another --flows they move into tables of that size. Where its contents cannot be used
// (another layout, damage) it is made anew and report() says so. All its memory is taken before the first packet,
// since a full file system would otherwise end the daemon in the middle of one, and its buckets lie on huge pages
// where the kernel has them. Until keep() nothing lies under its name that was not there before: a start that is
// refused leaves no file, and the predecessor's as it was. Mode 0600; this file alone is mapped (its entries change
// with every packet), so whoever may truncate it may also end the daemon: root, who could kill it anyway.
//
// Control thread only; the tables themselves belong to the workers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "user/base/unique_fd.h"
#include "user/ctl/shm_file.h"
#include "user/lb/config.h"
#include "user/lb/flow_table.h"

namespace xdplb {

class FlowStore {
 public:
  // Adopts what lies there, as far as `config` still has its targets and services. Call with the daemon lock held.
  static Result<std::unique_ptr<FlowStore>> open(const ShmName& name, uint32_t flows, const Config& config,
                                                 uint64_t now_ns);
  ~FlowStore();
  FlowStore(const FlowStore&) = delete;
  FlowStore& operator=(const FlowStore&) = delete;

  // Makes tables until there are `tables`, with all their memory. Those that exist stay where they are. Where there
  // is no room, the error (ENOSPC) says what could be done, and the tables are as they were.
  Result<void> grow_to(size_t tables);
  // From now on the tables are for the next daemon.
  Result<void> keep();
  [[nodiscard]] size_t size() const { return tables_.size(); }
  [[nodiscard]] FlowTable& table(size_t i) { return *tables_[i]->table; }
  [[nodiscard]] std::vector<FlowReader> readers() const;

  // Says in every table whose flows a service's are, for the next daemon.
  void name_services(const Config& config);

  // What was adopted, in words: "4711 flows kept" or why none could be.
  [[nodiscard]] const std::string& report() const { return report_; }
  [[nodiscard]] uint64_t len_bytes() const;
  // Whether the buckets of every table lie there (user/ctl/flow_file.h, collapse_buckets).
  [[nodiscard]] bool are_on_huge_pages() const { return on_huge_pages_; }

 private:
  struct Table {
    std::span<std::byte> memory;
    std::optional<FlowTable> table;  // nothing only while it is being set up
  };
  FlowStore(std::string path, uint32_t flows)
      : path_(std::move(path)), flows_(flows), geometry_(flow_geometry(flows)) {}

  Result<void> adopt(UniqueFd fd, const Config& config, uint64_t now_ns);
  Result<void> move_from(int old, uint32_t old_flows, const Config& config, uint64_t now_ns);
  Result<void> make_file();
  static void name_services(Table& table, const Config& config);
  Result<void> add_table();
  void cut_to(size_t tables);  // the file
  void unmap();

  std::string path_;
  UniqueFd fd_;
  uint32_t flows_;
  FlowGeometry geometry_;
  uint64_t secret_ = 0;  // one for all tables, so that a flow's hash serves in each
  std::vector<std::unique_ptr<Table>> tables_;
  size_t adopted_ = 0;  // tables of the file that lies there; 0: ours has no name yet
  bool on_huge_pages_ = true;
  bool kept_ = false;
  std::string report_;
};

}  // namespace xdplb
