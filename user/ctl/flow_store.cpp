#include "user/ctl/flow_store.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <map>

#include "user/base/hash.h"
#include "user/base/random.h"

namespace xdplb {
namespace {

uint64_t service_identity(const std::string& name) {
  return hash_bytes(name.data(), name.size(), 0);
}

// Who the flows of an old table belong to now: targets by {id, epoch}, which lie in the configuration and outlive the
// daemon, and services by name.
FlowMapping mapping_of(const Config& config, const FlowReader& old) {
  std::map<uint64_t, uint16_t> services;
  for (const Service& s : config.services) services[service_identity(s.name)] = s.id;
  std::map<uint16_t, uint16_t> epochs;
  for (const Target& t : config.targets) epochs[t.id] = t.epoch;
  std::vector<uint64_t> old_identities(kMaxServices);
  for (uint16_t s = 0; s < kMaxServices; ++s) old_identities[s] = old.identity_of_service(s);
  return [=](FlowOwner owner) -> std::optional<FlowOwner> {
    const auto service = services.find(old_identities[owner.service % kMaxServices]);
    const auto target = epochs.find(owner.target.id);
    if (service == services.end() || target == epochs.end() || target->second != owner.target.epoch) return {};
    return FlowOwner{owner.target, service->second};
  };
}

}  // namespace

Result<std::unique_ptr<FlowStore>> FlowStore::open(const ShmName& name, uint32_t flows, const Config& config,
                                                   uint64_t now_ns) {
  if (flows < kMinFlows || flows > kMaxFlows) {
    return fail("Invalid --flows [{}]: {} to {}", flows, kMinFlows, kMaxFlows);
  }
  const std::string path = name.path(".flows");
  auto fd = open_shm_file(path, true);
  const bool found = fd.has_value();
  if (!found && fd.error().sys_errno != ENOENT) return fd.error();
  std::unique_ptr<FlowStore> store(new FlowStore(path, found ? std::move(*fd) : UniqueFd(), flows));
  std::string why = "no flows from an earlier daemon";
  FlowAdoption sum;
  struct stat st = {};
  const size_t region_bytes = flow_geometry(flows).region_bytes;
  bool usable = found && fstat(store->fd_.get(), &st) == 0 && static_cast<size_t>(st.st_size) >= region_bytes;
  if (found && !usable) why = "flows of an earlier daemon forgotten: its table has another size";
  const size_t old_tables = usable ? static_cast<size_t>(st.st_size) / region_bytes : 0;
  for (size_t i = 0; i < old_tables && usable; ++i) {
    auto memory = store->map_table(i);
    if (!memory) return memory.error();
    const auto reader = FlowReader::open(*memory);
    usable = reader && reader->flows() == flows && (i == 0 || reader->secret() == store->secret_);
    if (!usable)
      why = "flows of an earlier daemon forgotten: " + (reader ? "another --flows" : reader.error().message);
    if (!usable) break;
    store->secret_ = reader->secret();
    FlowAdoption adopted;
    auto table = FlowTable::adopt(*memory, now_ns, mapping_of(config, *reader), adopted);
    if (!table) return table.error();
    store->tables_.push_back(std::unique_ptr<Table>(new Table{*memory, std::move(*table)}));
    sum.kept += adopted.kept;
    sum.unwanted += adopted.unwanted;
    sum.invalid += adopted.invalid;
    why = fmt::format("{} flows of an earlier daemon kept, {} of targets or services that are no more, {} damaged",
                      sum.kept, sum.unwanted, sum.invalid);
  }
  if (!usable) {
    if (auto r = store->start_anew(); !r) return r.error();
  }
  store->report_ = why;
  return store;
}

Result<void> FlowStore::start_anew() {
  for (const auto& table : tables_) munmap(table->memory.data(), table->memory.size());
  tables_.clear();
  auto secret = random_secret();
  if (!secret) return secret.error();
  secret_ = *secret;
  unlink(path_.c_str());
  auto fd = create_unnamed_file(path_.substr(0, path_.rfind('/')), 0);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  return link_shm_file(fd_.get(), path_);
}

FlowStore::~FlowStore() {
  for (const auto& table : tables_) munmap(table->memory.data(), table->memory.size());
}

Result<std::span<std::byte>> FlowStore::map_table(size_t index) {
  const size_t bytes = flow_geometry(flows_).region_bytes;
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), static_cast<off_t>(index * bytes));
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of {}", bytes, path_);
  // Random access to one line a flow misses the TLB with small pages. Only a hint: the kernel may not have huge ones.
  madvise(memory, bytes, MADV_HUGEPAGE);
  return std::span(static_cast<std::byte*>(memory), bytes);
}

Result<void> FlowStore::grow_to(size_t tables) {
  const size_t bytes = flow_geometry(flows_).region_bytes;
  while (tables_.size() < tables) {
    const size_t index = tables_.size();
    // Sparse: pages are taken as flows come.
    if (ftruncate(fd_.get(), static_cast<off_t>((index + 1) * bytes)) != 0) {
      return fail_errno(errno, "Cannot make room for {} flows in {}", flows_, path_);
    }
    auto memory = map_table(index);
    if (!memory) return memory.error();
    auto table = FlowTable::create(*memory, flows_, secret_);
    if (!table) return table.error();
    tables_.push_back(std::unique_ptr<Table>(new Table{*memory, std::move(*table)}));
  }
  return {};
}

std::vector<FlowReader> FlowStore::readers() const {
  std::vector<FlowReader> readers;
  for (const auto& table : tables_) readers.push_back(table->table.reader());
  return readers;
}

void FlowStore::name_services(const Config& config) {
  for (const auto& table : tables_) {
    for (const Service& s : config.services) table->table.name_service(s.id, service_identity(s.name));
  }
}

uint64_t FlowStore::len_bytes() const {
  return tables_.size() * flow_geometry(flows_).region_bytes;
}

}  // namespace xdplb
