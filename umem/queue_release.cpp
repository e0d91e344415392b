#include "umem/queue_release.h"

#include <cerrno>

#include "umem/region.h"
#include "umem/xsk_socket.h"

namespace xdplb {
namespace {

constexpr uint64_t kProbeBytes = uint64_t{2} * kFrameBytes;

}  // namespace

// There is no question that one could ask instead: only a bind tells. It asks for copy mode, whose pools no driver
// knows of, so the end of this one, which is as asynchronous, needs no waiting.
bool wait_for_queue_release(const std::string& ifname, uint32_t ifindex, uint32_t queue, uint64_t patience_ns) {
  auto region = MappedRegion::create(kProbeBytes, HugePages::never);
  if (!region) return false;
  XskOptions options;
  options.ifname = ifname;
  options.ifindex = ifindex;
  options.queue = queue;
  options.rings.tx = options.rings.completion = 2;
  options.zero_copy = ZeroCopy::off;
  options.bind_wait_ns = patience_ns;
  const auto probe = XskSocket::open(FrameArea(region->bytes().first(kProbeBytes)), options);
  // Any other refusal is not about the queue: the device is gone, or has fewer queues by now.
  return probe || probe.error().sys_errno != EBUSY;
}

}  // namespace xdplb
