#include "tests/kern/vip_rig.h"

#include <bpf/bpf.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

namespace xdplb {
namespace {

// An AF_XDP socket with a receive ring may enter an XSKMAP without being bound.
UniqueFd receiving_socket() {
  UniqueFd fd(socket(AF_XDP, SOCK_RAW, 0));
  const int entries = 64;
  REQUIRE(fd.is_open());
  REQUIRE(setsockopt(fd.get(), SOL_XDP, XDP_RX_RING, &entries, sizeof entries) == 0);
  return fd;
}

xdplb_addr to_key(const std::string& addr) {
  const frames::Bytes bytes = frames::vip_key(addr);
  xdplb_addr key;
  std::memcpy(key.bytes, bytes.data(), sizeof key.bytes);
  return key;
}

void update(int fd, const void* key, const void* value) {
  REQUIRE(bpf_map_update_elem(fd, key, value, BPF_ANY) == 0);
}

}  // namespace

VipRig::VipRig(const EmbeddedObject& object) {
  object_.reset(bpf_object__open_mem(object.bytes.data(), object.bytes.size(), nullptr));
  REQUIRE(object_);
  REQUIRE(bpf_object__load(object_.get()) == 0);
  program_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), object.program));
  REQUIRE(program_fd_ >= 0);
  socket_ = receiving_socket();
  put_socket(0);
}

int VipRig::map_fd(const char* name) const {
  const int fd = bpf_object__find_map_fd_by_name(object_.get(), name);
  INFO(name);
  REQUIRE(fd >= 0);
  return fd;
}

void VipRig::add_vip(const std::string& addr, int fallback) {
  const xdplb_addr key = to_key(addr);
  update(map_fd("xdp_vip_map"), &key, &fallback);
}

void VipRig::add_vip(const std::string& addr, int fallback, uint32_t portset) {
  const xdplb_addr key = to_key(addr);
  const xdplb_vip_attr attr{.portset = portset, .reserved = 0};
  add_vip(addr, fallback);
  update(map_fd("xdp_attr_map"), &key, &attr);
}

void VipRig::add_prefix(const std::string& addr, uint32_t len_bits, int fallback, uint32_t portset) {
  const xdplb_prefix_key key{.prefix_len = len_bits, .addr = to_key(addr)};
  const xdplb_prefix_value value{.fallback = fallback, .portset = portset};
  update(map_fd("xdp_prefix_map"), &key, &value);
}

void VipRig::add_portset(uint32_t id, const xdplb_portset& set) {
  update(map_fd("xdp_portset_map"), &id, &set);
}

void VipRig::set_setup(bool has_prefixes, bool has_portsets) {
  const uint32_t zero = 0;
  const xdplb_setup setup{XDPLB_ABI_VERSION, has_prefixes, has_portsets, 0};
  update(map_fd("xdp_setup_map"), &zero, &setup);
}

void VipRig::set_slot(uint32_t index, const xdplb_slot& slot) {
  update(map_fd("xdp_slot_map"), &index, &slot);
}

void VipRig::arm(uint32_t index, int ifindex, uint32_t queue) {
  xdplb_slot slot{};
  slot.ifindex = static_cast<uint32_t>(ifindex);
  slot.queue = queue;
  set_slot(index, slot);
}

void VipRig::put_socket(uint32_t index) {
  const int fd = socket_.get();
  update(map_fd("xsks_map"), &index, &fd);
}

void VipRig::remove_socket(uint32_t index) {
  REQUIRE(bpf_map_delete_elem(map_fd("xsks_map"), &index) == 0);
}

xdplb_slot VipRig::slot(uint32_t index) const {
  xdplb_slot slot;
  REQUIRE(bpf_map_lookup_elem(map_fd("xdp_slot_map"), &index, &slot) == 0);
  return slot;
}

uint64_t VipRig::count(xdplb_count which) const {
  const auto cpus = static_cast<size_t>(libbpf_num_possible_cpus());
  const auto key = static_cast<uint32_t>(which);
  std::vector<uint64_t> per_cpu(cpus);
  REQUIRE(bpf_map_lookup_elem(map_fd("xdp_count_map"), &key, per_cpu.data()) == 0);
  uint64_t sum = 0;
  for (const uint64_t packets : per_cpu) sum += packets;
  return sum;
}

Verdict VipRig::run(const frames::Bytes& frame, int ifindex, uint32_t queue) const {
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = static_cast<uint32_t>(ifindex);
  context.rx_queue_index = queue;
  return run(frame, &context);
}

Verdict VipRig::run(const frames::Bytes& frame, xdp_md* context) const {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.ctx_in = context;
  options.ctx_size_in = context == nullptr ? 0 : sizeof *context;
  const int rc = bpf_prog_test_run_opts(program_fd_, &options);
  INFO("test run of " << frame.size() << " bytes: " << rc);
  REQUIRE(rc == 0);
  return static_cast<Verdict>(options.retval);
}

uint32_t VipRig::measure(const frames::Bytes& frame, uint32_t repeat) const {
  xdp_md context{};
  context.data_end = static_cast<uint32_t>(frame.size());
  context.ingress_ifindex = static_cast<uint32_t>(test_devices().first);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = static_cast<int>(repeat);
  REQUIRE(bpf_prog_test_run_opts(program_fd_, &options) == 0);
  return options.duration;
}

}  // namespace xdplb
