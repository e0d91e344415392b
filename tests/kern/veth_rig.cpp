#include "tests/kern/veth_rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>

namespace xdplb::testing {
namespace {

constexpr uint16_t kEtherType = 0x88b5;  // IEEE 802 local experimental

constexpr bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
  return {.code = code,
          .dst_reg = static_cast<__u8>(dst & 15),
          .src_reg = static_cast<__u8>(src & 15),
          .off = off,
          .imm = imm};
}

}  // namespace

OwnNetns::OwnNetns() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  REQUIRE(before_.is_open());
  REQUIRE(unshare(CLONE_NEWNET) == 0);
  run("ip link set lo up");
}

OwnNetns::~OwnNetns() {
  setns(before_.get(), CLONE_NEWNET);
}

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

void add_veth(const std::string& name, uint32_t queues) {
  const std::string counts = " numrxqueues " + std::to_string(queues) + " numtxqueues " + std::to_string(queues);
  run("ip link add " + name + counts + " type veth peer name " + name + "-peer" + counts);
  for (const std::string& end : {name, name + "-peer"}) {
    run("ip link set dev " + end + " addrgenmode none");
    run("ip link set dev " + end + " up");
  }
}

RedirectAll::RedirectAll(const std::string& ifname) : ifindex_(if_nametoindex(ifname.c_str())) {
  map_.reset(bpf_map_create(BPF_MAP_TYPE_XSKMAP, "test_xsks", sizeof(int), sizeof(int), 64, nullptr));
  REQUIRE(map_.is_open());
  // return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS)
  const bpf_insn code[] = {
      insn(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(xdp_md, rx_queue_index), 0),
      insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_.get()),
      insn(0, 0, 0, 0, 0),
      insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_PASS),
      insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
      insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  program_.reset(bpf_prog_load(BPF_PROG_TYPE_XDP, "test_redirect", "GPL", code, std::size(code), nullptr));
  REQUIRE(program_.is_open());
  REQUIRE(bpf_xdp_attach(static_cast<int>(ifindex_), program_.get(), XDP_FLAGS_DRV_MODE, nullptr) == 0);
}

RedirectAll::~RedirectAll() {
  bpf_xdp_detach(static_cast<int>(ifindex_), XDP_FLAGS_DRV_MODE, nullptr);
}

void RedirectAll::set_socket(uint32_t queue, int socket_fd) {
  REQUIRE(bpf_map_update_elem(map_.get(), &queue, &socket_fd, BPF_ANY) == 0);
}

PacketSocket::PacketSocket(const std::string& ifname) : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  REQUIRE(fd_.is_open());
  // The default holds about 90 full-sized frames.
  const int buffer_bytes = 4 << 20;
  REQUIRE(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) == 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kEtherType);
  address.sll_ifindex = static_cast<int>(if_nametoindex(ifname.c_str()));
  REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

void PacketSocket::send(std::span<const std::byte> frame) {
  REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
}

std::vector<std::byte> PacketSocket::receive() {
  pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, 1000) != 1) return {};
  std::vector<std::byte> frame(2048);
  const ssize_t len = recv(fd_.get(), frame.data(), frame.size(), 0);
  frame.resize(len > 0 ? static_cast<size_t>(len) : 0);
  return frame;
}

std::vector<std::byte> test_frame(uint32_t number, size_t len_bytes) {
  std::vector<std::byte> frame(len_bytes);
  for (size_t i = 0; i < len_bytes; ++i) frame[i] = static_cast<std::byte>(number + i);
  const std::byte macs[12] = {std::byte{2}, {}, {}, {}, {}, std::byte{1}, std::byte{2}, {}, {}, {}, {}, std::byte{2}};
  std::memcpy(frame.data(), macs, sizeof macs);
  frame[12] = std::byte{kEtherType >> 8};
  frame[13] = std::byte{kEtherType & 0xff};
  std::memcpy(&frame[14], &number, sizeof number);
  return frame;
}

}  // namespace xdplb::testing
