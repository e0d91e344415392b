// Config: what the balancer is told to do, as plain values. The CLI and the configuration file make one, shared
// memory carries it (user/ctl/shared_memory), validate_config says whether it makes sense, and compile_snapshot turns
// it into what workers read. Any thread; copied freely; never on the packet path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "user/base/limits.h"
#include "user/base/result.h"
#include "user/net/ip.h"
#include "user/net/mac.h"

namespace xdplb {

// active: old and new flows. draining: only flows that it has. down: none.
enum class TargetState : uint8_t { active, draining, down };

// What becomes of a target with an address whose neighbour does not answer: taken out as if it were down, or kept
// with the last MAC that was known.
enum class Unreachable : uint8_t { remove, keep };

// Where a packet goes that finds no usable target in its service.
enum class OnEmpty : uint8_t { drop, pass };

// What of a packet the choice of a target depends on.
enum class HashFields : uint8_t { five_tuple, addresses, source };

// How a service's table is filled.
enum class Algorithm : uint8_t { maglev, rendezvous, modulo };

// What `activate` and `deactivate` say of a target that comes from a file: it stands above the file until `reset`.
struct ByHand {
  TargetState state = TargetState::active;
  std::optional<MacAddr> mac;
  friend bool operator==(const ByHand&, const ByHand&) = default;
};

// `mac` and `state` are what the file says, or, without a file, what commands said. What counts is what
// effective_mac() and effective_state() return; who carries a configuration from one place to another alone looks at
// the members.
struct Target {
  // What the target is, for the tables: never changes while it exists. Made by `activate INDEX`: the decimal index.
  std::string name;
  MacAddr mac;                    // zero: not known (yet): the target is unusable, whatever its state
  std::optional<IpAddr> address;  // where the MAC is to be found by neighbour discovery
  uint32_t weight = 1;            // 1..kMaxWeight; 0 = draining
  TargetState state = TargetState::active;
  std::optional<ByHand> by_hand;
  Unreachable unreachable = Unreachable::remove;
  // Names the target in flow tables. The writer of a configuration keeps both for a name that stays and takes a fresh
  // pair for a new name (assign_identities), so a flow never changes hands because an id was used again.
  uint16_t id = 0;     // < kMaxTargets, unique in a Config
  uint16_t epoch = 0;  // counts the uses of the id
  std::string description;

  [[nodiscard]] MacAddr effective_mac() const { return by_hand && by_hand->mac ? *by_hand->mac : mac; }
  [[nodiscard]] TargetState effective_state() const { return by_hand ? by_hand->state : state; }
  [[nodiscard]] bool has_mac() const { return !effective_mac().is_zero(); }
  friend bool operator==(const Target&, const Target&) = default;
};

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 65535;  // inclusive
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

inline constexpr uint8_t kAnyProtocol = 0;

struct Listen {
  uint8_t protocol = kAnyProtocol;  // IPPROTO_*; IPPROTO_ICMP stands for ICMPv6 too
  std::vector<PortRange> ports;     // empty: all; only for TCP, UDP and SCTP
  friend bool operator==(const Listen&, const Listen&) = default;
};

struct TargetUse {
  uint32_t target = 0;             // index into Config::targets
  std::optional<uint32_t> weight;  // overrides the target's; 0 = draining in this service
  friend bool operator==(const TargetUse&, const TargetUse&) = default;
};

// Seconds without a packet after which a flow is forgotten.
struct Timeouts {
  uint32_t tcp_syn_s = 30;
  uint32_t tcp_established_s = 900;
  uint32_t tcp_fin_s = 30;
  uint32_t tcp_rst_s = 5;
  uint32_t udp_s = 60;
  uint32_t other_s = 60;
  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

struct Service {
  std::string name;
  uint16_t id = 0;  // as a target's: kept while the name stays; < kMaxServices, unique in a Config
  std::vector<IpPrefix> vips;
  std::vector<Listen> listen;  // empty: every protocol and port
  std::vector<TargetUse> targets;
  uint32_t table_size = 10007;  // prime
  uint32_t need = 1;            // usable targets without which the service is not ready; 0: ready in any case
  OnEmpty on_empty = OnEmpty::drop;
  HashFields hash_fields = HashFields::five_tuple;
  Algorithm algorithm = Algorithm::maglev;
  Timeouts timeouts;
  // Shares of a worker's flow table that this service may fill, in percent: in all, and with flows not yet
  // established (SYN seen only).
  uint32_t flow_quota_percent = 50;
  uint32_t embryonic_quota_percent = 10;
  // The service of `init` and `activate`: also takes what is addressed to a VIP that no service names.
  bool is_default = false;
  // What happens to a packet for a VIP when no socket serves it: DROP, or PASS for all of them, or for some.
  bool fallback_pass = false;
  std::vector<IpPrefix> pass_vips;  // some of `vips`
  std::string description;
  friend bool operator==(const Service&, const Service&) = default;
};

// The load balancers of a cluster that share the work on fragments (config key lb_tier): each owns a share of the
// address hashes.
struct LbTier {
  uint32_t own_index = 0;
  std::vector<MacAddr> members;  // ingress MACs, own included; empty: no tier
  friend bool operator==(const LbTier&, const LbTier&) = default;
};

// Where a configuration came from.
struct ConfigOrigin {
  std::string file;            // the path given to `apply` or `lb --config`; empty: set up by hand, with commands
  bool names_default = false;  // whether the default service is the file's; else it is that of `init`
  friend bool operator==(const ConfigOrigin&, const ConfigOrigin&) = default;
};

struct Config {
  ConfigOrigin origin;
  uint64_t hash_seed = 0;
  std::vector<Target> targets;
  std::vector<Service> services;
  LbTier lb_tier;
  // The newest epoch given out: every new target takes a newer one, so an id that is used again is told apart. It
  // wraps; a flow entry that is not refreshed for 65536 changes has long expired.
  uint16_t last_epoch = 0;
  friend bool operator==(const Config&, const Config&) = default;
};

// The name of the default service, and of no other.
inline constexpr std::string_view kDefaultServiceName = "default";

inline constexpr size_t kMaxDescriptionLen = 255;     // bytes
inline constexpr size_t kMaxOriginLen = 4095;         // bytes of a path
inline constexpr size_t kMaxListens = 256;            // of a service
inline constexpr size_t kMaxPortRanges = 1024;        // of a listener
inline constexpr size_t kMaxLbTier = 64;              // balancers of a cluster
inline constexpr uint32_t kMaxTimeout_s = 7 * 86400;  // a flow without a packet for a week is none

// What `init --m --n` makes: the default service with n targets named "0".."n-1", all down and without MAC.
Config make_default_config(uint32_t table_size, uint32_t targets);

// Everything that must hold of a Config, from wherever it came. The error names the path and the value:
// `services[0].table_size: 10000 is not prime (9973 is)`.
Result<void> validate_config(const Config& config);

// Gives the targets of `next` their id and epoch: those of the same name in `previous`, else a free id with a higher
// epoch than it ever had; and the services their id likewise. Error where there are more than ids.
Result<void> assign_identities(const Config& previous, Config& next);

// Whether new flows go to the target, as far as a configuration can tell: active, with a weight, and a MAC or an
// address at which one may be found.
bool takes_new_flows(const Config& config, const TargetUse& use);

// How many of the service's targets do.
size_t count_usable_targets(const Config& config, const Service& service);

// Which targets commands own, by their place in config.targets: they write values, not marks above those of a file.
// All where no file is in force, else those that only the default service of `init` uses.
std::vector<bool> targets_set_up_by_hand(const Config& config);

// Whether the fallback of this VIP of the service is PASS.
bool falls_back_to_pass(const Service& service, const IpPrefix& vip);

const Service* find_service(const Config& config, std::string_view name);
Service* default_service(Config& config);
const Service* default_service(const Config& config);

}  // namespace xdplb
