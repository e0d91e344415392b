// Workers of several balancers whose ingress ports are on one wire: what leaves one with another's MAC arrives there.
#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "tests/unit/path/worker_test_rig.h"

namespace xdplb {
namespace {

using test::operator+;
using testing::FakePort;

constexpr uint8_t kClientMac[6] = {2, 0, 0, 0, 0, 0xcc};

MacAddr balancer_mac(uint32_t index) {
  return MacAddr{{2, 0, 0, 0, 1, static_cast<uint8_t>(index)}};
}

Config tier_config(uint32_t own, uint32_t members, uint64_t seed = 0) {
  Config config = make_default_config(997, 4);
  for (uint8_t i = 0; i < 4; ++i) {
    config.targets[i].mac = MacAddr{{0, 0, 0, 1, 1, static_cast<uint8_t>(i + 1)}};
    config.targets[i].state = TargetState::active;
  }
  config.hash_seed = seed;
  config.lb_tier.own_index = own;
  for (uint32_t i = 0; i < members; ++i) config.lb_tier.members.push_back(balancer_mac(i));
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

enum class Piece { whole, first, later };

// Of a datagram from the client of that number, to balancer 0.
std::vector<std::byte> udp_piece(uint32_t client, Piece piece) {
  test::Ipv4Options options;
  options.src = test::Bytes{192, 0, 2, static_cast<uint8_t>(client)};
  options.id = client + 1;
  options.fragment = piece == Piece::whole ? 0 : piece == Piece::first ? 0x2000 : 0x0004;
  const test::Bytes bytes =
      test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(4000 + client, 53, test::fill(24)), options);
  std::vector<std::byte> frame = testing::as_bytes(bytes);
  std::memcpy(frame.data() + 6, kClientMac, 6);
  return frame;
}

MacAddr mac_at(const std::vector<std::byte>& frame, size_t at) {
  MacAddr mac;
  std::memcpy(mac.bytes.data(), frame.data() + at, 6);
  return mac;
}

using Balancer = testing::WorkerTestRig;

// Lets each take a turn, and takes what was sent to where its MAC says. What went to targets, by client.
using Reached = std::map<uint8_t, std::multiset<uint8_t>>;
void carry(std::vector<std::unique_ptr<Balancer>>& balancers, Reached& targets) {
  for (uint32_t from = 0; from < balancers.size(); ++from) {
    Balancer& balancer = *balancers[from];
    balancer.turn();
    for (FakePort* port : {&balancer.in(), &balancer.out()}) {
      for (const FakePort::Packet& packet : port->take_sent()) {
        const auto to = static_cast<uint8_t>(packet.bytes[5]);
        if (packet.bytes[0] == std::byte{0}) {
          targets[static_cast<uint8_t>(packet.bytes[14 + 15])].insert(to);
        } else {
          REQUIRE(mac_at(packet.bytes, 0) == balancer_mac(to));
          REQUIRE(mac_at(packet.bytes, 6) == balancer_mac(from));
          REQUIRE(to != from);
          REQUIRE(balancers[to]->in().deliver(packet.bytes));
        }
      }
    }
  }
}

std::vector<std::unique_ptr<Balancer>> make_tier(uint32_t members, bool one_arm = false) {
  std::vector<std::unique_ptr<Balancer>> balancers;
  for (uint32_t i = 0; i < members; ++i) {
    const testing::RigOptions options{.to_peers = true, .one_arm = one_arm};
    balancers.push_back(std::make_unique<Balancer>(tier_config(i, members), options));
    balancers.back()->turn();
  }
  return balancers;
}

}  // namespace

TEST_CASE("tier: a fragment of another balancer's goes there once, out of the ingress port, as it came") {
  auto balancers = make_tier(2);
  Balancer& here = *balancers[0];
  uint32_t handed = 0;
  for (uint32_t client = 0; client < 40; ++client) {
    for (const Piece piece : {Piece::first, Piece::later}) {
      const auto frame = udp_piece(client, piece);
      REQUIRE(here.in().deliver(frame));
      here.turn();
      const auto to_peer = here.in().take_sent();
      const auto to_target = here.out().take_sent();
      REQUIRE(to_peer.size() + to_target.size() == 1);
      if (to_peer.empty()) continue;
      ++handed;
      CHECK(mac_at(to_peer[0].bytes, 0) == balancer_mac(1));
      CHECK(mac_at(to_peer[0].bytes, 6) == balancer_mac(0));
      CHECK(std::equal(frame.begin() + 12, frame.end(), to_peer[0].bytes.begin() + 12, to_peer[0].bytes.end()));
      // There it stays, although that one too would find out that the owner ... is itself.
      REQUIRE(balancers[1]->in().deliver(to_peer[0].bytes));
      balancers[1]->turn();
      CHECK(balancers[1]->in().take_sent().empty());
      CHECK(balancers[1]->out().take_sent().size() == 1);
    }
  }
  CHECK(handed > 20);
  CHECK(handed < 60);
  CHECK(handed % 2 == 0);  // both pieces, or none
  CHECK(here.counters().to_peers.get() == handed);
  CHECK(here.counters().tx.get() == 80);
  CHECK(balancers[1]->counters().from_peers.get() == handed);
  for (auto& balancer : balancers) balancer->check_conserved();
}

TEST_CASE("tier: whole packets are never handed on") {
  auto balancers = make_tier(2);
  for (uint32_t client = 0; client < 40; ++client) {
    REQUIRE(balancers[0]->in().deliver(udp_piece(client, Piece::whole)));
    balancers[0]->turn();
  }
  CHECK(balancers[0]->in().take_sent().empty());
  CHECK(balancers[0]->out().take_sent().size() == 40);
  CHECK(balancers[0]->counters().to_peers.get() == 0);
}

TEST_CASE("tier: what comes from a peer is handled here, whoever owns it") {
  auto balancers = make_tier(3);
  uint32_t foreign = 0;
  const Tier tier(tier_config(0, 3).lb_tier, 0);
  for (uint32_t client = 0; client < 40; ++client) {
    auto frame = udp_piece(client, Piece::first);
    std::memcpy(frame.data() + 6, balancer_mac(2).bytes.data(), 6);
    REQUIRE(balancers[0]->in().deliver(frame));
    balancers[0]->turn();
    FlowKey key;
    const uint8_t src[4] = {192, 0, 2, static_cast<uint8_t>(client)}, dst[4] = {10, 0, 0, 0};
    key.src = IpAddr::v4(src);
    key.dst = IpAddr::v4(dst);
    foreign += tier.owner(key, kAllLive) == 0 ? 0 : 1;
  }
  CHECK(foreign > 10);
  CHECK(balancers[0]->in().take_sent().empty());
  CHECK(balancers[0]->out().take_sent().size() == 40);
  CHECK(balancers[0]->counters().from_peers.get() == 40);
}

TEST_CASE("tier: fragments scattered over three balancers, in any order, reach one target each") {
  for (const bool one_arm : {false, true}) {
    auto balancers = make_tier(3, one_arm);
    std::mt19937 random(5);
    std::vector<std::vector<std::byte>> pieces;
    for (uint32_t client = 0; client < 12; ++client) {
      pieces.push_back(udp_piece(client, Piece::first));
      for (int later = 0; later < 2; ++later) pieces.push_back(udp_piece(client, Piece::later));
    }
    std::shuffle(pieces.begin(), pieces.end(), random);
    Reached targets;
    for (const auto& piece : pieces) REQUIRE(balancers[random() % 3]->in().deliver(piece));
    for (int round = 0; round < 6; ++round) carry(balancers, targets);
    REQUIRE(targets.size() == 12);
    uint64_t handed = 0, taken = 0;
    for (const auto& [client, of] : targets) {
      CAPTURE(one_arm, int{client});
      CHECK(of.size() == 3);
      CHECK(of.count(*of.begin()) == 3);
    }
    for (auto& balancer : balancers) {
      balancer->check_conserved();
      handed += balancer->counters().to_peers.get();
      taken += balancer->counters().from_peers.get();
    }
    CHECK(handed > 10);
    CHECK(handed == taken);
  }
}

TEST_CASE("tier: the fragments of a peer that is gone are handled here, and go there again when it is back") {
  auto balancers = make_tier(2);
  Balancer& here = *balancers[0];
  const auto send_all = [&] {
    for (uint32_t client = 0; client < 40; ++client) {
      REQUIRE(here.in().deliver(udp_piece(client, Piece::first)));
      here.turn();
    }
    return here.in().take_sent().size();
  };
  const size_t handed = send_all();
  CHECK(handed > 10);
  here.live_peers = 0;
  CHECK(send_all() == 0);
  here.live_peers = 0b10;
  CHECK(send_all() == handed);
  here.check_conserved();
}

TEST_CASE("tier: what was held here stays here, although its owner came meanwhile") {
  auto balancers = make_tier(2);
  Balancer& here = *balancers[0];
  here.live_peers = 0;
  for (uint32_t client = 0; client < 10; ++client) REQUIRE(here.in().deliver(udp_piece(client, Piece::later)));
  here.turn();
  CHECK(here.counters().held.get() == 10);
  for (uint32_t client = 0; client < 10; ++client) REQUIRE(here.in().deliver(udp_piece(client, Piece::first)));
  here.turn();
  here.live_peers = kAllLive;
  here.turn();
  CHECK(here.counters().held.get() == 0);
  CHECK(here.in().take_sent().empty());
  CHECK(here.out().take_sent().size() == 20);
}

TEST_CASE("tier: a way to the peers that is full costs fragments, counted, and nothing else") {
  auto balancers = make_tier(2);
  Balancer& here = *balancers[0];
  here.in().set_completion(FakePort::Completion::withheld);
  for (uint32_t i = 0; i < 600; ++i) {
    REQUIRE(here.in().deliver(udp_piece(i % 40, i % 4 != 0 ? Piece::first : Piece::whole)));
    here.turn();
  }
  CHECK(here.drops(Reason::tx_full) > 20);
  CHECK(here.counters().to_peers.get() == 2 * 64);  // what the ring and its completions hold
  CHECK(here.counters().tx.get() + here.drops(Reason::tx_full) == 600);
  here.check_conserved();
  here.in().fail_tx_kicks(EBUSY, 3);
  here.in().set_completion(FakePort::Completion::at_once);
  here.in().complete(64);
  for (uint32_t i = 0; i < 80; ++i) {
    here.turn();
    REQUIRE(here.in().deliver(udp_piece(i % 40, Piece::first)));
  }
  here.turn();
  CHECK(here.drops(Reason::tx_error) == 3);
  here.check_conserved();
}

TEST_CASE("tier: random fragments and a random kernel on both sides never lose a frame") {
  auto balancers = make_tier(2);
  Balancer& here = *balancers[0];
  std::mt19937 random(9);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto one_in = [&](uint32_t n) { return below(n) == 0; };
  const int errnos[] = {EAGAIN, EBUSY, ENOBUFS, ENETDOWN};
  for (int step = 0; step < 5000; ++step) {
    for (uint32_t i = below(20); i > 0; --i) {
      here.in().deliver(udp_piece(below(50), static_cast<Piece>(below(3))));
    }
    if (one_in(20)) here.live_peers = below(4);
    for (FakePort* port : {&here.in(), &here.out()}) {
      if (one_in(50)) port->fail_tx_kicks(errnos[below(4)], below(5));
      if (one_in(40)) port->set_completion(FakePort::Completion::withheld);
      if (one_in(40)) port->set_completion(FakePort::Completion::at_once);
      if (one_in(3)) port->complete(below(64));
      if (step % 100 == 0) port->take_sent();
    }
    here.turn(below(20'000'000));
    if (step % 100 == 0) here.check_conserved();
  }
  CHECK(here.counters().to_peers.get() > 1000);
  here.check_conserved();
}

}  // namespace xdplb
