#include "user/path/neighbour_control.h"

#include <poll.h>

#include <map>

#include "user/base/clock.h"
#include "user/base/log.h"

namespace xdplb {
namespace {

constexpr uint64_t kTickEveryNs = 100'000'000;
constexpr size_t kAsksPerTick = 512;  // some 10 ms

bool is_followed(const Target& target) {
  return target.address && !target.has_mac();
}

// Nothing where it lies on the device itself.
std::optional<std::string> why_off_link(const Route& route, const LinkInfo& egress) {
  if (route.is_local) return "it is this host's own";
  if (route.gateway) return fmt::format("it is reached through the gateway {}", to_string(*route.gateway));
  if (route.ifindex == egress.ifindex) return std::nullopt;
  const auto other = query_link(route.ifindex);
  return fmt::format("it is reached through [{}]", other ? other->name : std::to_string(route.ifindex));
}

// Gone, and yet sent to where it was last.
bool is_kept(const Target& target, const ReachState& state) {
  return state.reach == Reach::unreachable && target.unreachable == Unreachable::keep && !state.mac.is_zero();
}

std::string describe(const Target& target, const ReachChange& change, const std::string& device) {
  std::string what = fmt::format("target [{}]: {}", target.name, to_string(change.address));
  switch (change.now.reach) {
    case Reach::by_mac: break;
    case Reach::resolving: return fmt::format("{} is looked for on [{}]", what, device);
    case Reach::reachable:
      if (change.before.mac.is_zero() || change.before.mac == change.now.mac) {
        return fmt::format("{} is at {} on [{}]", what, to_string(change.now.mac), device);
      }
      return fmt::format("{} has moved from {} to {}", what, to_string(change.before.mac), to_string(change.now.mac));
    case Reach::unreachable:
      return fmt::format("{} does not answer on [{}]: {}", what, device,
                         is_kept(target, change.now) ? "kept, as configured" : "out until it does");
    case Reach::off_link: return fmt::format("{} is not on-link on [{}] any more: out until it is", what, device);
    case Reach::looping:
      return fmt::format("{} is at {}, to which packets would loop: out", what, to_string(change.now.mac));
  }
  return what;
}

}  // namespace

void NeighbourControl::set_device(const LinkInfo& egress, std::vector<MacAddr> own) {
  if (egress.ifindex != egress_.ifindex) watch_.doubt_all();
  egress_ = egress;
  watch_.set_own(std::move(own));
}

Result<void> NeighbourControl::check_on_link(const Target& target) const {
  const auto route = query_route(*target.address);
  if (!route) return route.error();
  // No way at all: the device may be about to get its addresses.
  if (!*route) return {};
  const auto why = why_off_link(**route, egress_);
  if (!why) return {};
  return fail("target [{}]: {} is not on-link on [{}], {}: direct server return needs the same segment", target.name,
              to_string(*target.address), egress_.name, *why);
}

Result<void> NeighbourControl::follow(const Config& config) {
  std::vector<IpAddr> addresses;
  for (const Target& target : config.targets) {
    if (!is_followed(target)) continue;
    if (egress_.ifindex != 0 && !watch_.find(*target.address)) {
      if (auto r = check_on_link(target); !r) return r;
    }
    addresses.push_back(*target.address);
  }
  watch_.follow(addresses);
  if (addresses.empty()) {
    watches_.close();
    socket_.reset();
    return {};
  }
  if (socket_) return {};
  if (auto r = open(); !r) return r;
  ask_all_again();
  return {};
}

Result<void> NeighbourControl::open() {
  auto socket = NeighbourSocket::open();
  if (!socket) return socket.error();
  socket_.emplace(std::move(*socket));
  auto opened = watches_.open(
      socket_->fd(), [this] { listen(); }, kTickEveryNs, [this] { tick(); });
  if (!opened) socket_.reset();
  return opened;
}

void NeighbourControl::hear(const Neighbour& neighbour) {
  if (neighbour.ifindex == egress_.ifindex) watch_.heard(neighbour.address, neighbour.news, neighbour.mac);
}

void NeighbourControl::listen() {
  const auto read = socket_->read([this](const Neighbour& neighbour) { hear(neighbour); });
  if (!read) log_warning("{}", read.error().message);
  if (!read || *read == NetlinkEvents::overrun) ask_all_again();
}

// What the kernel knows already need not be waited for.
void NeighbourControl::ask_all_again() {
  watch_.doubt_all();
  const auto known = list_neighbours(egress_.ifindex);
  if (!known) {
    log_warning("{}", known.error().message);
    return;
  }
  for (const Neighbour& neighbour : *known) hear(neighbour);
}

void NeighbourControl::tick() {
  if (egress_.ifindex == 0) return;
  std::string error;
  for (const IpAddr& address : watch_.take_due(monotonic_ns(), kAsksPerTick)) {
    const auto state = watch_.find(address);
    if (state && state->reach != Reach::reachable) {
      const auto route = query_route(address);
      if (route) watch_.set_off_link(address, *route && why_off_link(**route, egress_));
    }
    if (const auto asked = ask_for_neighbour(egress_.ifindex, address); !asked) error = asked.error().message;
  }
  // A device that is down says so for each of them, each second.
  if (error != ask_error_ && !error.empty()) log_warning("Cannot look for targets on [{}]: {}", egress_.name, error);
  ask_error_ = error;
}

void NeighbourControl::resolve_now(uint64_t patience_ns) {
  if (!socket_) return;
  const uint64_t deadline_ns = monotonic_ns() + patience_ns;
  tick();
  while (watch_.is_resolving() && monotonic_ns() < deadline_ns) {
    pollfd readable{socket_->fd(), POLLIN, 0};
    if (::poll(&readable, 1, 10) > 0) listen();
    tick();
  }
}

std::vector<TargetNews> NeighbourControl::take_changes(const Config& config) {
  std::map<IpAddr, ReachChange> changes;
  for (const ReachChange& change : watch_.take_changes()) changes.emplace(change.address, change);
  std::vector<TargetNews> news;
  if (changes.empty()) return news;
  for (const Target& target : config.targets) {
    if (!is_followed(target)) continue;
    const auto change = changes.find(*target.address);
    if (change == changes.end()) continue;
    const Reach now = change->second.now.reach;
    const bool is_good = now == Reach::reachable || now == Reach::resolving;
    news.push_back({is_good ? LogLevel::info : LogLevel::warning, describe(target, change->second, egress_.name)});
  }
  return news;
}

void NeighbourControl::put_macs(Config& config) const {
  for (Target& target : config.targets) {
    if (!is_followed(target)) continue;
    const auto state = watch_.find(*target.address);
    if (state && (state->reach == Reach::reachable || is_kept(target, *state))) target.mac = state->mac;
  }
}

}  // namespace xdplb
