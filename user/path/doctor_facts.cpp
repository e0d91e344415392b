#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "user/base/unique_fd.h"
#include "user/ctl/netdev_features.h"
#include "user/path/doctor.h"

namespace xdplb {
namespace {

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream in(path);
  std::getline(in, line);
  return line;
}

int number_in(const std::string& path) {
  int number = 0;
  std::istringstream(first_line(path)) >> number;
  return number;
}

struct CapsCloser {
  void operator()(void* caps) const { cap_free(caps); }
};

std::vector<std::string> missing_capabilities() {
  std::vector<std::string> missing;
  const std::unique_ptr<void, CapsCloser> caps(cap_get_proc());
  for (const auto& [cap, name] :
       {std::pair(CAP_NET_ADMIN, "CAP_NET_ADMIN"), {CAP_NET_RAW, "CAP_NET_RAW"}, {CAP_BPF, "CAP_BPF"}}) {
    cap_flag_value_t value = CAP_CLEAR;
    if (caps == nullptr || cap_get_flag(static_cast<cap_t>(caps.get()), cap, CAP_EFFECTIVE, &value) != 0 ||
        value != CAP_SET) {
      missing.emplace_back(name);
    }
  }
  return missing;
}

bool is_capable(cap_value_t cap) {
  const std::unique_ptr<void, CapsCloser> caps(cap_get_proc());
  cap_flag_value_t value = CAP_CLEAR;
  return caps != nullptr && cap_get_flag(static_cast<cap_t>(caps.get()), cap, CAP_EFFECTIVE, &value) == 0 &&
         value == CAP_SET;
}

// Two instructions, loaded and let go of: return XDP_PASS.
std::string try_bpf() {
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "xdplb_doctor", "GPL", program, std::size(program), nullptr);
  if (fd < 0) return std::strerror(-fd);
  const UniqueFd loaded(fd);
  return "";
}

std::string try_xdp_socket() {
  const UniqueFd fd(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  return fd.is_open() ? "" : std::strerror(errno);
}

bool has_bpffs() {
  struct statfs fs {};
  return statfs("/sys/fs/bpf", &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

uint64_t meminfo(const std::string& name) {
  std::ifstream in("/proc/meminfo");
  for (std::string word; in >> word;) {
    uint64_t value = 0;
    if (word == name && in >> value) return value;
  }
  return 0;
}

bool is_process_running(const std::string& name) {
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", unreadable)) {
    if (std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])) == 0) continue;
    if (first_line((entry.path() / "comm").string()) == name) return true;
  }
  return false;
}

uint32_t cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&allowed));
}

Result<DeviceFacts> examine_device(const std::string& name, const std::vector<LinkInfo>& links) {
  const auto link = query_link(name);
  if (!link) return link.error();
  DeviceFacts facts;
  facts.link = *link;
  const auto channels = query_channels(*link);
  if (!channels) return channels.error();
  facts.channels = *channels;
  facts.driver = query_driver(*link);
  if (const auto features = query_xdp_features(link->ifindex)) facts.xdp_features = *features;
  facts.offloads = query_offloads(*link);
  facts.udp4_ports_hashed = query_udp_ports_hashed(*link, false);
  facts.udp6_ports_hashed = query_udp_ports_hashed(*link, true);
  facts.has_vlans = std::any_of(links.begin(), links.end(), [&](const LinkInfo& other) {
    return other.kind == "vlan" && other.parent_ifindex == link->ifindex;
  });
  return facts;
}

std::map<uint32_t, std::string> names_of(const std::vector<LinkInfo>& links) {
  std::map<uint32_t, std::string> names;
  for (const LinkInfo& link : links) names[link.ifindex] = link.name;
  return names;
}

// Of the main table, as /proc shows it: device, destination, gateway, flags, ..., mask.
std::string default_device4() {
  std::ifstream in("/proc/self/net/route");
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string device, destination, gateway, flags, references, use, metric, mask;
    fields >> device >> destination >> gateway >> flags >> references >> use >> metric >> mask;
    if (destination == "00000000" && mask == "00000000") return device;
  }
  return "";
}

// Destination, its length, source, its length, next hop, metric, references, use, flags, device.
std::string default_device6() {
  std::ifstream in("/proc/self/net/ipv6_route");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string destination, len, source, source_len, next_hop, metric, references, use, flags, device;
    fields >> destination >> len >> source >> source_len >> next_hop >> metric >> references >> use >> flags >>
        device;
    if (len == "00" && device != "lo") return device;
  }
  return "";
}

// The kernel goes by the larger of the two.
int ipv4_setting(const std::string& device, const char* name) {
  const auto of = [&](const std::string& which) {
    return number_in(fmt::format("/proc/sys/net/ipv4/conf/{}/{}", which, name));
  };
  return std::max(of("all"), of(device));
}

bool is_vip(const LinkAddress& own, const std::map<uint32_t, std::string>& names) {
  const auto name = names.find(own.ifindex);
  if (name == names.end() || name->second != "lo") return false;
  const IpAddr& addr = own.prefix.addr;
  if (addr.is_v4()) return addr.bytes[12] != 127;
  return to_string(addr) != "::1";
}

}  // namespace

Result<BalancerFacts> examine_balancer(const std::vector<std::string>& ingress, const std::string& egress,
                                       const std::vector<IpPrefix>& vips) {
  const auto links = list_links();
  if (!links) return links.error();
  auto addresses = list_addresses();
  if (!addresses) return addresses.error();
  BalancerFacts facts;
  for (const std::string& name : ingress) {
    auto device = examine_device(name, *links);
    if (!device) return device.error();
    facts.ingress.push_back(std::move(*device));
  }
  auto device = examine_device(egress, *links);
  if (!device) return device.error();
  facts.egress = std::move(*device);
  facts.addresses = std::move(*addresses);
  facts.link_names = names_of(*links);
  facts.vips = vips;
  utsname system{};
  if (uname(&system) == 0) facts.kernel = system.release;
  facts.missing_capabilities = missing_capabilities();
  facts.bpf_error = try_bpf();
  facts.xdp_socket_error = try_xdp_socket();
  facts.has_bpffs = has_bpffs();
  facts.cores = cores();
  rlimit memlock{};
  if (getrlimit(RLIMIT_MEMLOCK, &memlock) == 0) facts.memlock_bytes = memlock.rlim_cur;
  facts.may_lock_memory = is_capable(CAP_IPC_LOCK);
  facts.huge_pages_free = meminfo("HugePages_Free:");
  facts.transparent_huge_pages =
      first_line("/sys/kernel/mm/transparent_hugepage/enabled").find("[never]") == std::string::npos;
  facts.forwards_ipv4 = number_in("/proc/sys/net/ipv4/ip_forward") != 0;
  facts.forwards_ipv6 = number_in("/proc/sys/net/ipv6/conf/all/forwarding") != 0;
  facts.irqbalance_runs = is_process_running("irqbalance");
  return facts;
}

Result<ServerFacts> examine_server(const std::string& device, const std::vector<IpAddr>& vips) {
  const auto links = list_links();
  if (!links) return links.error();
  auto addresses = list_addresses();
  if (!addresses) return addresses.error();
  ServerFacts facts;
  facts.default4 = default_device4();
  facts.default6 = default_device6();
  const std::string name = !device.empty() ? device : !facts.default4.empty() ? facts.default4 : facts.default6;
  if (name.empty()) return fail("There is no default route to tell the device on the balancer's segment: --dev DEV");
  auto link = query_link(name);
  if (!link) return link.error();
  facts.device = std::move(*link);
  facts.addresses = std::move(*addresses);
  facts.link_names = names_of(*links);
  facts.vips = vips;
  for (const LinkAddress& own : facts.addresses) {
    if (vips.empty() && is_vip(own, facts.link_names)) facts.vips.push_back(own.prefix.addr);
  }
  facts.arp_ignore = ipv4_setting(name, "arp_ignore");
  facts.arp_announce = ipv4_setting(name, "arp_announce");
  facts.rp_filter = ipv4_setting(name, "rp_filter");
  return facts;
}

}  // namespace xdplb
