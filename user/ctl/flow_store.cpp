#include "user/ctl/flow_store.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "user/base/hash.h"
#include "user/base/log.h"
#include "user/base/random.h"
#include "user/ctl/flow_file.h"
#include "user/ctl/flow_room.h"

namespace xdplb {
namespace {

uint64_t service_identity(const std::string& name) {
  return hash_bytes(name.data(), name.size(), 0);
}

// Who the flows of an old table belong to now: targets by {id, epoch}, which lie in the configuration and outlive the
// daemon, and services by name.
FlowMapping mapping_of(const Config& config, const FlowReader& old) {
  std::vector<uint64_t> old_identities(kMaxServices);  // a copy: adoption clears them
  for (uint16_t s = 0; s < kMaxServices; ++s) old_identities[s] = old.identity_of_service(s);
  std::map<uint64_t, uint16_t> services;
  for (const Service& s : config.services) services[service_identity(s.name)] = s.id;
  std::map<uint16_t, uint16_t> epochs;
  for (const Target& t : config.targets) epochs[t.id] = t.epoch;
  return [=, identities = std::move(old_identities)](FlowOwner owner) -> std::optional<FlowOwner> {
    const auto service = services.find(identities[owner.service % kMaxServices]);
    const auto target = epochs.find(owner.target.id);
    if (service == services.end() || target == epochs.end() || target->second != owner.target.epoch) return {};
    return FlowOwner{owner.target, service->second};
  };
}

std::string kept_text(const FlowAdoption& sum) {
  return fmt::format("{} flows of an earlier daemon kept, {} of targets or services that are no more, {} damaged",
                     sum.kept, sum.unwanted, sum.invalid);
}

// A mapping of the old file, for as long as its flows are moved.
class OldTable {
 public:
  static Result<std::unique_ptr<OldTable>> open(int fd, size_t index, const FlowGeometry& g,
                                                const std::string& path) {
    auto memory = map_flow_table(fd, index, g, path);
    if (!memory) return memory.error();
    std::unique_ptr<OldTable> table(new OldTable(*memory));
    auto reader = FlowReader::open(*memory);
    if (!reader) return reader.error();
    table->reader_.emplace(*reader);
    return table;
  }
  ~OldTable() { munmap(memory_.data(), memory_.size()); }
  OldTable(const OldTable&) = delete;
  OldTable& operator=(const OldTable&) = delete;

  [[nodiscard]] const FlowReader& reader() const { return *reader_; }

 private:
  explicit OldTable(std::span<std::byte> memory) : memory_(memory) {}

  std::span<std::byte> memory_;
  std::optional<FlowReader> reader_;
};

// Returns how many found no room; the rest is in `sum`.
uint64_t move_flows(const FlowReader& from, const FlowMapping& mapping, FlowTable& to, FlowAdoption& sum,
                    uint64_t now_ns) {
  uint64_t no_room = 0;
  for (uint32_t slot = 0; slot < from.slots(); ++slot) {
    const auto flow = from.read(slot, now_ns);
    if (!flow) continue;
    const auto owner = mapping({flow->target, flow->service});
    const FlowOutcome outcome = owner ? to.restore(*flow, *owner, now_ns) : FlowOutcome::not_tracked;
    sum.kept += outcome == FlowOutcome::entered;
    sum.unwanted += outcome == FlowOutcome::not_tracked;
    no_room += outcome == FlowOutcome::refused_full;
  }
  return no_room;
}

}  // namespace

Result<std::unique_ptr<FlowStore>> FlowStore::open(const ShmName& name, uint32_t flows, const Config& config,
                                                   uint64_t now_ns) {
  if (flows < kMinFlows || flows > kMaxFlows) {
    return fail("Invalid --flows [{}]: {} to {}", flows, kMinFlows, kMaxFlows);
  }
  const std::string path = name.path(".flows");
  std::unique_ptr<FlowStore> store(new FlowStore(path, flows));
  auto old = open_shm_file(path, true);
  if (!old && old.error().sys_errno != ENOENT) return old.error();
  if (!old) {
    store->report_ = "no flows from an earlier daemon";
    if (auto r = store->make_file(); !r) return r.error();
    return store;
  }
  const auto old_flows = flows_of_file(old->get(), path);
  const Result<void> kept = !old_flows            ? Result<void>(old_flows.error())
                            : *old_flows == flows ? store->adopt(std::move(*old), config, now_ns)
                                                  : store->move_from(old->get(), *old_flows, config, now_ns);
  // What the contents say is forgotten; what the system says (no memory, no room) may be otherwise at the next try.
  if (!kept && kept.error().sys_errno != 0) return kept.error();
  if (!kept) {
    store->report_ = "flows of an earlier daemon forgotten: " + kept.error().message;
    if (auto r = store->make_file(); !r) return r.error();
  }
  return store;
}

// In place: the flows stay where they are, however many.
Result<void> FlowStore::adopt(UniqueFd fd, const Config& config, uint64_t now_ns) {
  fd_ = std::move(fd);
  const auto count = tables_of_file(fd_.get(), geometry_, path_);
  if (!count) return count.error();
  // A daemon of before took pages as flows came.
  if (auto r = take_room(fd_.get(), 0, *count, flows_, path_); !r) return r;
  FlowAdoption sum;
  for (size_t i = 0; i < *count; ++i) {
    auto memory = map_flow_table(fd_.get(), i, geometry_, path_);
    if (!memory) return memory.error();
    tables_.push_back(std::make_unique<Table>(Table{*memory, std::nullopt}));
    const auto reader = FlowReader::open(*memory);
    if (!reader) return reader.error();
    if (reader->flows() != flows_ || (i > 0 && reader->secret() != secret_)) return fail("its tables do not agree");
    secret_ = reader->secret();
    on_huge_pages_ &= collapse_buckets(*memory, geometry_);
    FlowAdoption adopted;
    auto table = FlowTable::adopt(*memory, now_ns, mapping_of(config, *reader), adopted);
    if (!table) return table.error();
    tables_.back()->table.emplace(std::move(*table));
    name_services(*tables_.back(), config);  // at once: without names the flows are nobody's for the next daemon
    sum.kept += adopted.kept;
    sum.unwanted += adopted.unwanted;
    sum.invalid += adopted.invalid;
  }
  adopted_ = *count;
  report_ = kept_text(sum);
  return {};
}

// Into tables of another size: each flow is entered again. The old file keeps its name until keep(), so that a death
// or a refused start in between loses nothing.
Result<void> FlowStore::move_from(int old, uint32_t old_flows, const Config& config, uint64_t now_ns) {
  const FlowGeometry g = flow_geometry(old_flows);
  const auto count = tables_of_file(old, g, path_);
  if (!count) return count.error();
  if (auto r = make_file(); !r) return r;
  if (auto r = grow_to(*count); !r) return r;
  // As in adopt: looking at a page that nobody took is taking it, and SIGBUS where there is no room.
  if (auto r = take_room(old, 0, *count, old_flows, path_); !r) return r;
  FlowAdoption sum;
  uint64_t no_room = 0;
  for (size_t i = 0; i < *count; ++i) {
    auto from = OldTable::open(old, i, g, path_);
    if (!from) return from.error();
    const FlowReader& reader = (*from)->reader();
    no_room += move_flows(reader, mapping_of(config, reader), table(i), sum, now_ns);
  }
  report_ = fmt::format("{}; moved from tables for {} flows, {} found no room", kept_text(sum), old_flows, no_room);
  return {};
}

// Without a name, and without tables.
Result<void> FlowStore::make_file() {
  unmap();
  tables_.clear();
  on_huge_pages_ = true;
  auto secret = random_secret();
  if (!secret) return secret.error();
  secret_ = *secret;
  auto fd = create_unnamed_file(path_.substr(0, path_.rfind('/')), 0);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  return {};
}

Result<void> FlowStore::keep() {
  if (adopted_ == 0) {
    unlink(path_.c_str());
    if (auto r = link_shm_file(fd_.get(), path_); !r) return r;
  }
  kept_ = true;
  return {};
}

FlowStore::~FlowStore() {
  unmap();
  if (kept_ || tables_.size() <= adopted_ || adopted_ == 0) return;
  cut_to(adopted_);  // a start that was refused leaves the predecessor's tables, and no more
}

void FlowStore::cut_to(size_t tables) {
  if (ftruncate(fd_.get(), static_cast<off_t>(tables * geometry_.region_bytes)) == 0) return;
  log_warning("Cannot cut {} to {} tables: {}", path_, tables, std::strerror(errno));
}

void FlowStore::unmap() {
  for (const auto& table : tables_) munmap(table->memory.data(), table->memory.size());
}

Result<void> FlowStore::grow_to(size_t tables) {
  if (tables <= tables_.size()) return {};
  if (auto r = take_room(fd_.get(), tables_.size(), tables, flows_, path_); !r) return r;
  while (tables_.size() < tables) {
    if (auto r = add_table(); !r) {
      cut_to(tables_.size());  // the next daemon takes what is no table for damage
      return r;
    }
  }
  return {};
}

Result<void> FlowStore::add_table() {
  auto memory = map_flow_table(fd_.get(), tables_.size(), geometry_, path_);
  if (!memory) return memory.error();
  on_huge_pages_ &= collapse_buckets(*memory, geometry_);
  auto table = FlowTable::create(*memory, flows_, secret_);
  if (!table) {
    munmap(memory->data(), memory->size());
    return table.error();
  }
  tables_.push_back(std::make_unique<Table>(Table{*memory, std::move(*table)}));
  return {};
}

std::vector<FlowReader> FlowStore::readers() const {
  std::vector<FlowReader> readers;
  for (const auto& table : tables_) readers.push_back(table->table->reader());
  return readers;
}

void FlowStore::name_services(const Config& config) {
  for (const auto& table : tables_) name_services(*table, config);
}

void FlowStore::name_services(Table& table, const Config& config) {
  for (const Service& s : config.services) table.table->name_service(s.id, service_identity(s.name));
}

uint64_t FlowStore::len_bytes() const {
  return tables_.size() * geometry_.region_bytes;
}

}  // namespace xdplb
