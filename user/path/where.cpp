#include "user/path/where.h"

#include <algorithm>

#include "user/base/clock.h"
#include "user/base/duration.h"
#include "user/net/flow_key_text.h"
#include "user/path/flow_queries.h"
#include "user/path/memory_device.h"

namespace xdplb {
namespace {

const Service* service_of(const Config& config, uint16_t id) {
  const auto found = std::find_if(config.services.begin(), config.services.end(),
                                  [id](const Service& service) { return service.id == id; });
  return found == config.services.end() ? nullptr : &*found;
}

const Target* target_of(const Config& config, uint16_t id) {
  const auto found = std::find_if(config.targets.begin(), config.targets.end(),
                                  [id](const Target& target) { return target.id == id; });
  return found == config.targets.end() ? nullptr : &*found;
}

// Words for one packet, gathered step by step.
class Account {
 public:
  Account(const WhereNow& now, uint64_t now_ns) : now_(now), now_ns_(now_ns) {}

  Result<Whereabouts> give(const KernelModel& kernel, std::span<const uint8_t> frame);

 private:
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    where_.steps.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  void end(const char* verdict, std::string step) {
    where_.verdict = verdict;
    where_.steps.push_back(std::move(step));
  }
  void drop(Reason reason) {
    where_.reason = reason_name(reason);
    end("drop",
        fmt::format("dropped: {}: {}", reason_name(reason), kReasonTexts[static_cast<size_t>(reason)].description));
  }

  void describe_packet(const PacketInfo& info);
  bool stays_with_kernel(KernelVerdict verdict, const PacketInfo& info);
  void tell_vip(const PacketInfo& info, uint16_t service);
  void look_for_flows(Trial& trial);
  [[nodiscard]] std::string why_ignored(const FlowHit& hit, const PacketInfo& info) const;
  void tell_flows();
  void tell_slot(const PacketInfo& info, uint16_t service);
  void tell_fragment(const TrialOutcome& outcome);
  void conclude(const TrialOutcome& outcome);
  void explain_difference(const TrialOutcome& outcome);
  [[nodiscard]] std::string name_of(uint16_t target) const {
    const Target* found = target_of(*now_.config, target);
    return found == nullptr ? "" : found->name;
  }

  const WhereNow& now_;
  uint64_t now_ns_;
  Whereabouts where_;
  FlowTarget followed_;  // of the flow that may be followed, if there is one
  bool follows_flow_ = false;
};

bool goes_by_flow(PacketKind kind) {
  return kind != PacketKind::icmp_echo && kind != PacketKind::later_fragment;
}

Result<Whereabouts> Account::give(const KernelModel& kernel, std::span<const uint8_t> frame) {
  TrialParts parts{.snapshot = now_.snapshot,
                   .tables = now_.slots->flows->readers(),
                   .fragments = {now_.slots->fragments, now_.slots->fragment_secret},
                   .live_peers = now_.slots->live_peers.load(std::memory_order_relaxed),
                   .rules = now_.rules,
                   .flow_secret = 0};
  if (!parts.tables.empty()) parts.flow_secret = parts.tables[0].secret();
  auto trial = Trial::create(std::move(parts), now_ns_);
  if (!trial) return trial.error();
  const Reason broken = (*trial)->parse(frame);
  const PacketInfo info = (*trial)->info();
  if (broken == Reason::none) describe_packet(info);
  if (stays_with_kernel(kernel.judge(frame), info)) return std::move(where_);
  if (now_.workers == 0) say("no worker runs: a device is away, and until it is back the VIP's fallback decides");
  if (broken != Reason::none || frame.size() > MemoryDevice::kPacketBytesMax) {
    drop(broken != Reason::none ? broken : Reason::too_big);
    return std::move(where_);
  }
  if (goes_by_flow(info.kind)) look_for_flows(**trial);
  const TrialOutcome outcome = (*trial)->run();
  if (outcome.fate != Fate::peer) {
    tell_vip(info, outcome.service);
    if (goes_by_flow(info.kind)) tell_flows();
    if (info.kind != PacketKind::later_fragment && outcome.service != kNoService) tell_slot(info, outcome.service);
  }
  tell_fragment(outcome);
  conclude(outcome);
  return std::move(where_);
}

void Account::describe_packet(const PacketInfo& info) {
  const FlowKey& key = info.key;
  where_.packet = fmt::format("{} {} -> {}", protocol_text(key.protocol), src_text(key), dst_text(key));
  switch (info.kind) {
    case PacketKind::icmp_error: where_.packet = "ICMP error about " + where_.packet; break;
    case PacketKind::icmp_echo: where_.packet = "echo " + where_.packet; break;
    case PacketKind::first_fragment: where_.packet = "first fragment of " + where_.packet; break;
    case PacketKind::later_fragment:
      where_.packet = fmt::format("fragment at {} of {} {} -> {}", info.fragment_offset, protocol_text(key.protocol),
                                  to_string(key.src), to_string(key.dst));
      break;
    case PacketKind::transport:
    case PacketKind::other: break;
  }
}

// Whether the program in the kernel leaves it to the host, and why.
bool Account::stays_with_kernel(KernelVerdict verdict, const PacketInfo& info) {
  const IpAddr& dst = info.key.dst;
  if (verdict == KernelVerdict::redirect) return false;
  if (where_.packet.empty()) {
    end("pass", "passes to the kernel: not a packet for a VIP");
    return true;
  }
  if (verdict == KernelVerdict::neighbour) {
    end("pass", "passes to the kernel: neighbour discovery is the host's own");
    return true;
  }
  if (verdict == KernelVerdict::not_ours && now_.is_operator_vip && now_.is_operator_vip(dst)) return false;
  tell_vip(info, kNoService);
  if (verdict == KernelVerdict::no_listen) {
    end("pass", fmt::format("stays with the kernel: no service of {} takes {}{}", where_.vip,
                            protocol_text(info.key.protocol),
                            has_ports(info.key.protocol) ? fmt::format(" port {}", info.key.dst_port) : ""));
  } else if (!where_.vip.empty()) {
    end("pass",
        fmt::format("passes to the kernel: no service of {} has a usable target, and on_empty is pass", where_.vip));
  } else {
    end("pass", fmt::format("passes to the kernel: {} is not a VIP", to_string(dst)));
  }
  return true;
}

// The longest prefix that some service has, and who takes the packet.
void Account::tell_vip(const PacketInfo& info, uint16_t service) {
  const IpPrefix* vip = nullptr;
  for (const Service& one : now_.config->services) {
    for (const IpPrefix& prefix : one.vips) {
      if (prefix.contains(info.key.dst) && (vip == nullptr || prefix.len > vip->len)) vip = &prefix;
    }
  }
  if (vip != nullptr) where_.vip = to_string(*vip);
  if (const Service* of = service_of(*now_.config, service); of != nullptr) {
    where_.service = of->name;
    const FlowKey& key = info.key;
    const bool port = has_ports(key.protocol) && info.kind != PacketKind::later_fragment;
    say("vip: {} of service {} ({}{})",
        where_.vip.empty() ? to_string(key.dst) + ", put into the map by hand," : where_.vip, of->name,
        protocol_text(key.protocol), port ? fmt::format(" {}", key.dst_port) : "");
  } else if (vip != nullptr) {
    say("vip: {}", where_.vip);
  }
}

// All entries with the packet's key. One that may be followed comes first: its worker is the one that gets the
// packet.
void Account::look_for_flows(Trial& trial) {
  const std::vector<FlowReader> tables = now_.slots->flows->readers();
  const auto matcher = FlowMatcher::create({}, *now_.config);
  std::optional<size_t> best;
  uint64_t best_idle_ns = 0;
  for (size_t t = 0; t < tables.size(); ++t) {
    const FlowHit hit = tables[t].find(tables[t].hash(trial.info().key), now_ns_);
    const auto flow = hit ? tables[t].read(hit.slot, now_ns_) : std::nullopt;
    if (!flow || !(flow->key == trial.info().key)) continue;
    WhereFlow found{flow_line(*matcher, static_cast<uint32_t>(t), *flow), "", why_ignored(hit, trial.info())};
    if (found.line.target.empty()) {
      const TargetChange* change = now_.history->of(flow->target);
      if (change != nullptr) found.line.target = change->name;
    } else {
      found.target_state = what_it_takes(*target_of(*now_.config, flow->target.id));
    }
    if (found.ignored.empty() && (!best || found.line.idle_ns < best_idle_ns)) {
      best = t;
      best_idle_ns = found.line.idle_ns;
      followed_ = flow->target;
    }
    where_.flows.push_back(std::move(found));
  }
  if (!best) return;
  follows_flow_ = true;
  trial.prefer(*best);
}

std::string Account::why_ignored(const FlowHit& hit, const PacketInfo& info) const {
  const FlowTarget target = hit.target();
  const auto& targets = now_.snapshot->targets;
  if (target.id >= targets.size() || !targets[target.id].keeps_flows(target.epoch)) {
    if (const TargetChange* change = now_.history->of(target); change != nullptr) return change->text();
    const bool is_there = target.id < targets.size() && targets[target.id].epoch == target.epoch;
    return is_there ? fmt::format("{} is {}", name_of(target.id), what_it_takes(*target_of(*now_.config, target.id)))
                    : "its target is gone";
  }
  const bool anew = info.kind != PacketKind::icmp_error && starts_anew(hit.state, info.tcp_flags);
  return anew ? "a SYN after its end begins a new one" : "";
}

void Account::tell_flows() {
  for (const WhereFlow& flow : where_.flows) {
    const FlowLine& line = flow.line;
    const std::string state =
        flow.target_state.empty() || flow.target_state == "active" ? "" : fmt::format(" ({})", flow.target_state);
    say("flow: {} {}, {}, age {}, idle {} -> {}{}{}",
        line.worker < now_.workers ? "worker" : "table without a worker", line.worker, line.state,
        duration_text(line.age_ns), duration_text(line.idle_ns),
        line.target.empty() ? "a target that is gone" : line.target, state,
        flow.ignored.empty() ? "" : fmt::format("; not followed: {}", flow.ignored));
  }
  if (where_.flows.empty()) {
    say("flow: none in the tables of {} worker{}", now_.workers, now_.workers == 1 ? "" : "s");
  }
}

void Account::tell_slot(const PacketInfo& info, uint16_t id) {
  const SnapshotService& service = now_.snapshot->services[id];
  const uint32_t slot = service.slot(now_.snapshot->steering_hash(info.key, service.hash_fields));
  const uint16_t target = (*service.table)[slot];
  where_.slot = {slot, service.table_size, "", ""};
  const char* by = service.hash_fields == HashFields::five_tuple  ? ""
                   : service.hash_fields == HashFields::addresses ? ", by the addresses alone,"
                                                                  : ", by the source address alone,";
  if (target == kNoTarget) {
    say("table slot {} of {}{} -> none: the service has no target that takes new flows", slot, service.table_size,
        by);
    return;
  }
  where_.slot->target = name_of(target);
  where_.slot->mac = to_string(now_.snapshot->targets[target].mac);
  say("table slot {} of {}{} -> {} {}", slot, service.table_size, by, where_.slot->target, where_.slot->mac);
}

void Account::tell_fragment(const TrialOutcome& outcome) {
  const bool later = outcome.info.kind == PacketKind::later_fragment;
  if (outcome.fate == Fate::peer || (!later && outcome.info.kind != PacketKind::first_fragment)) return;
  if (outcome.datagram) {
    say("fragment: datagram {} was given to {}", outcome.info.fragment_id, name_of(outcome.datagram->target.id));
  } else if (later) {
    say("fragment: the first one of datagram {} has not come", outcome.info.fragment_id);
  }
}

void Account::conclude(const TrialOutcome& outcome) {
  switch (outcome.fate) {
    case Fate::drop: drop(outcome.reason); return;
    case Fate::hold: end("hold", "held: until the first fragment comes, or its time is up"); return;
    case Fate::peer:
      end("peer",
          fmt::format("goes to balancer {} of the tier, MAC {}: it owns the fragments between these addresses",
                      outcome.peer, to_string(now_.snapshot->tier.mac(outcome.peer))));
      return;
    case Fate::forward: break;
  }
  where_.target = name_of(outcome.target);
  where_.mac = to_string(now_.snapshot->targets[outcome.target].mac);
  where_.decided_by = outcome.datagram ? "fragment" : follows_flow_ ? "flow" : "table";
  end("forward", fmt::format("goes to: {}, MAC {}: the {} decides", where_.target, where_.mac,
                             outcome.datagram ? "first fragment" : where_.decided_by));
  explain_difference(outcome);
}

void Account::explain_difference(const TrialOutcome& outcome) {
  if (!follows_flow_ || !where_.slot || where_.slot->target == where_.target || followed_.id != outcome.target)
    return;
  const TargetChange* change = now_.history->of(followed_);
  if (change == nullptr || what_it_takes(*target_of(*now_.config, followed_.id)) == "active") {
    change = now_.history->latest();
  }
  where_.differs = change != nullptr ? change->text() : "the table has changed since, before this daemon started";
  say("they differ because {}", where_.differs);
  const bool others_look = now_.snapshot->any_draining || now_.slots->flows->size() > now_.workers;
  if (outcome.info.kind != PacketKind::icmp_error && now_.workers > 1 && !others_look) {
    say("other workers would go by the table: they look for each other's flows only while a target drains");
  }
}

}  // namespace

Result<WhereAnswer> Where::where(const std::vector<std::vector<uint8_t>>& frames) {
  const WhereNow now = now_();
  if (!kernel_ || kernel_version_ != now.snapshot->version) {
    kernel_.emplace(kernel_vips(*now.config));
    kernel_version_ = now.snapshot->version;
  }
  WhereAnswer answer{now.snapshot->generation, {}};
  for (const std::vector<uint8_t>& frame : frames) {
    auto one = Account(now, monotonic_ns()).give(*kernel_, frame);
    if (!one) return one.error();
    answer.packets.push_back(std::move(*one));
  }
  return answer;
}

}  // namespace xdplb
