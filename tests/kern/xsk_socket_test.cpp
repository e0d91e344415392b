// Real sockets on veth pairs in a namespace of the test's own: what unit tests over plain memory cannot show.
#include "umem/xsk_socket.h"

#include <dirent.h>
#include <net/if.h>
#include <poll.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>
#include <functional>

#include "tests/kern/veth_rig.h"
#include "umem/region.h"
#include "user/base/clock.h"

using namespace xdplb;
using namespace xdplb::testing;

namespace {

constexpr uint32_t kFrames = 1024;
constexpr RingSizes kBoth{.rx = 128, .fill = 128, .tx = 128, .completion = 128};
constexpr RingSizes kTxOnly{.tx = 128, .completion = 128};

struct Memory {
  MappedRegion region = MappedRegion::create(uint64_t{kFrames} * kFrameBytes).value();
  FrameArea area{region.bytes().first(uint64_t{kFrames} * kFrameBytes)};
  FramePool pool{kFrames};
};

XskOptions options(const std::string& ifname, RingSizes rings, ZeroCopy zero_copy = ZeroCopy::automatic) {
  XskOptions result;
  result.ifname = ifname;
  result.rings = rings;
  result.zero_copy = zero_copy;
  return result;
}

std::unique_ptr<XskSocket> open_or_fail(const Memory& memory, const XskOptions& opts) {
  Result<std::unique_ptr<XskSocket>> socket = XskSocket::open(memory.area, opts);
  if (!socket) FAIL(socket.error().message);
  return std::move(socket).value();
}

// Receives until `n` packets are there or half a second is over.
std::vector<FrameRef> receive(Port& port, size_t n) {
  std::vector<FrameRef> all;
  const uint64_t end_ns = monotonic_ns() + 500 * kNsPerMs;
  while (all.size() < n && monotonic_ns() < end_ns) {
    port.refill();
    std::vector<FrameRef> some(64);
    some.resize(port.receive(some));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// Kicks and reaps until nothing is outstanding or half a second is over.
void flush(Port& port) {
  const uint64_t end_ns = monotonic_ns() + 500 * kNsPerMs;
  while (port.tx_outstanding() != 0 && monotonic_ns() < end_ns) {
    port.kick(monotonic_ns());
    port.reap();
  }
}

std::string open_error(const Memory& memory, const XskOptions& opts) {
  Result<std::unique_ptr<XskSocket>> socket = XskSocket::open(memory.area, opts);
  return socket ? "no error" : socket.error().message;
}

size_t open_fds() {
  size_t n = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++n;
  closedir(dir);
  return n;
}

size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t n = 0;
  for (std::string line; std::getline(maps, line);) ++n;
  return n;
}

// What `f` says in a child without that capability.
std::string without_capability(cap_value_t capability, const std::function<std::string()>& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_MEMLOCK, &limit);
    cap_t caps = cap_get_proc();
    const cap_value_t drop[] = {capability, CAP_SYS_RESOURCE};
    cap_set_flag(caps, CAP_EFFECTIVE, 2, drop, CAP_CLEAR);
    cap_set_flag(caps, CAP_PERMITTED, 2, drop, CAP_CLEAR);
    const std::string text = cap_set_proc(caps) == 0 ? f() : "capset failed";
    const ssize_t written = write(ends[1], text.data(), text.size());
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string text(1000, ' ');
  const ssize_t len = read(ends[0], text.data(), text.size());
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  text.resize(len > 0 ? static_cast<size_t>(len) : 0);
  return text;
}

}  // namespace

TEST_CASE("one socket receives and sends on the same device") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  const auto socket = open_or_fail(memory, options("one", kBoth));
  CHECK_FALSE(socket->zero_copy());
  Port port(PortId{0}, memory.area, socket->port_rings(), *socket, memory.pool);
  RedirectAll program("one");
  program.set_socket(0, socket->fd());
  PacketSocket peer("one-peer");

  CHECK(port.refill() == 128);
  for (uint32_t round = 0; round < 10; ++round) {
    for (uint32_t i = 0; i < 50; ++i) peer.send(test_frame(round * 50 + i, 60 + i));
    const auto packets = receive(port, 50);
    REQUIRE(packets.size() == 50);
    for (uint32_t i = 0; i < 50; ++i) {
      const auto bytes = memory.area.bytes(packets[i]);
      const auto sent = test_frame(round * 50 + i, 60 + i);
      REQUIRE(std::equal(bytes.begin(), bytes.end(), sent.begin(), sent.end()));
      bytes[20] = std::byte{0xaa};
    }
    REQUIRE(port.transmit(packets) == 50);
    flush(port);
    REQUIRE(port.tx_outstanding() == 0);
    for (uint32_t i = 0; i < 50; ++i) {
      auto expected = test_frame(round * 50 + i, 60 + i);
      expected[20] = std::byte{0xaa};
      REQUIRE(peer.receive() == expected);
    }
    REQUIRE(port.conserved());
    REQUIRE(memory.pool.consistent());
  }
  CHECK(port.counters().rx_packets == 500);
  CHECK(port.counters().tx_packets == 500);
  CHECK(port.counters().fill_starved == 0);
}

TEST_CASE("a frame received on one device leaves on another, and comes back from that one") {
  const OwnNetns netns;
  add_veth("in");
  add_veth("out");
  Memory memory;
  const auto in_socket = open_or_fail(memory, options("in", kBoth));
  const auto out_socket = open_or_fail(memory, options("out", kTxOnly));
  Port in(PortId{0}, memory.area, in_socket->port_rings(), *in_socket, memory.pool);
  Port out(PortId{1}, memory.area, out_socket->port_rings(), *out_socket, memory.pool);
  CHECK_FALSE(out.receives());
  RedirectAll program("in");
  program.set_socket(0, in_socket->fd());
  PacketSocket source("in-peer");
  PacketSocket sink("out-peer");

  in.refill();
  for (uint32_t i = 0; i < 100; ++i) source.send(test_frame(i, 1514));
  const auto packets = receive(in, 100);
  REQUIRE(packets.size() == 100);
  REQUIRE(out.transmit(packets) == 100);
  flush(out);
  CHECK(out.tx_outstanding() == 0);
  CHECK(out.counters().tx_kicks >= 4);  // 32 packets a call
  for (uint32_t i = 0; i < 100; ++i) REQUIRE(sink.receive() == test_frame(i, 1514));
  CHECK(memory.pool.ledger().count().batch == 0);
  CHECK(memory.pool.ledger().count().tx == 0);
  CHECK((in.conserved() && out.conserved()));
}

TEST_CASE("poll wakes when a packet has come") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  const auto lent = memory.pool.take_for_fill(PortId{0}, 64);
  Result<std::unique_ptr<XskSocket>> socket = XskSocket::open(memory.area, options("one", kBoth), lent);
  REQUIRE(socket);
  Port port(PortId{0}, memory.area, (*socket)->port_rings(), **socket, memory.pool);
  CHECK(port.rx_outstanding() == 64);
  CHECK(port.conserved());
  RedirectAll program("one");
  program.set_socket(0, port.fd());
  PacketSocket peer("one-peer");
  pollfd wait{.fd = port.fd(), .events = POLLIN, .revents = 0};
  CHECK(poll(&wait, 1, 0) == 0);
  peer.send(test_frame(1, 60));
  CHECK(poll(&wait, 1, 1000) == 1);
  // The frames that were lent before the bind receive, without a refill.
  std::vector<FrameRef> packets(8);
  CHECK(port.receive(packets) == 1);
}

TEST_CASE("what the kernel drops is in its statistics") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  const auto socket = open_or_fail(memory, options("one", kBoth));
  RedirectAll program("one");
  program.set_socket(0, socket->fd());
  PacketSocket peer("one-peer");
  for (uint32_t i = 0; i < 5; ++i) peer.send(test_frame(i, 60));  // and no frame in the fill ring
  const uint64_t end_ns = monotonic_ns() + kNsPerSec;
  uint64_t dropped = 0;
  while (dropped < 5 && monotonic_ns() < end_ns) {
    const Result<XskStatistics> statistics = socket->statistics();
    REQUIRE(statistics);
    dropped = statistics->rx_dropped;
  }
  const XskStatistics statistics = socket->statistics().value();
  CHECK(statistics.rx_dropped == 5);
  CHECK(statistics.rx_fill_ring_empty >= 5);
  CHECK(statistics.rx_ring_full == 0);
  CHECK(statistics.tx_invalid_descs == 0);
}

TEST_CASE("the kernel's errors on transmit are counted as what they are") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  const auto socket = open_or_fail(memory, options("one", kTxOnly));
  Port port(PortId{0}, memory.area, socket->port_rings(), *socket, memory.pool);
  const auto queue = [&](uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) {
      const FrameRef packet{memory.pool.take(FrameOwner::batch()) + 256, 60};
      const auto frame = test_frame(i, 60);
      std::copy(frame.begin(), frame.end(), memory.area.at(packet.addr));
      REQUIRE(port.transmit(std::span(&packet, 1)) == 1);
    }
  };

  // No carrier: the stack drops each packet, consumed and completed.
  run("ip link set dev one-peer down");
  queue(7);
  flush(port);
  CHECK(port.counters().tx_dropped == 7);
  CHECK(port.counters().tx_packets == 0);
  CHECK(port.tx_outstanding() == 0);
  CHECK_FALSE(port.is_down());

  // Down: the packets stay queued and go when it is up again.
  run("ip link set dev one-peer up");
  run("ip link set dev one down");
  PacketSocket peer("one-peer");
  queue(5);
  port.kick(monotonic_ns());
  CHECK(port.is_down());
  CHECK(port.tx_queued() == 5);
  run("ip link set dev one up");
  flush(port);
  CHECK_FALSE(port.is_down());
  CHECK(port.counters().tx_packets == 5);
  CHECK(port.tx_outstanding() == 0);
  CHECK(peer.receive() == test_frame(0, 60));

  // Gone.
  run("ip link del one");
  queue(1);
  port.kick(monotonic_ns());
  CHECK(port.is_down());
  CHECK(port.conserved());
}

TEST_CASE("zero copy that a device does not have falls back to copy, and says why") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  const auto fell_back = open_or_fail(memory, options("one", kBoth));
  CHECK_FALSE(fell_back->zero_copy());
  CHECK(fell_back->why_copy() == "the driver has none");
  const auto asked_for = open_or_fail(memory, options("one-peer", kBoth, ZeroCopy::off));
  CHECK_FALSE(asked_for->zero_copy());
  CHECK(asked_for->why_copy().empty());
}

TEST_CASE("what cannot be opened is refused in words that help") {
  const OwnNetns netns;
  add_veth("one", 2);
  Memory memory;
  const XskOptions good = options("one", kBoth);

  CHECK(open_error(memory, options("eth9", kBoth)) == "Unknown interface [eth9]");
  CHECK(
      open_error(memory, options("one", kBoth, ZeroCopy::force)) ==
      "Cannot bind to one queue 0: zero copy was forced, and the driver of one does not support it (--zerocopy auto "
      "falls back to copy)");
  XskOptions wrong = good;
  wrong.queue = 2;
  CHECK(open_error(memory, wrong) ==
        "Cannot bind to one queue 2: the interface has 2 receive and 2 transmit queues, counted from 0");
  wrong = good;
  wrong.ifindex = if_nametoindex("one-peer");
  CHECK(open_error(memory, wrong).starts_with("Interface one was replaced: its index is "));
  wrong = good;
  wrong.rings.fill = 100;
  CHECK(open_error(memory, wrong) == "Ring size of one queue 0: fill 100 is not a power of two");
  wrong.rings = {};
  CHECK(open_error(memory, wrong) == "A socket of one queue 0 must receive or transmit");
  CHECK(open_error(memory, options("lo", kBoth, ZeroCopy::off)) == "no error");

  CHECK(without_capability(CAP_NET_RAW, [&] { return open_error(memory, good); }) ==
        "Cannot open an AF_XDP socket for one queue 0: the capability CAP_NET_RAW is missing (run as root, or grant "
        "it)");
  CHECK(without_capability(CAP_IPC_LOCK, [&] { return open_error(memory, good); }) ==
        "Cannot lock 4194304 bytes of packet memory for one queue 0: RLIMIT_MEMLOCK is 1048576 bytes for all sockets "
        "of "
        "this user together; raise it (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK");
  CHECK(open_error(memory, good) == "no error");
}

TEST_CASE("a device that is down can be bound to, and works once it is up") {
  const OwnNetns netns;
  add_veth("one");
  run("ip link set dev one down");
  Memory memory;
  const auto socket = open_or_fail(memory, options("one", kBoth));
  Port port(PortId{0}, memory.area, socket->port_rings(), *socket, memory.pool);
  RedirectAll program("one");
  program.set_socket(0, socket->fd());
  port.refill();
  run("ip link set dev one up");
  PacketSocket peer("one-peer");
  peer.send(test_frame(1, 60));
  CHECK(receive(port, 1).size() == 1);
}

TEST_CASE("a second socket on a queue waits, and is then refused") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  auto first = open_or_fail(memory, options("one", kBoth));
  XskOptions second = options("one", kBoth);
  second.bind_wait_ns = 50 * kNsPerMs;
  const uint64_t start_ns = monotonic_ns();
  const std::string text = open_error(memory, second);
  CHECK(monotonic_ns() - start_ns >= second.bind_wait_ns);
  CHECK(text.starts_with("Cannot bind to one queue 0: the queue has a socket of another process (waited "));
  first.reset();
  second.bind_wait_ns = 5 * kNsPerSec;
  CHECK(open_error(memory, second) == "no error");
}

TEST_CASE("binding again and again, failures included, leaks nothing") {
  const OwnNetns netns;
  add_veth("one");
  Memory memory;
  { const auto warm_up = open_or_fail(memory, options("one", kBoth)); }
  const size_t fds = open_fds();
  const size_t maps = mappings();
  for (int i = 0; i < 50; ++i) {
    {
      const auto socket = open_or_fail(memory, options("one", kBoth));
      XskOptions refused = options("one", kBoth);
      refused.bind_wait_ns = kNsPerMs;
      REQUIRE(open_error(memory, refused) != "no error");
      Port port(PortId{0}, memory.area, socket->port_rings(), *socket, memory.pool);
      REQUIRE(port.refill() == 128);
    }
    REQUIRE(memory.pool.reclaim(PortId{0}).rx == 128);
    REQUIRE(memory.pool.size() == kFrames);
  }
  CHECK(open_fds() == fds);
  CHECK(mappings() == maps);
}
