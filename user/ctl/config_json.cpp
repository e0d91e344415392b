#include "user/ctl/config_json.h"

#include <netinet/in.h>

#include <charconv>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "user/ctl/config_names.h"
#include "user/ctl/json_reader.h"

namespace xdplb {
namespace {

using nlohmann::json;

constexpr uint32_t kConfigFileVersion = 1;

class ConfigReader {
 public:
  Result<Config> read(const json& root) {
    read_root(root);
    if (errors_.first()) return *errors_.first();
    if (auto ok = assign_identities(Config{}, config_); !ok) return ok.error();
    if (auto ok = validate_config(config_); !ok) return ok.error();
    return std::move(config_);
  }

 private:
  void read_root(const json& root) {
    JsonObject file(root, "", errors_);
    uint32_t version = kConfigFileVersion;
    file.number("version", version, kConfigFileVersion, kConfigFileVersion);
    file.number("hash_seed", config_.hash_seed, 0, std::numeric_limits<uint64_t>::max());
    std::string description;  // for the reader of the file
    file.string("description", description);
    file.array("targets", [&](const json& value, const std::string& path) { read_target(value, path); });
    file.array("groups", [&](const json& value, const std::string& path) { read_group(value, path); });
    file.array("services", [&](const json& value, const std::string& path) { read_service(value, path); });
    file.object("lb_tier", [&](JsonObject& tier) { read_lb_tier(tier); });
    file.refuse_unknown_keys();
  }

  void read_mac(const json& value, const std::string& path, MacAddr& mac) {
    const auto parsed = value.is_string() ? parse_mac(value.get<std::string>()) : Result<MacAddr>(fail("no text"));
    if (!parsed) return errors_.set(path, fmt::format("{} is not a MAC address", quote_json(value)));
    if (parsed->is_zero() || parsed->is_multicast()) {
      return errors_.set(path, fmt::format("{} is not the MAC of one device", quote_json(value)));
    }
    mac = *parsed;
  }

  void read_target(const json& value, const std::string& path) {
    JsonObject object(value, path, errors_);
    Target target;
    object.require("name");
    object.string("name", target.name);
    object.string("description", target.description);
    object.number("weight", target.weight, 0, kMaxWeight);
    object.choice("state", target.state, kTargetStateNames);
    object.choice("unreachable", target.unreachable, kUnreachableNames);
    if (object.has("mac")) {
      read_mac(value["mac"], object.path_of("mac"), target.mac);
      const auto [other, is_new] = target_of_mac_.emplace(to_string(target.mac), path);
      if (!is_new)
        errors_.set(object.path_of("mac"), fmt::format("{} is that of {} too", other->first, other->second));
    }
    if (object.has("address")) {
      const json& address = value["address"];
      const auto parsed =
          address.is_string() ? parse_ip(address.get<std::string>()) : Result<IpAddr>(fail("no text"));
      if (!parsed) {
        errors_.set(object.path_of("address"), fmt::format("{} is not an address", quote_json(address)));
      } else {
        target.address = *parsed;
      }
    }
    if (target.mac.is_zero() && !target.address && target.state != TargetState::down) {
      errors_.set(path, "needs \"mac\" or \"address\", unless its state is \"down\"");
    }
    object.refuse_unknown_keys();
    target_by_name_.emplace(target.name, static_cast<uint32_t>(config_.targets.size()));
    config_.targets.push_back(std::move(target));
  }

  void read_service(const json& value, const std::string& path) {
    JsonObject object(value, path, errors_);
    Service service;
    object.require("name");
    object.string("name", service.name);
    service.is_default = service.name == kDefaultServiceName;
    object.string("description", service.description);
    read_vips(object, "vips", service.vips);
    read_vips(object, "pass_vips", service.pass_vips);
    object.array("listen", [&](const json& element, const std::string& where) {
      read_listen(element, where, service.listen.emplace_back());
    });
    std::unordered_set<uint32_t> listed;
    object.array("targets", [&](const json& element, const std::string& where) {
      read_use(element, where, true, listed, service.targets);
    });
    object.number("need", service.need, 0, kMaxServiceTargets);
    object.number("table_size", service.table_size, kMinTableSize, kMaxTableSize);
    object.choice("on_empty", service.on_empty, kOnEmptyNames);
    object.choice("hash", service.hash_fields, kHashFieldsNames);
    object.choice("algorithm", service.algorithm, kAlgorithmNames);
    object.choice("fallback", service.fallback_pass, kFallbackNames);
    object.object("timeouts", [&](JsonObject& timeouts) {
      for (const auto& [name, member] : kTimeoutNames) {
        timeouts.number(std::string(name), service.timeouts.*member, 1, kMaxTimeout_s);
      }
    });
    object.number("flow_quota_percent", service.flow_quota_percent, 1, 100);
    object.number("embryonic_quota_percent", service.embryonic_quota_percent, 1, 100);
    object.refuse_unknown_keys();
    config_.services.push_back(std::move(service));
  }

  void read_vips(JsonObject& object, const std::string& key, std::vector<IpPrefix>& vips) {
    object.array(key, [&](const json& element, const std::string& path) {
      if (!element.is_string()) {
        return errors_.set(path, fmt::format("{} is not an address or prefix", quote_json(element)));
      }
      const auto vip = parse_prefix(element.get<std::string>());
      if (!vip) return errors_.set(path, vip.error().message);
      vips.push_back(*vip);
    });
  }

  void read_listen(const json& value, const std::string& path, Listen& listen) {
    JsonObject object(value, path, errors_);
    if (object.has("protocol")) {
      const auto protocol = read_protocol(value["protocol"]);
      if (protocol) {
        listen.protocol = *protocol;
      } else {
        errors_.set(
            object.path_of("protocol"),
            fmt::format("{} is no protocol: tcp, udp, sctp, icmp, any or 1 to 255", quote_json(value["protocol"])));
      }
    }
    if (object.has("ports") && value["ports"].is_array() && value["ports"].empty()) {
      errors_.set(object.path_of("ports"), "is empty; leave it out for all ports");
    }
    object.array("ports", [&](const json& element, const std::string& where) {
      if (const auto range = read_port_range(element)) return listen.ports.push_back(*range);
      errors_.set(where, fmt::format("{} is not a port or a range of ports", quote_json(element)));
    });
    object.refuse_unknown_keys();
  }

  static std::optional<uint8_t> read_protocol(const json& value) {
    if (value.is_number_unsigned() && value.get<uint64_t>() >= 1 && value.get<uint64_t>() <= 255) {
      return static_cast<uint8_t>(value.get<uint64_t>());
    }
    if (!value.is_string()) return std::nullopt;
    for (const auto& [name, number] : kProtocolNames) {
      if (name == value.get<std::string>()) return number;
    }
    return std::nullopt;
  }

  static std::optional<uint16_t> read_port(std::string_view text) {
    uint16_t port = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return port;
  }

  // 80, "80" or "5000-5010"
  static std::optional<PortRange> read_port_range(const json& value) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!value.is_string() && !value.is_number_unsigned()) return std::nullopt;
    const size_t dash = text.find('-');
    const auto first = read_port(std::string_view(text).substr(0, dash));
    const auto last = dash == std::string::npos ? first : read_port(std::string_view(text).substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    return PortRange{*first, *last};
  }

  // Groups are short for their targets: a service gets what they name, and nothing else remembers them.
  void read_group(const json& value, const std::string& path) {
    JsonObject object(value, path, errors_);
    std::string name;
    object.require("name");
    object.string("name", name);
    std::string description;  // for the reader of the file
    object.string("description", description);
    if (target_by_name_.contains(name)) {
      errors_.set(object.path_of("name"), fmt::format("\"{}\" is the name of a target too", name));
    }
    const auto [group, is_new] = groups_.try_emplace(name);
    if (!is_new) errors_.set(object.path_of("name"), fmt::format("\"{}\" is the name of another group too", name));
    auto& uses = group->second;  // clang 14 captures no structured binding
    std::unordered_set<uint32_t> listed;
    object.require("targets");
    object.array("targets", [&](const json& element, const std::string& where) {
      read_use(element, where, false, listed, uses);
    });
    object.refuse_unknown_keys();
  }

  // "vm-001" or {"name": "vm-001", "weight": 3}; in a service also the name of a group, which stands for its targets.
  // `listed`: those that the list has already.
  void read_use(const json& value, const std::string& path, bool or_group, std::unordered_set<uint32_t>& listed,
                std::vector<TargetUse>& uses) {
    TargetUse use;
    std::string name;
    if (value.is_string()) {
      name = value.get<std::string>();
    } else {
      JsonObject object(value, path, errors_);
      object.require("name");
      object.string("name", name);
      if (object.has("weight")) object.number("weight", use.weight.emplace(), 0, kMaxWeight);
      object.refuse_unknown_keys();
    }
    const auto group = groups_.find(name);
    if (or_group && group != groups_.end()) {
      if (use.weight) errors_.set(path + ".weight", fmt::format("\"{}\" is a group: weights are for targets", name));
      for (const TargetUse& member : group->second) add_use(member, path, listed, uses);
      return;
    }
    const auto target = target_by_name_.find(name);
    if (target == target_by_name_.end()) {
      return errors_.set(path,
                         fmt::format("\"{}\" is not the name of a target{}", name, or_group ? " or a group" : ""));
    }
    use.target = target->second;
    add_use(use, path, listed, uses);
  }

  void add_use(const TargetUse& use, const std::string& path, std::unordered_set<uint32_t>& listed,
               std::vector<TargetUse>& uses) {
    if (!listed.insert(use.target).second) {
      return errors_.set(path, fmt::format("\"{}\" is listed twice", config_.targets[use.target].name));
    }
    uses.push_back(use);
  }

  void read_lb_tier(JsonObject& object) {
    object.number("own_index", config_.lb_tier.own_index, 0, kMaxLbTier - 1);
    object.array("members", [&](const json& element, const std::string& path) {
      read_mac(element, path, config_.lb_tier.members.emplace_back());
    });
  }

  Config config_;
  JsonErrors errors_;
  std::unordered_map<std::string, uint32_t> target_by_name_;
  std::unordered_map<std::string, std::string> target_of_mac_;
  std::unordered_map<std::string, std::vector<TargetUse>> groups_;
};

}  // namespace

Result<Config> config_from_json(std::string_view text) {
  if (text.size() > kMaxConfigFileBytes) {
    return fail("{} bytes are too many for a configuration, at most {}", text.size(), kMaxConfigFileBytes);
  }
  const auto root = parse_json_strictly(text);
  if (!root) return root.error();
  return ConfigReader{}.read(*root);
}

}  // namespace xdplb
