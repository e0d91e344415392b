// What the daemon does about its configuration: it follows the shared memory, and reads its file again when told to.
#include <fmt/ranges.h>

#include <algorithm>

#include "user/base/clock.h"
#include "user/base/log.h"
#include "user/ctl/config_file.h"
#include "user/lb/config_diff.h"
#include "user/path/daemon.h"
#include "user/path/vip_rules.h"

namespace xdplb {
namespace {

// A script may change hundreds of things at once: the first say what is going on.
constexpr size_t kLinesMax = 8;

void log_changes(uint64_t generation, const std::vector<std::string>& lines) {
  const auto say = [generation](const std::string& line) {
    log_line(LogLevel::info, fmt::format("generation {}: {}", generation, line), {{"generation", generation}});
  };
  for (size_t i = 0; i < std::min(lines.size(), kLinesMax); ++i) say(lines[i]);
  if (lines.size() > kLinesMax) say(fmt::format("and {} more", lines.size() - kLinesMax));
}

void log_news(const std::vector<TargetNews>& news) {
  for (size_t i = 0; i < std::min(news.size(), kLinesMax); ++i) log_line(news[i].level, news[i].text);
  if (news.size() > kLinesMax) log_info("the same kind of news of {} more targets", news.size() - kLinesMax);
}

}  // namespace

void Daemon::reload() {
  supervision_->reloading();
  reload_config();
  supervision_->reloaded();
}

// A file that cannot be used changes nothing, and is said in one line.
void Daemon::reload_config() {
  const uint64_t in_force = snapshots_->current().generation;
  if (options_.config.empty()) {
    log_info("SIGHUP: no --config, nothing to read again");
    return;
  }
  const auto generation = publish_config_file(store_, options_.config);
  if (!generation) {
    log_line(LogLevel::error,
             fmt::format("SIGHUP: {}; generation {} stays in force", generation.error().message, in_force),
             {{"generation", in_force}});
  } else if (*generation == in_force) {
    log_line(LogLevel::info,
             fmt::format("SIGHUP: {} says what is in force, generation {}", options_.config, in_force),
             {{"generation", in_force}});
  } else {
    log_line(LogLevel::info, fmt::format("SIGHUP: {} read, generation {}", options_.config, *generation),
             {{"generation", *generation}});
    follow_config();
  }
}

void Daemon::follow_config() {
  const auto generation = store_.generation();
  if (!generation) {
    if (seen_generation_ != 0) log_error("{}; the configuration in force stays", generation.error().message);
    seen_generation_ = 0;  // said once
    return;
  }
  if (*generation != seen_generation_) {
    seen_generation_ = *generation;
    if (auto stored = store_.read(); stored) {
      adopt(*stored);
    } else {
      refuse(*generation, stored.error().message);
    }
  }
  if (snapshots_->has_retired() || adoption_.adopted_generation != snapshots_->current().generation) {
    report_adoption();
  }
}

// The file stays readable for us, so nothing else would tell.
void Daemon::look_for_store() {
  if (store_lost_ || store_.is_current()) return;
  store_lost_ = true;
  log_error(
      "{} was removed or made anew: commands do not reach this daemon any more, and what is in force stays; restart "
      "it, its flows are kept",
      name_.path());
}

void Daemon::adopt(const StoredConfig& stored) {
  if (stored.generation <= snapshots_->current().generation) return;
  auto next = with_options(stored.config);
  if (!next) {
    refuse(stored.generation, next.error().message);
    return;
  }
  if (auto r = neighbours_->follow(*next); !r) {
    refuse(stored.generation, r.error().message);
    return;
  }
  const std::vector<std::string> changes = describe_changes(wanted_, *next);
  if (auto r = put_in_force(*next, stored.generation); !r) {
    refuse(stored.generation, r.error().message);
    return;
  }
  wanted_ = std::move(*next);
  log_changes(stored.generation, changes);
  const Tier& tier = snapshots_->current().tier;
  if (auto r = tier_->set(tier); !r) log_warning("{}; every peer counts as gone", r.error().message);
  if (plane_ != nullptr && plane_->has_tier() != tier.exists()) {
    lose_plane(tier.exists() ? "there are other balancers to send to now" : "there are no other balancers any more");
  }
}

Result<void> Daemon::put_in_force(const Config& wanted, uint64_t generation) {
  Config next = wanted;
  neighbours_->put_macs(next);
  if (programs_.ingress != nullptr) {
    if (auto r = programs_.ingress->maps().set_vips(kernel_vips(next)); !r) return r;
  }
  history_.note(config_, next, generation);
  config_ = std::move(next);
  slots_->flows->name_services(config_);
  snapshots_->publish(compile_snapshot(config_, generation, &snapshots_->current(), options_.flows));
  return {};
}

// --- targets that are known by address ---

// Whoever has one of these MACs is us, or another balancer, which would send it on.
void Daemon::set_neighbour_device(const DataPlane& plane) {
  std::vector<MacAddr> own = config_.lb_tier.members;
  for (const PlaneDevice& device : plane.devices()) own.push_back(device.link.mac);
  neighbours_->set_device(plane.devices().back().link, std::move(own));
}

// At the start: packets come in a moment, and those for a service without a target are lost.
Result<void> Daemon::find_targets() {
  constexpr uint64_t kPatienceNs = kNsPerSec;
  if (auto r = neighbours_->follow(wanted_); !r) return r;
  neighbours_->resolve_now(kPatienceNs);
  follow_targets();
  return {};
}

void Daemon::follow_targets() {
  const std::vector<TargetNews> news = neighbours_->take_changes(wanted_);
  if (news.empty()) return;
  log_news(news);
  if (auto r = put_in_force(wanted_, snapshots_->current().generation); !r) log_warning("{}", r.error().message);
}

// The members are named on the command line; which of them we are, our MAC tells.
Result<void> Daemon::resolve_tier() {
  if (options_.lb_tier.empty()) return {};
  std::vector<std::string> ours;
  for (const std::string& name : options_.ingress) {
    const auto link = query_link(name);
    if (!link) return link.error();
    const auto own = std::find(options_.lb_tier.begin(), options_.lb_tier.end(), link->mac);
    if (own != options_.lb_tier.end()) {
      tier_option_ = {static_cast<uint32_t>(own - options_.lb_tier.begin()), options_.lb_tier};
      return {};
    }
    ours.push_back(fmt::format("[{}] has {}", name, to_string(link->mac)));
  }
  return fail("Invalid --lb-tier: none of its MACs is ours: {}", fmt::join(ours, ", "));
}

Result<Config> Daemon::with_options(Config config) const {
  if (!tier_option_) return config;
  config.lb_tier = *tier_option_;
  if (auto r = validate_config(config); !r) return fail("with --lb-tier: {}", r.error().message);
  return config;
}

void Daemon::refuse(uint64_t generation, const std::string& why) {
  const uint64_t in_force = snapshots_->current().generation;
  log_line(LogLevel::error,
           fmt::format("configuration generation {} is not usable: {}; generation {} stays in force", generation, why,
                       in_force),
           {{"generation", in_force}, {"refused_generation", generation}});
  adoption_.refused_generation = generation;
  adoption_.refused_why = why;
  if (auto r = stats_->write_adoption(adoption_); !r) log_warning("{}", r.error().message);
}

// Every worker has moved on: old snapshots are freed, and whoever waits for the change is told.
void Daemon::report_adoption() {
  const std::vector<WorkerEpoch*> workers = slots_->epoch_list();
  if (!snapshots_->collect(workers)) return;
  adoption_.adopted_generation = snapshots_->current().generation;
  if (auto r = stats_->write_adoption(adoption_); !r) log_warning("{}", r.error().message);
}

}  // namespace xdplb
