#include "user/lb/neighbour_watch.h"

#include <algorithm>
#include <array>
#include <utility>

namespace xdplb {

std::string_view to_string(Reach reach) {
  static constexpr std::array<std::string_view, kReachCount> kNames = {"by mac",      "resolving", "reachable",
                                                                       "unreachable", "off-link",  "looping"};
  return kNames[static_cast<size_t>(reach)];
}

void NeighbourWatch::follow(const std::vector<IpAddr>& addresses) {
  std::map<IpAddr, Entry> next;
  for (const IpAddr& address : addresses) {
    const auto known = entries_.find(address);
    next.emplace(address, known == entries_.end() ? Entry{} : known->second);
  }
  entries_ = std::move(next);
}

void NeighbourWatch::set_own(std::vector<MacAddr> own) {
  own_ = std::move(own);
  changed_ = true;
  for (auto& [address, entry] : entries_) {
    if (entry.state.reach == Reach::reachable || entry.state.reach == Reach::looping) {
      settle(entry, Reach::reachable, entry.state.mac);
    }
  }
}

bool NeighbourWatch::would_loop(const MacAddr& mac) const {
  return mac.is_multicast() || std::find(own_.begin(), own_.end(), mac) != own_.end();
}

void NeighbourWatch::settle(Entry& entry, Reach reach, const MacAddr& mac) {
  if (!mac.is_zero()) entry.state.mac = mac;
  if (reach == Reach::reachable && would_loop(entry.state.mac)) reach = Reach::looping;
  entry.state.reach = entry.off_link ? Reach::off_link : reach;
}

void NeighbourWatch::heard(const IpAddr& address, NeighbourNews news, const MacAddr& mac) {
  const auto found = entries_.find(address);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.confirmed = news == NeighbourNews::confirmed;
  changed_ = true;
  switch (news) {
    case NeighbourNews::confirmed:
    case NeighbourNews::stale:
      if (!mac.is_zero()) settle(entry, Reach::reachable, mac);
      break;
    // While it is asked for again, what was last known of it holds.
    case NeighbourNews::pending: break;
    case NeighbourNews::failed: settle(entry, Reach::unreachable, {}); break;
  }
}

void NeighbourWatch::set_off_link(const IpAddr& address, bool off_link) {
  const auto found = entries_.find(address);
  if (found == entries_.end() || found->second.off_link == off_link) return;
  found->second.off_link = off_link;
  changed_ = true;
  settle(found->second, Reach::resolving, {});
}

void NeighbourWatch::doubt_all() {
  for (auto& [address, entry] : entries_) {
    entry.confirmed = false;
    entry.ask_at_ns = 0;
  }
}

std::vector<IpAddr> NeighbourWatch::take_due(uint64_t now_ns, size_t max) {
  std::vector<IpAddr> due;
  auto it = entries_.upper_bound(last_asked_);
  for (size_t seen = 0; seen < entries_.size() && due.size() < max; ++seen, ++it) {
    if (it == entries_.end()) it = entries_.begin();
    Entry& entry = it->second;
    last_asked_ = it->first;
    if ((entry.confirmed && !entry.off_link) || now_ns < entry.ask_at_ns) continue;
    entry.ask_at_ns = now_ns + kNeighbourAskEveryNs;
    due.push_back(it->first);
  }
  return due;
}

std::vector<ReachChange> NeighbourWatch::take_changes() {
  std::vector<ReachChange> changes;
  if (!std::exchange(changed_, false)) return changes;
  for (auto& [address, entry] : entries_) {
    if (entry.state == entry.told) continue;
    changes.push_back({address, entry.told, entry.state});
    entry.told = entry.state;
  }
  return changes;
}

std::optional<ReachState> NeighbourWatch::find(const IpAddr& address) const {
  const auto found = entries_.find(address);
  if (found == entries_.end()) return std::nullopt;
  return found->second.state;
}

bool NeighbourWatch::is_resolving() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry.second.state.reach == Reach::resolving; });
}

}  // namespace xdplb
