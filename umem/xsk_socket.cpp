#include "umem/xsk_socket.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "umem/xsk_errors.h"
#include "user/base/clock.h"
#include "user/base/unique_fd.h"

namespace xdplb {
namespace {

// What a ring gets that the kernel insists on and nobody uses: the completion ring of a receive-only port.
constexpr uint32_t kUnusedRingSize = 64;

// Memory is counted only where CAP_IPC_LOCK is missing. Raising the limit needs CAP_SYS_RESOURCE, which may be
// missing where the other is there: no error. Returns the limit in force.
uint64_t raise_memlock_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 0;
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  if (limit.rlim_cur != RLIM_INFINITY && setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0) return RLIM_INFINITY;
  return limit.rlim_cur;
}

Result<void> check_size(const char* ring, uint32_t size, const XskOptions& options) {
  if (std::has_single_bit(size)) return {};
  return fail("Ring size of {} queue {}: {} {} is not a power of two", options.ifname, options.queue, ring, size);
}

Result<void> check_options(const XskOptions& options) {
  const RingSizes& rings = options.rings;
  if (rings.rx == 0 && rings.tx == 0) {
    return fail("A socket of {} queue {} must receive or transmit", options.ifname, options.queue);
  }
  struct Size {
    const char* name;
    uint32_t size;
  };
  std::array<Size, 4> sizes{};
  size_t n = 0;
  if (rings.rx != 0) sizes[n++] = {"rx", rings.rx};
  if (rings.rx != 0) sizes[n++] = {"fill", rings.fill};
  if (rings.tx != 0) sizes[n++] = {"tx", rings.tx};
  if (rings.tx != 0) sizes[n++] = {"completion", rings.completion};
  for (const Size& size : std::span(sizes).first(n)) {
    if (Result<void> ok = check_size(size.name, size.size, options); !ok) return ok;
  }

  const unsigned ifindex = if_nametoindex(options.ifname.c_str());
  if (ifindex == 0) return fail("Unknown interface [{}]", options.ifname);
  if (options.ifindex != 0 && ifindex != options.ifindex) {
    return fail("Interface {} was replaced: its index is {}, not {}", options.ifname, ifindex, options.ifindex);
  }
  return {};
}

// Zeros where the device does not tell. Only for the text of an error.
DeviceQueues device_queues(const std::string& ifname) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  std::memcpy(request.ifr_name, ifname.data(), std::min(ifname.size(), sizeof request.ifr_name - 1));
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (!fd.is_open() || ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return {};
  return {.rx = channels.rx_count + channels.combined_count, .tx = channels.tx_count + channels.combined_count};
}

void sleep_ns(uint64_t ns) {
  timespec left{.tv_sec = static_cast<time_t>(ns / kNsPerSec), .tv_nsec = static_cast<long>(ns % kNsPerSec)};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

template <typename XskRing>
RingMemory memory_of(const XskRing& ring) {
  return {ring.producer, ring.consumer, ring.flags, ring.ring, ring.size};
}

}  // namespace

Result<std::unique_ptr<XskSocket>> XskSocket::open(FrameArea area, const XskOptions& options,
                                                   std::span<const FrameAddr> prefill) {
  if (Result<void> ok = check_options(options); !ok) return ok.error();

  // Both modes are asked for by name. Without a name the kernel falls back from zero copy to copy by itself, but does
  // not say why.
  const bool forced = options.zero_copy == ZeroCopy::force;
  const std::array<uint16_t, 2> modes{XDP_ZEROCOPY, XDP_COPY};
  std::span<const uint16_t> tries = modes;
  if (forced) tries = tries.first(1);
  if (options.zero_copy == ZeroCopy::off) tries = tries.last(1);

  const XskPlace place{options.ifname, options.queue};
  const uint64_t start_ns = monotonic_ns();
  uint64_t pause_ns = kNsPerMs;
  std::string why_copy;
  for (;;) {
    // A UMEM that took part in a failed bind is spent: a new one for each try.
    std::unique_ptr<XskSocket> socket(new XskSocket(options));
    if (Result<void> ok = socket->register_memory(area, prefill); !ok) return ok.error();
    const int bind_errno = socket->bind(tries.front());
    if (bind_errno == 0) {
      if (Result<void> ok = socket->read_mode(); !ok) return ok.error();
      socket->why_copy_ = why_copy;
      return socket;
    }
    const uint64_t waited_ns = monotonic_ns() - start_ns;
    if (bind_errno == EBUSY && waited_ns < options.bind_wait_ns) {
      socket.reset();
      sleep_ns(pause_ns);
      pause_ns = std::min(pause_ns * 2, 50 * kNsPerMs);
    } else if (bind_errno != EBUSY && tries.size() > 1) {
      tries = tries.subspan(1);
      why_copy = zero_copy_refusal(bind_errno);
    } else {
      return bind_error(bind_errno, place, {forced, waited_ns, device_queues(options.ifname)});
    }
  }
}

Result<void> XskSocket::register_memory(FrameArea area, std::span<const FrameAddr> prefill) {
  const uint64_t limit_bytes = raise_memlock_limit();
  const RingSizes& rings = options_.rings;
  const xsk_umem_config config{
      .fill_size = rings.rx != 0 ? rings.fill : kTxOnlyFill,
      .comp_size = rings.tx != 0 ? rings.completion : kUnusedRingSize,
      .frame_size = area.frame_size().bytes(),
      .frame_headroom = options_.headroom_bytes,
      .flags = 0,
  };
  const int status = xsk_umem__create(&umem_, area.memory(), area.len_bytes(), &fill_, &completion_, &config);
  if (status != 0) {
    umem_ = nullptr;
    return umem_error(-status, {options_.ifname, options_.queue}, area.len_bytes(), limit_bytes);
  }
  if (prefill.empty()) return {};
  FillRing fill(memory_of(fill_));
  FillRing::Slots slots = fill.reserve(static_cast<uint32_t>(prefill.size()));
  XDPLB_CHECK(slots.size() == prefill.size());
  for (uint32_t i = 0; i < slots.size(); ++i) slots.set(i, prefill[i]);
  fill.submit(slots.size());
  prefilled_ = slots.size();
  return {};
}

int XskSocket::bind(uint16_t mode_flag) {
  const RingSizes& rings = options_.rings;
  xsk_socket_config config{};
  config.rx_size = rings.rx;
  config.tx_size = rings.tx;
  config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;  // the program and the XSKMAP are ours to handle
  config.bind_flags = static_cast<uint16_t>(mode_flag | (options_.need_wakeup ? XDP_USE_NEED_WAKEUP : 0));
  const int status = xsk_socket__create(&socket_, options_.ifname.c_str(), options_.queue, umem_,
                                        rings.rx != 0 ? &rx_ : nullptr, rings.tx != 0 ? &tx_ : nullptr, &config);
  if (status != 0) socket_ = nullptr;
  return -status;
}

Result<void> XskSocket::read_mode() {
  xdp_options got{};
  socklen_t len = sizeof got;
  if (getsockopt(fd(), SOL_XDP, XDP_OPTIONS, &got, &len) != 0) {
    return fail_errno(errno, "Cannot read the mode of the socket of {} queue {}", options_.ifname, options_.queue);
  }
  zero_copy_ = (got.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  return {};
}

XskSocket::~XskSocket() {
  if (socket_ != nullptr) xsk_socket__delete(socket_);
  // Refused only while a socket uses it; ours is gone.
  if (umem_ != nullptr) XDPLB_CHECK(xsk_umem__delete(umem_) == 0);
}

int XskSocket::fd() const {
  return xsk_socket__fd(socket_);
}

PortRings XskSocket::port_rings() const {
  const bool receives = options_.rings.rx != 0;
  PortRings rings;
  if (receives) rings.rx.emplace(memory_of(rx_));
  if (receives || zero_copy_) rings.fill.emplace(memory_of(fill_));
  if (options_.rings.tx != 0) {
    rings.tx.emplace(memory_of(tx_));
    rings.completion.emplace(memory_of(completion_));
  }
  rings.prefilled = prefilled_;
  rings.fd = fd();
  rings.zero_copy = zero_copy_;
  rings.wakeup_flags = options_.need_wakeup;
  return rings;
}

Result<XskStatistics> XskSocket::statistics() const {
  xdp_statistics raw{};
  socklen_t len = sizeof raw;
  if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &raw, &len) != 0) {
    return fail_errno(errno, "Cannot read the statistics of {} queue {}", options_.ifname, options_.queue);
  }
  return XskStatistics{
      .rx_dropped = raw.rx_dropped,
      .rx_ring_full = raw.rx_ring_full,
      .rx_fill_ring_empty = raw.rx_fill_ring_empty_descs,
      .rx_invalid_descs = raw.rx_invalid_descs,
      .tx_invalid_descs = raw.tx_invalid_descs,
      .tx_ring_empty = raw.tx_ring_empty_descs,
  };
}

Kick XskSocket::kick_tx() {
  return kick_of_errno(sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0 ? 0 : errno);
}

Kick XskSocket::kick_rx() {
  return kick_of_errno(recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr) >= 0 ? 0 : errno);
}

}  // namespace xdplb
