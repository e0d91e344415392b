#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "user/base/limits.h"
#include "user/ctl/netdev_features.h"
#include "user/path/doctor_findings.h"

namespace xdplb {

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::ok: return "ok";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "?";
}

namespace {

constexpr uint32_t kNativeMtuMax = 3498;  // what fits a page beside the driver's headroom, on most drivers

// Ingress devices, and the egress device where it is another one.
std::vector<const DeviceFacts*> devices_of(const BalancerFacts& facts) {
  std::vector<const DeviceFacts*> devices;
  for (const DeviceFacts& device : facts.ingress) devices.push_back(&device);
  const bool one_arm = std::any_of(devices.begin(), devices.end(), [&](const DeviceFacts* d) {
    return d->link.ifindex == facts.egress.link.ifindex;
  });
  if (!one_arm) devices.push_back(&facts.egress);
  return devices;
}

void check_kernel(const BalancerFacts& facts, Findings& f) {
  uint32_t major = 0, minor = 0;
  const char* end = facts.kernel.data() + facts.kernel.size();
  const char* dot = std::from_chars(facts.kernel.data(), end, major).ptr;
  if (dot != end) std::from_chars(dot + 1, end, minor);
  if (major < 5 || (major == 5 && minor < 15)) {
    return f.error(fmt::format("kernel {}", facts.kernel), "the programs need 5.15 or later", "");
  }
  f.ok(fmt::format("kernel {}", facts.kernel));
}

void check_capabilities(const BalancerFacts& facts, Findings& f) {
  if (facts.missing_capabilities.empty()) return f.ok("the capabilities that `lb` needs are there");
  f.error(fmt::format("{} missing", fmt::join(facts.missing_capabilities, ", ")),
          "without them no program is loaded and no socket opened", "run as root, or grant them to the service");
}

void check_bpf(const BalancerFacts& facts, Findings& f) {
  if (facts.bpf_error.empty()) return f.ok("a BPF program can be loaded");
  f.error(fmt::format("no BPF program can be loaded: {}", facts.bpf_error),
          "the VIPs' packets are redirected by one; a container or lockdown may forbid it", "");
}

void check_xdp_socket(const BalancerFacts& facts, Findings& f) {
  if (facts.xdp_socket_error.empty()) return f.ok("AF_XDP sockets can be made");
  f.error(fmt::format("no AF_XDP socket can be made: {}", facts.xdp_socket_error),
          "packets come up through them; the kernel needs CONFIG_XDP_SOCKETS", "");
}

void check_bpffs(const BalancerFacts& facts, Findings& f) {
  if (facts.has_bpffs) return f.ok("a bpffs is mounted at /sys/fs/bpf");
  f.error("no bpffs at /sys/fs/bpf", "`lb` pins its program and maps there, and bpftool looks for them there",
          "mount -t bpf bpf /sys/fs/bpf");
}

void check_links(const BalancerFacts& facts, Findings& f) {
  for (const DeviceFacts* device : devices_of(facts)) {
    const LinkInfo& link = device->link;
    const std::string& name = link.name;
    if (link.kind == "bond" || link.kind == "bridge" || link.kind == "vlan" || link.kind == "team") {
      f.error(fmt::format("{} is a {}", name, link.kind), "AF_XDP works on the devices below it",
              "give the devices below it: --idev=DEV,DEV");
    } else if (!link.is_up()) {
      f.error(fmt::format("{} is down", name), "`lb` refuses a device that is down",
              fmt::format("ip link set dev {} up", name));
    } else if (!link.has_carrier()) {
      f.error(fmt::format("{} has no carrier", name), "its cable or its other end is down", "");
    } else {
      f.ok(fmt::format("{} is up", name));
    }
  }
}

void check_drivers(const BalancerFacts& facts, Findings& f) {
  for (const DeviceFacts* device : devices_of(facts)) {
    const std::string driver = device->driver.empty() ? "unknown" : device->driver;
    if (!device->xdp_features) {
      f.ok(
          fmt::format("{}: driver {}; this kernel does not tell what it can do with XDP", device->link.name, driver));
    } else if (*device->xdp_features == 0) {
      f.warning(fmt::format("{}: driver {} has no native XDP", device->link.name, driver),
                "generic XDP is slower and loses packets that GRO has joined", "");
    } else {
      const bool zero_copy = (*device->xdp_features & kXdpFeatureZeroCopy) != 0;
      f.ok(fmt::format("{}: driver {}, native XDP, {}", device->link.name, driver,
                       zero_copy ? "zero copy" : "no zero copy: each packet is copied once"));
    }
  }
}

void check_queues(const BalancerFacts& facts, Findings& f) {
  uint32_t rx = 0;
  for (const DeviceFacts& device : facts.ingress) {
    rx += device.channels.rx;
    if (device.channels.rx <= kMaxQueues) continue;
    f.error(fmt::format("{} has {} receive queues", device.link.name, device.channels.rx),
            fmt::format("`lb` serves {} of a device", kMaxQueues),
            fmt::format("ethtool -L {} combined {}", device.link.name, kMaxQueues));
  }
  const uint32_t workers = std::min(rx, facts.egress.channels.tx);
  if (workers > facts.cores) {
    f.warning(fmt::format("{} workers for {} cores", workers, facts.cores),
              "workers that share a core wait for each other",
              fmt::format("ethtool -L {} combined {}", facts.ingress.front().link.name, facts.cores));
  } else {
    f.ok(fmt::format("{} receive queue{}, {} of {} to send on: {} worker{} on {} core{}", rx, rx == 1 ? "" : "s",
                     facts.egress.channels.tx, facts.egress.link.name, workers, workers == 1 ? "" : "s", facts.cores,
                     facts.cores == 1 ? "" : "s"));
  }
}

void check_offloads(const BalancerFacts& facts, Findings& f) {
  for (const DeviceFacts& device : facts.ingress) {
    const std::string& name = device.link.name;
    if (!device.offloads) {
      f.ok(fmt::format("{} does not tell its offloads", name));
      continue;
    }
    const size_t before = f.list.size();
    if (device.offloads->gro) {
      f.warning(fmt::format("{}: gro is on", name),
                "packets that it joins do not fit a frame and are dropped as too_big, where XDP runs behind it",
                fmt::format("ethtool -K {} gro off", name));
    }
    if (device.offloads->lro) {
      f.error(fmt::format("{}: lro is on", name), "drivers refuse native XDP with it, and joined packets are lost",
              fmt::format("ethtool -K {} lro off", name));
    }
    if (device.offloads->rxvlan && device.has_vlans) {
      f.warning(fmt::format("{}: rxvlan is on, and VLANs are used", name),
                "a tag that the card takes away is invisible to us: servers get untagged frames",
                fmt::format("ethtool -K {} rxvlan off", name));
    }
    if (f.list.size() == before) f.ok(fmt::format("{}: none that harms", name));
  }
}

void check_mtu(const BalancerFacts& facts, Findings& f) {
  for (const DeviceFacts& device : facts.ingress) {
    const uint32_t in = device.link.mtu, out = facts.egress.link.mtu;
    if (in > out) {
      f.error(fmt::format("MTU {} of {} is below {} of {}", out, facts.egress.link.name, in, device.link.name),
              "frames go out as they came in: longer ones are dropped as too_big",
              fmt::format("ip link set dev {} mtu {}", facts.egress.link.name, in));
    } else if (in > kNativeMtuMax) {
      f.warning(fmt::format("MTU {} of {}", in, device.link.name),
                "most drivers take native XDP only where a packet fits one page",
                fmt::format("ip link set dev {} mtu 1500", device.link.name));
    } else {
      f.ok(fmt::format("{}: {}, {}: {}", device.link.name, in, facts.egress.link.name, out));
    }
  }
}

void check_vips(const BalancerFacts& facts, Findings& f) {
  for (const IpPrefix& vip : facts.vips) {
    for (const LinkAddress& own : facts.addresses) {
      const IpPrefix address{own.prefix.addr, 128};
      if (!vip.contains(address.addr)) continue;
      const auto name = facts.link_names.find(own.ifindex);
      const std::string device = name == facts.link_names.end() ? "?" : name->second;
      f.error(fmt::format("VIP {} contains {}, an address of {}", to_string(vip), to_string(address.addr), device),
              "the balancer must not have a VIP: the host would answer for it, or be cut off from its own address",
              fmt::format("ip addr del {} dev {}", to_string(own.prefix), device));
    }
  }
  if (!f.list.empty()) return;
  f.ok(facts.vips.empty() ? std::string("no VIPs are configured yet")
                          : fmt::format("{} VIP{}, none of them an address of this host", facts.vips.size(),
                                        facts.vips.size() == 1 ? "" : "s"));
}

void check_rss(const BalancerFacts& facts, Findings& f) {
  for (const DeviceFacts& device : facts.ingress) {
    const std::string& name = device.link.name;
    if (device.channels.rx < 2) continue;
    for (const auto& [hashed, flow] :
         {std::pair(device.udp4_ports_hashed, "udp4"), {device.udp6_ports_hashed, "udp6"}}) {
      if (!hashed || *hashed) continue;
      f.warning(fmt::format("{}: RSS does not look at the ports of {}", name, flow),
                "all UDP packets between two addresses come to one queue, so to one worker",
                fmt::format("ethtool -N {} rx-flow-hash {} sdfn", name, flow));
    }
  }
  if (f.list.empty()) f.ok("nothing keeps RSS from spreading packets over the queues");
}

void check_memory(const BalancerFacts& facts, Findings& f) {
  constexpr uint64_t kEnoughBytes = uint64_t{1} << 30;
  if (!facts.may_lock_memory && facts.memlock_bytes < kEnoughBytes) {
    f.error(fmt::format("at most {} KiB of memory may be locked", facts.memlock_bytes >> 10),
            "packet memory is locked: some 60 MiB a worker", "ulimit -l unlimited, or LimitMEMLOCK=infinity");
  } else {
    f.ok("packet memory can be locked");
  }
  if (facts.huge_pages_free == 0 && !facts.transparent_huge_pages) {
    f.warning("no huge pages", "packet memory on small pages costs a TLB miss a packet",
              "sysctl -w vm.nr_hugepages=128");
  } else {
    f.ok(facts.huge_pages_free != 0 ? fmt::format("{} huge pages are free", facts.huge_pages_free)
                                    : "transparent huge pages");
  }
}

void check_forwarding(const BalancerFacts& facts, Findings& f) {
  const char* const why =
      "what falls back to the kernel while no worker serves would be routed: VIP packets loop to the router";
  if (facts.forwards_ipv4) f.warning("the host forwards IPv4", why, "sysctl -w net.ipv4.ip_forward=0");
  if (facts.forwards_ipv6) f.warning("the host forwards IPv6", why, "sysctl -w net.ipv6.conf.all.forwarding=0");
  if (f.list.empty()) f.ok("the host forwards nothing by itself");
}

void check_interrupts(const BalancerFacts& facts, Findings& f) {
  if (!facts.irqbalance_runs) return f.ok("irqbalance does not run");
  f.warning("irqbalance runs", "it moves the devices' interrupts onto the workers' cores",
            "systemctl disable --now irqbalance");
}

constexpr Check<BalancerFacts> kChecks[] = {
    {"kernel", check_kernel},
    {"capabilities", check_capabilities},
    {"bpf", check_bpf},
    {"af_xdp", check_xdp_socket},
    {"bpffs", check_bpffs},
    {"link", check_links},
    {"driver", check_drivers},
    {"queues", check_queues},
    {"offloads", check_offloads},
    {"mtu", check_mtu},
    {"vips", check_vips},
    {"rss", check_rss},
    {"memory", check_memory},
    {"forwarding", check_forwarding},
    {"interrupts", check_interrupts},
};

}  // namespace

std::vector<Finding> check_balancer(const BalancerFacts& facts) {
  return run_checks(kChecks, facts);
}

}  // namespace xdplb
