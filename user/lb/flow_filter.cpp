#include "user/lb/flow_filter.h"

#include <algorithm>
#include <charconv>

#include "user/base/duration.h"
#include "user/lb/flow_geometry.h"
#include "user/net/flow_key_text.h"

namespace xdplb {
namespace {

constexpr std::string_view kKeys =
    "service, target, state, worker, proto, src, dst, sport, dport, min-idle, max-idle, min-age, max-age";
constexpr std::string_view kStates = "syn, unconfirmed, established, fin, rst, udp, other";

template <typename Int>
std::optional<Int> parse_number(std::string_view text) {
  Int value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<FlowState> parse_state(std::string_view text) {
  for (uint32_t s = 1; s < kFlowStates; ++s) {
    if (text == to_string(static_cast<FlowState>(s))) return static_cast<FlowState>(s);
  }
  return std::nullopt;
}

std::optional<IpPrefix> parse_net(std::string_view text) {
  const auto prefix = parse_prefix(text);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

std::optional<std::string> parse_name(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional(std::string(text));
}

// One term: its key, and its values taken one by one by whatever reads that kind.
class Term {
 public:
  Term(std::string_view key, std::string_view values) : key_(key), values_(values) {}

  template <typename List, typename Parse>
  Result<void> read(List& out, Parse parse, std::string_view what) const {
    for (std::string_view rest = values_;;) {
      const std::string_view one = rest.substr(0, rest.find(','));
      const auto value = parse(one);
      if (!value) return fail("Invalid filter [{}={}]: [{}] is not {}", key_, values_, one, what);
      out.insert(out.end(), *value);
      if (one.size() == rest.size()) return {};
      rest.remove_prefix(one.size() + 1);
    }
  }
  Result<void> read_duration(uint64_t& out) const {
    const auto ns = parse_duration_ns(values_);
    if (!ns) return fail("Invalid filter [{}={}]: a number and ms, s, m or h, as 30s", key_, values_);
    out = *ns;
    return {};
  }
  Result<void> apply(FlowFilter& to) const {
    if (key_ == "service") return read(to.services, parse_name, "a name");
    if (key_ == "target") return read(to.targets, parse_name, "a name");
    if (key_ == "state") return read(to.states, parse_state, fmt::format("one of {}", kStates));
    if (key_ == "worker") return read(to.workers, parse_number<uint32_t>, "a number");
    if (key_ == "proto") return read(to.protocols, parse_protocol, "tcp, udp, sctp, icmp, or a number");
    if (key_ == "src") return read(to.src, parse_net, "an address or prefix");
    if (key_ == "dst") return read(to.dst, parse_net, "an address or prefix");
    if (key_ == "sport") return read(to.src_ports, parse_number<uint16_t>, "a port");
    if (key_ == "dport") return read(to.dst_ports, parse_number<uint16_t>, "a port");
    if (key_ == "min-idle") return read_duration(to.idle.least_ns);
    if (key_ == "max-idle") return read_duration(to.idle.most_ns);
    if (key_ == "min-age") return read_duration(to.age.least_ns);
    if (key_ == "max-age") return read_duration(to.age.most_ns);
    return fail("Invalid filter [{}={}]: KEY is one of {}", key_, values_, kKeys);
  }

 private:
  std::string_view key_;
  std::string_view values_;
};

template <typename Set, typename Value>
bool allows(const Set& set, const Value& value) {
  return set.empty() || set.count(value) != 0;
}

bool allows_addr(const std::vector<IpPrefix>& list, const IpAddr& addr) {
  return list.empty() || std::any_of(list.begin(), list.end(), [&](const IpPrefix& p) { return p.contains(addr); });
}

template <typename Named>
Result<void> check_names(const NameSet& names, const std::map<uint16_t, Named>& known, std::string_view what) {
  for (const std::string& name : names) {
    const bool found =
        std::any_of(known.begin(), known.end(), [&](const auto& entry) { return entry.second.name == name; });
    if (!found) return fail("Unknown {} [{}]", what, name);
  }
  return {};
}

}  // namespace

Result<FlowFilter> parse_flow_filter(std::span<const std::string> terms) {
  FlowFilter filter;
  std::set<std::string_view> seen;
  for (const std::string& text : terms) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return fail("Invalid filter [{}]: KEY=VALUE, KEY is one of {}", text, kKeys);
    const std::string_view key = std::string_view(text).substr(0, equals);
    if (!seen.insert(key).second) return fail("Invalid filter [{}]: {} is given twice; use commas", text, key);
    if (auto r = Term(key, std::string_view(text).substr(equals + 1)).apply(filter); !r) return r.error();
  }
  return filter;
}

Result<FlowMatcher> FlowMatcher::create(const FlowFilter& filter, const Config& config) {
  FlowMatcher matcher;
  matcher.filter_ = filter;
  for (const Service& s : config.services) {
    matcher.services_[s.id] = {s.name, make_flow_policy(s, kMinFlows).timeouts};
  }
  for (const Target& t : config.targets) matcher.targets_[t.id] = {t.name, t.epoch};
  if (auto r = check_names(filter.services, matcher.services_, "service"); !r) return r.error();
  if (auto r = check_names(filter.targets, matcher.targets_, "target"); !r) return r.error();
  return matcher;
}

uint64_t FlowMatcher::idle_ns(const FlowRecord& flow) const {
  const auto service = services_.find(flow.service);
  if (service == services_.end()) return 0;
  const uint64_t timeout_ns = uint64_t{service->second.timeouts.of(flow.state)} << kTickShift;
  return timeout_ns - std::min(timeout_ns, flow.expires_in_ns);
}

FlowNames FlowMatcher::names(const FlowRecord& flow) const {
  FlowNames names;
  const auto service = services_.find(flow.service);
  if (service != services_.end()) names.service = service->second.name;
  const auto target = targets_.find(flow.target.id);
  if (target != targets_.end() && target->second.epoch == flow.target.epoch) names.target = target->second.name;
  names.idle_ns = idle_ns(flow);
  return names;
}

bool FlowMatcher::matches(uint32_t worker, const FlowRecord& flow) const {
  const FlowKey& key = flow.key;
  if (!allows(filter_.states, flow.state) || !allows(filter_.workers, worker)) return false;
  if (!allows(filter_.protocols, key.protocol) || !filter_.age.contains(flow.age_ns)) return false;
  if (!allows(filter_.src_ports, key.src_port) || !allows(filter_.dst_ports, key.dst_port)) return false;
  if (!allows_addr(filter_.src, key.src) || !allows_addr(filter_.dst, key.dst)) return false;
  const FlowNames of = names(flow);
  return allows(filter_.services, of.service) && allows(filter_.targets, of.target) &&
         filter_.idle.contains(of.idle_ns);
}

}  // namespace xdplb
