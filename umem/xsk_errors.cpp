#include "umem/xsk_errors.h"

#include <cerrno>
#include <cstring>

namespace xdplb {
namespace {

// "eth2 queue 0"
std::string text(const XskPlace& place) {
  return fmt::format("{} queue {}", place.ifname, place.queue);
}

Error with_errno(int sys_errno, std::string message) {
  return Error{std::move(message), sys_errno};
}

}  // namespace

Error umem_error(int sys_errno, const XskPlace& place, uint64_t area_bytes, uint64_t memlock_limit_bytes) {
  switch (sys_errno) {
    case EPERM:
    case EACCES:
      return with_errno(sys_errno,
                        fmt::format("Cannot open an AF_XDP socket for {}: the capability CAP_NET_RAW is missing "
                                    "(run as root, or grant it)",
                                    text(place)));
    case EAFNOSUPPORT:
      return with_errno(
          sys_errno,
          fmt::format("Cannot open an AF_XDP socket for {}: this kernel has none (CONFIG_XDP_SOCKETS)", text(place)));
    case ENOBUFS:
      return with_errno(
          sys_errno,
          fmt::format("Cannot lock {} bytes of packet memory for {}: RLIMIT_MEMLOCK is {} bytes for all sockets "
                      "of this user together; raise it (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK",
                      area_bytes, text(place), memlock_limit_bytes));
    case ENOMEM:
      return with_errno(sys_errno, fmt::format("Cannot register {} bytes of packet memory for {}: not enough memory",
                                               area_bytes, text(place)));
    default:
      return fail_errno(sys_errno, "Cannot register {} bytes of packet memory for {}", area_bytes, text(place));
  }
}

std::string zero_copy_refusal(int sys_errno) {
  if (sys_errno == EOPNOTSUPP) return "the driver has none";
  return fmt::format("the driver refused it: {}", std::strerror(sys_errno));
}

Error bind_error(int sys_errno, const XskPlace& place, const BindAttempt& attempt) {
  switch (sys_errno) {
    case EBUSY:
      return with_errno(sys_errno,
                        fmt::format("Cannot bind to {}: the queue has a socket of another process (waited {} ms); "
                                    "is a second instance running?",
                                    text(place), attempt.waited_ns / 1'000'000));
    case EOPNOTSUPP:
      if (attempt.zero_copy_forced) {
        return with_errno(sys_errno,
                          fmt::format("Cannot bind to {}: zero copy was forced, and the driver of {} does not "
                                      "support it (--zerocopy auto falls back to copy)",
                                      text(place), place.ifname));
      }
      return with_errno(sys_errno, fmt::format("Cannot bind to {}: the device does not support AF_XDP", text(place)));
    case ENODEV:
    case ENXIO:
      return with_errno(sys_errno,
                        fmt::format("Cannot bind to {}: the interface does not exist (any more)", text(place)));
    case ENETDOWN:
      return with_errno(sys_errno, fmt::format("Cannot bind to {}: the interface is down (ip link set {} up)",
                                               text(place), place.ifname));
    case EINVAL:
      if (attempt.queues.rx != 0 && place.queue >= attempt.queues.rx && place.queue >= attempt.queues.tx) {
        return with_errno(sys_errno,
                          fmt::format("Cannot bind to {}: the interface has {} receive and {} transmit queues, "
                                      "counted from 0",
                                      text(place), attempt.queues.rx, attempt.queues.tx));
      }
      return with_errno(sys_errno, fmt::format("Cannot bind to {}: Invalid argument{}", text(place),
                                               attempt.zero_copy_forced ? " (zero copy was forced)" : ""));
    case EPERM:
      return with_errno(sys_errno,
                        fmt::format("Cannot bind to {}: the capability CAP_NET_RAW is missing", text(place)));
    default:
      return fail_errno(sys_errno, "Cannot bind to {}{}", text(place),
                        attempt.zero_copy_forced ? " (zero copy was forced)" : "");
  }
}

}  // namespace xdplb
