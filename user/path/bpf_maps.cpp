#include "user/path/bpf_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>

#include "user/path/program_maps.h"

namespace xdplb {
namespace {

constexpr size_t kSlotMapBytes = sizeof(xdplb_slot) * XDPLB_MAX_SLOTS;

xdplb_addr to_key(const IpAddr& addr) {
  xdplb_addr key;
  std::memcpy(key.bytes, addr.bytes.data(), sizeof key.bytes);
  return key;
}

IpAddr from_key(const xdplb_addr& key) {
  return IpAddr::v6(key.bytes);
}

xdplb_prefix_key to_key(const IpPrefix& prefix) {
  return {prefix.len, to_key(prefix.addr)};
}

// All keys of a hash map. Bounded: a writer beside us cannot keep us here.
template <typename Key>
std::vector<Key> keys_of(int map_fd, uint32_t max_keys) {
  std::vector<Key> keys;
  Key key;
  const Key* previous = nullptr;
  while (keys.size() < max_keys && bpf_map_get_next_key(map_fd, previous, &key) == 0) {
    keys.push_back(key);
    previous = &keys.back();
  }
  return keys;
}

}  // namespace

Result<BpfMaps> BpfMaps::of_program(int prog_fd) {
  BpfMaps maps;
  const struct {
    MapShape shape;
    const char* name;
    UniqueFd* fd;
  } wanted[] = {
      {{BPF_MAP_TYPE_HASH, sizeof(xdplb_addr), sizeof(int32_t)}, "xdp_vip_map", &maps.vips_},
      {{BPF_MAP_TYPE_XSKMAP, sizeof(int), sizeof(int)}, "xsks_map", &maps.sockets_},
      {{BPF_MAP_TYPE_LPM_TRIE, sizeof(xdplb_prefix_key), sizeof(xdplb_prefix_value)},
       "xdp_prefix_map",
       &maps.prefixes_},
      {{BPF_MAP_TYPE_HASH, sizeof(xdplb_addr), sizeof(xdplb_vip_attr)}, "xdp_attr_map", &maps.attrs_},
      {{BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(xdplb_portset)}, "xdp_portset_map", &maps.portsets_},
      {{BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(xdplb_slot)}, "xdp_slot_map", &maps.slots_fd_},
      {{BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(xdplb_setup)}, "xdp_setup_map", &maps.setup_},
      {{BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint32_t), sizeof(uint64_t)}, "xdp_count_map", &maps.counts_},
  };
  auto found = maps_of_program(prog_fd);
  if (!found) return found.error();
  for (ProgramMap& map : *found) {
    for (const auto& want : wanted) {
      if (map.shape == want.shape) *want.fd = std::move(map.fd);
    }
  }
  for (const auto& want : wanted) {
    if (!want.fd->is_open()) {
      return fail(
          "The XDP program has no map like {}: it is not this version's xdp_vip. Load the xdp_vip_kern.o that "
          "belongs to this xdplb",
          want.name);
    }
  }
  if (auto mapped = maps.map_slots(); !mapped) return mapped.error();
  return maps;
}

BpfMaps::BpfMaps(BpfMaps&& other) noexcept
    : vips_(std::move(other.vips_)),
      prefixes_(std::move(other.prefixes_)),
      attrs_(std::move(other.attrs_)),
      portsets_(std::move(other.portsets_)),
      sockets_(std::move(other.sockets_)),
      slots_fd_(std::move(other.slots_fd_)),
      setup_(std::move(other.setup_)),
      counts_(std::move(other.counts_)),
      slots_(std::exchange(other.slots_, nullptr)) {}

BpfMaps::~BpfMaps() {
  if (slots_ != nullptr) munmap(slots_, kSlotMapBytes);
}

Result<void> BpfMaps::map_slots() {
  void* mapped = mmap(nullptr, kSlotMapBytes, PROT_READ | PROT_WRITE, MAP_SHARED, slots_fd_.get(), 0);
  if (mapped == MAP_FAILED) return fail_errno(errno, "Cannot map xdp_slot_map");
  slots_ = static_cast<xdplb_slot*>(mapped);
  return {};
}

Result<uint32_t> BpfMaps::slots_of_device(uint32_t ifindex) {
  std::optional<uint32_t> empty;
  for (uint32_t first = 0; first < XDPLB_MAX_SLOTS; first += XDPLB_MAX_QUEUES) {
    bool used = false;
    for (uint32_t slot = first; slot < first + XDPLB_MAX_QUEUES; ++slot) {
      const uint32_t owner = slots_[slot].ifindex;
      if (owner == ifindex) return first;
      char name[IF_NAMESIZE];
      if (owner != 0 && if_indextoname(owner, name) == nullptr) disarm(slot);
      used |= slots_[slot].ifindex != 0;
    }
    if (!used && !empty) empty = first;
  }
  if (!empty) return fail("The XDP program serves {} ingress devices already", uint32_t{XDPLB_MAX_DEVICES});
  return *empty;
}

Result<void> BpfMaps::arm(uint32_t slot, int xsk_fd, uint32_t ifindex, uint32_t queue, uint64_t stale_after_ns,
                          uint64_t stale_grace_ns, uint64_t now_ns) {
  XDPLB_CHECK(slot < XDPLB_MAX_SLOTS);
  if (bpf_map_update_elem(sockets_.get(), &slot, &xsk_fd, BPF_ANY) != 0) {
    return fail_errno(errno, "Cannot put the socket of queue {} into xsks_map", queue);
  }
  xdplb_slot& s = slots_[slot];
  s.queue = queue;
  s.stale_after_ns = stale_after_ns;
  s.stale_grace_ns = stale_grace_ns;
  s.stale_ns = 0;
  std::atomic_ref(s.beat_ns).store(now_ns, std::memory_order_relaxed);
  // Last, for the program: what it finds in an armed slot is complete.
  std::atomic_ref(s.ifindex).store(ifindex, std::memory_order_release);
  return {};
}

void BpfMaps::disarm(uint32_t slot) {
  std::atomic_ref(slots_[slot].ifindex).store(0, std::memory_order_release);
  bpf_map_delete_elem(sockets_.get(), &slot);
}

xdplb_slot BpfMaps::read_slot(uint32_t slot) const {
  return slots_[slot];
}

uint64_t BpfMaps::last_beat_ns(uint32_t slot) const {
  return std::atomic_ref(slots_[slot].beat_ns).load(std::memory_order_relaxed);
}

Result<void> BpfMaps::set_vips(const KernelVips& vips) {
  if (auto r = add_portsets(vips.portsets); !r) return r;
  // A program that looks at port sets needs no VIP to have one, so it starts to before the first has.
  if (!vips.portsets.empty()) {
    if (auto r = write_setup(vips.rules); !r) return r;
  }
  if (auto r = set_exact(vips.rules); !r) return r;
  if (auto r = set_prefixes(vips.rules); !r) return r;
  if (auto r = write_setup(vips.rules); !r) return r;
  remove_portsets_but(vips.portsets);
  return {};
}

Result<void> BpfMaps::add_portsets(const PortSets& portsets) {
  for (const auto& [number, set] : portsets) {
    // BPF_NOEXIST: what is there means the same, and the program may be reading it.
    if (bpf_map_update_elem(portsets_.get(), &number, &set, BPF_NOEXIST) == 0 || errno == EEXIST) continue;
    return fail_errno(errno, "Cannot put the ports of a service into xdp_portset_map (it holds at most {})",
                      uint32_t{XDPLB_MAX_PORTSETS});
  }
  return {};
}

void BpfMaps::remove_portsets_but(const PortSets& portsets) {
  for (const uint32_t number : keys_of<uint32_t>(portsets_.get(), XDPLB_MAX_PORTSETS)) {
    if (portsets.count(number) == 0) bpf_map_delete_elem(portsets_.get(), &number);
  }
}

// An entry of xdp_attr_map marks an address as ours: bpftool users know only xdp_vip_map.
Result<void> BpfMaps::set_exact(const VipRules& rules) {
  std::set<IpAddr> wanted;
  for (const auto& [prefix, rule] : rules) {
    if (!prefix.is_host()) continue;
    wanted.insert(prefix.addr);
    const xdplb_addr key = to_key(prefix.addr);
    int32_t fallback = 0;
    xdplb_vip_attr attr = {};
    const bool listed = bpf_map_lookup_elem(vips_.get(), &key, &fallback) == 0;
    const bool ours = bpf_map_lookup_elem(attrs_.get(), &key, &attr) == 0;
    if (listed && !ours) continue;  // the operator's entry, with the operator's fallback
    attr.portset = rule.portset;
    if (bpf_map_update_elem(attrs_.get(), &key, &attr, BPF_ANY) != 0 ||
        bpf_map_update_elem(vips_.get(), &key, &rule.fallback, BPF_ANY) != 0) {
      return fail_errno(errno, "Cannot put VIP {} into xdp_vip_map (it holds at most {})", to_string(prefix),
                        uint32_t{XDPLB_MAX_VIPS});
    }
  }
  for (const xdplb_addr& key : keys_of<xdplb_addr>(attrs_.get(), XDPLB_MAX_VIPS)) {
    if (wanted.count(from_key(key)) != 0) continue;
    bpf_map_delete_elem(vips_.get(), &key);
    bpf_map_delete_elem(attrs_.get(), &key);
  }
  return {};
}

Result<void> BpfMaps::set_prefixes(const VipRules& rules) {
  for (const auto& [prefix, rule] : rules) {
    if (prefix.is_host()) continue;
    const xdplb_prefix_key key = to_key(prefix);
    const xdplb_prefix_value value = {rule.fallback, rule.portset};
    if (bpf_map_update_elem(prefixes_.get(), &key, &value, BPF_ANY) != 0) {
      return fail_errno(errno, "Cannot put VIP prefix {} into xdp_prefix_map (it holds at most {})",
                        to_string(prefix), uint32_t{XDPLB_MAX_PREFIXES});
    }
  }
  for (const xdplb_prefix_key& key : keys_of<xdplb_prefix_key>(prefixes_.get(), XDPLB_MAX_PREFIXES)) {
    const IpPrefix prefix{from_key(key.addr), static_cast<uint8_t>(key.prefix_len)};
    if (rules.count(prefix) == 0) bpf_map_delete_elem(prefixes_.get(), &key);
  }
  return {};
}

Result<void> BpfMaps::write_setup(const VipRules& rules) {
  xdplb_setup setup = {XDPLB_ABI_VERSION, 0, 0, 0};
  for (const auto& [prefix, rule] : rules) {
    if (!prefix.is_host()) setup.has_prefixes = 1;
    if (rule.portset != 0) setup.has_portsets = 1;
  }
  const uint32_t zero = 0;
  if (bpf_map_update_elem(setup_.get(), &zero, &setup, BPF_ANY) != 0) {
    return fail_errno(errno, "Cannot write xdp_setup_map");
  }
  return {};
}

Result<std::vector<IpAddr>> BpfMaps::operator_vips() const {
  std::vector<IpAddr> found;
  for (const xdplb_addr& key : keys_of<xdplb_addr>(vips_.get(), XDPLB_MAX_VIPS)) {
    xdplb_vip_attr attr = {};
    if (bpf_map_lookup_elem(attrs_.get(), &key, &attr) != 0) found.push_back(from_key(key));
  }
  return found;
}

std::vector<uint64_t> BpfMaps::counts() const {
  std::vector<uint64_t> sums;
  const int cpus = libbpf_num_possible_cpus();
  std::vector<uint64_t> per_cpu(cpus > 0 ? static_cast<size_t>(cpus) : 0);
  for (uint32_t which = 0; which < XDPLB_COUNTS && !per_cpu.empty(); ++which) {
    if (bpf_map_lookup_elem(counts_.get(), &which, per_cpu.data()) != 0) break;
    uint64_t sum = 0;
    for (const uint64_t n : per_cpu) sum += n;
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace xdplb
