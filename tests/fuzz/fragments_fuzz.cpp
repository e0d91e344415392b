// Any sequence of fragments, in any order, on two workers, at any times, through what a worker does with them
// (user/path/worker.cpp): steer, hold, expire, release. Held against a model that remembers what was decided.
//
// Four bytes a step: what, on which worker and of which datagram, which part of it, how much time.
#include <netinet/in.h>

#include <map>
#include <memory>
#include <set>

#include "tests/fuzz/fuzz.h"
#include "tests/support/flow_fixture.h"
#include "user/base/check.h"
#include "user/lb/held_fragments.h"
#include "user/lb/steer.h"

namespace xdplb::fuzz {
namespace {

constexpr uint32_t kWorkers = 2;
constexpr uint32_t kTargets = 4;
constexpr uint64_t kTtlNs = 2'000'000'000;
constexpr uint64_t kTickSlackNs = 100'000'000;
constexpr HeldLimits kLimits{.frames_max = 12, .datagram_frames_max = 5, .datagrams_max = 4, .wait_ns = 500'000'000};

std::unique_ptr<const Snapshot> snapshot_of(TargetState first, uint64_t generation) {
  Config config = make_default_config(97, kTargets);
  config.services[0].vips = {*parse_prefix("10.0.0.0/32")};
  for (uint8_t i = 0; i < kTargets; ++i) {
    config.targets[i].mac = MacAddr{{2, 0, 0, 0, 0, i}};
    config.targets[i].state = i == 0 ? first : TargetState::active;
  }
  XDPLB_CHECK(assign_identities(Config{}, config));
  return compile_snapshot(config, generation, nullptr, kMinFlows);
}

const Snapshot& snapshot(uint32_t which) {
  static const std::unique_ptr<const Snapshot> all[] = {
      snapshot_of(TargetState::active, 1), snapshot_of(TargetState::draining, 2), snapshot_of(TargetState::down, 3)};
  return *all[which % 3];
}

struct Piece {
  PacketInfo info;
  uint32_t datagram = 0;
};

// One of eight datagrams, whose identifications are used by two flows each.
Piece piece_of(uint8_t which, uint8_t part) {
  Piece piece;
  piece.datagram = which & 7;
  const uint8_t client[4] = {192, 0, 2, static_cast<uint8_t>(piece.datagram / 4)}, vip[4] = {10, 0, 0, 0};
  piece.info.key.src = IpAddr::v4(client);
  piece.info.key.dst = IpAddr::v4(vip);
  piece.info.key.protocol = IPPROTO_UDP;
  piece.info.ip_version = 4;
  piece.info.fragment_id = piece.datagram % 4;
  piece.info.fragment_offset = static_cast<uint16_t>((part >> 2) * 8);
  piece.info.fragment_len = static_cast<uint16_t>((part & 3) * 8);  // they overlap, or leave gaps
  piece.info.more_fragments = (part & 1) == 0;
  const bool first = piece.info.fragment_offset == 0;
  piece.info.kind = first ? PacketKind::first_fragment : PacketKind::later_fragment;
  if (first) {
    piece.info.key.src_port = static_cast<uint16_t>(1000 + (part & 3) / 2);
    piece.info.key.dst_port = 53;
  }
  return piece;
}

// What became of each datagram: the targets that its first fragments were given, and when last.
struct Decided {
  std::set<uint16_t> targets;
  uint64_t last_ns = 0;
};

class World {
 public:
  World() {
    for (auto& worker : workers_) worker = std::make_unique<Worker>(fragments_);
  }

  void add(uint32_t worker, const Piece& piece) {
    Worker& w = *workers_[worker];
    if (w.batch.size() == kMaxBatch) return;
    frames_.push_back({piece, Where::batch, 0});
    w.batch.push_back(static_cast<uint32_t>(frames_.size() - 1));
  }
  void turn(uint32_t worker);
  void wait(uint64_t ns) { now_ns_ += ns; }
  void use_snapshot(uint32_t which) { which_ = which; }
  // All given back: each exactly once.
  void finish() {
    for (uint32_t w = 0; w < kWorkers; ++w) {
      turn(w);
      workers_[w]->held.drain([&](HeldFrame frame) { give_back(frame); });
      XDPLB_CHECK(workers_[w]->held.empty());
    }
    for (const Frame& frame : frames_) XDPLB_CHECK(frame.where == Where::gone);
  }

 private:
  enum class Where : uint8_t { batch, held, gone };
  struct Frame {
    Piece piece;
    Where where;
    uint64_t held_since_ns;
  };
  struct Worker {
    explicit Worker(std::span<FragmentBucket> fragments)
        : memory(kMinFlows), flows(FlowTable::create(memory.bytes(), kMinFlows, 42).value()), steering([&] {
            SteeringParts parts;
            parts.flows = &flows;
            parts.fragments = fragments;
            parts.fragment_secret = 7;
            parts.fragment_ttl_ns = kTtlNs;
            return parts;
          }()) {}
    FlowMemory memory;
    FlowTable flows;
    Steering steering;
    HeldFragments held{kLimits};
    std::vector<uint32_t> batch;
  };

  void give_back(HeldFrame frame) {
    XDPLB_CHECK(frame.frame < frames_.size() && frames_[frame.frame].where == Where::held);
    XDPLB_CHECK(frame.len_bytes == frame.frame + 1);
    frames_[frame.frame].where = Where::gone;
  }
  void load(const std::vector<uint32_t>& batch);
  void settle(Worker& worker, const std::vector<uint32_t>& batch, bool were_held);
  void check_decision(uint32_t frame, uint16_t target);
  void check_held(Worker& worker);

  std::vector<FragmentBucket> fragments_ = std::vector<FragmentBucket>(2);
  std::unique_ptr<Worker> workers_[kWorkers];
  std::vector<Frame> frames_;
  std::map<uint32_t, Decided> decided_;
  std::unique_ptr<PacketColumns> columns_ = std::make_unique<PacketColumns>();
  uint64_t now_ns_ = 1'000'000'000;
  uint32_t which_ = 0;
};

void World::load(const std::vector<uint32_t>& batch) {
  for (uint32_t i = 0; i < batch.size(); ++i) {
    columns_->info[i] = frames_[batch[i]].piece.info;
    columns_->reason[i] = Reason::none;
    columns_->fate[i] = Fate::forward;
  }
}

void World::check_decision(uint32_t frame, uint16_t target) {
  const Piece& piece = frames_[frame].piece;
  XDPLB_CHECK(target < kTargets);
  const SnapshotTarget& chosen = snapshot(which_).targets[target];
  XDPLB_CHECK(chosen.keeps_flows(chosen.epoch));
  Decided& decided = decided_[piece.datagram];
  if (piece.info.kind == PacketKind::first_fragment) {
    decided.targets.insert(target);
    decided.last_ns = now_ns_;
    return;
  }
  // Nothing leaves without a first fragment, nor long after it, nor elsewhere.
  XDPLB_CHECK(decided.targets.count(target) == 1);
  XDPLB_CHECK(now_ns_ - decided.last_ns <= kTtlNs + kTickSlackNs);
}

void World::settle(Worker& worker, const std::vector<uint32_t>& batch, bool were_held) {
  for (uint32_t i = 0; i < batch.size(); ++i) {
    Frame& frame = frames_[batch[i]];
    XDPLB_CHECK(frame.where == Where::batch);
    frame.where = Where::gone;
    switch (columns_->fate[i]) {
      case Fate::forward: check_decision(batch[i], columns_->target[i]); break;
      case Fate::drop: XDPLB_CHECK(columns_->reason[i] == Reason::no_target); break;
      case Fate::peer: XDPLB_CHECK(false); break;
      case Fate::hold: {
        XDPLB_CHECK(frame.piece.info.kind == PacketKind::later_fragment);
        XDPLB_CHECK(!were_held);  // it was released because it has a decision
        frame.where = Where::held;
        frame.held_since_ns = now_ns_;
        const HeldFrame held{batch[i], batch[i] + 1};
        if (!worker.held.hold(columns_->hash[i], held, now_ns_, [&](HeldFrame f) { give_back(f); })) give_back(held);
        break;
      }
    }
  }
}

void World::turn(uint32_t number) {
  Worker& worker = *workers_[number];
  const std::vector<uint32_t> batch = std::move(worker.batch);
  worker.batch.clear();
  load(batch);
  worker.steering.steer(snapshot(which_), *columns_, static_cast<uint32_t>(batch.size()), now_ns_);
  settle(worker, batch, false);
  worker.held.expire(now_ns_, [&](HeldFrame frame) { give_back(frame); });
  std::vector<uint32_t> released;
  worker.held.for_each_waiting([&](uint64_t datagram) {
    if (!worker.steering.knows_datagram(datagram, now_ns_)) return;
    worker.held.take(datagram, [&](HeldFrame frame) {
      XDPLB_CHECK(frames_[frame.frame].where == Where::held);
      frames_[frame.frame].where = Where::batch;
      released.push_back(static_cast<uint32_t>(frame.frame));
    });
  });
  load(released);
  worker.steering.steer_held(snapshot(which_), *columns_, static_cast<uint32_t>(released.size()), now_ns_);
  settle(worker, released, true);
  worker.steering.end_turn();
  check_held(worker);
}

void World::check_held(Worker& worker) {
  XDPLB_CHECK(worker.held.frames() <= kLimits.frames_max);
  uint32_t datagrams = 0;
  worker.held.for_each_waiting([&](uint64_t) { ++datagrams; });
  XDPLB_CHECK(datagrams <= kLimits.datagrams_max && (datagrams == 0) == worker.held.empty());
  // Of both workers: each is held by one of them, and no longer than it may since the last turn of that one.
  uint32_t held = 0;
  for (const Frame& frame : frames_) held += frame.where == Where::held ? 1 : 0;
  XDPLB_CHECK(held == workers_[0]->held.frames() + workers_[1]->held.frames());
}

}  // namespace
}  // namespace xdplb::fuzz

XDPLB_FUZZ_TARGET(fragments) {
  constexpr size_t kStepsMax = 512;
  World world;
  for (size_t step = 0; step < kStepsMax && size >= 4; ++step, data += 4, size -= 4) {
    const uint32_t worker = data[1] >> 7;
    switch (data[0] % 8) {
      case 5: world.turn(worker); break;
      case 6: world.wait(uint64_t{data[3]} * data[2] * 50'000); break;  // up to 3.3 s
      case 7: world.use_snapshot(data[1]); break;
      default: world.add(worker, piece_of(data[1], data[2])); break;
    }
  }
  world.finish();
}
