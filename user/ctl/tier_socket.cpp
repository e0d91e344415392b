#include "user/ctl/tier_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "user/lb/tier_watch.h"

namespace xdplb {
namespace {

// Of one call: a sender that floods us must not keep the control thread.
constexpr int kFramesMax = 256;

}  // namespace

Result<TierSocket> TierSocket::open() {
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(kTierEtherType)));
  if (!fd.is_open()) return fail_errno(errno, "Cannot open a packet socket for the other balancers");
  return TierSocket(std::move(fd));
}

void TierSocket::send(uint32_t ifindex, const MacAddr& to, std::span<const uint8_t> payload) const {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kTierEtherType);
  address.sll_ifindex = static_cast<int>(ifindex);
  address.sll_halen = sizeof to.bytes;
  std::copy(to.bytes.begin(), to.bytes.end(), address.sll_addr);
  (void)::sendto(fd_.get(), payload.data(), payload.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address),
                 sizeof address);
}

void TierSocket::receive(const std::function<void(uint32_t, const MacAddr&, std::span<const uint8_t>)>& frame) const {
  for (int i = 0; i < kFramesMax; ++i) {
    std::array<uint8_t, 256> bytes;
    sockaddr_ll from{};
    socklen_t from_bytes = sizeof from;
    const ssize_t got =
        ::recvfrom(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_bytes);
    if (got < 0) return;
    if (from.sll_pkttype != PACKET_HOST || from.sll_halen != sizeof(MacAddr)) continue;
    MacAddr source;
    std::copy_n(from.sll_addr, source.bytes.size(), source.bytes.begin());
    frame(static_cast<uint32_t>(from.sll_ifindex), source, std::span(bytes.data(), static_cast<size_t>(got)));
  }
}

}  // namespace xdplb
