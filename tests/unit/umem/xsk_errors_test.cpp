#include "umem/xsk_errors.h"

#include <catch2/catch.hpp>
#include <cerrno>

using namespace xdplb;

TEST_CASE("what goes wrong with a socket is said in words that help") {
  const XskPlace place{"eth2", 3};
  struct Row {
    Error error;
    int sys_errno;
    const char* text;
  };
  const Row rows[] = {
      {umem_error(EPERM, place, 4096, 0), EPERM,
       "Cannot open an AF_XDP socket for eth2 queue 3: the capability CAP_NET_RAW is missing (run as root, or grant "
       "it)"},
      {umem_error(ENOBUFS, place, 54525952, 8388608), ENOBUFS,
       "Cannot lock 54525952 bytes of packet memory for eth2 queue 3: RLIMIT_MEMLOCK is 8388608 bytes for all "
       "sockets of "
       "this user together; raise it (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK"},
      {umem_error(ENOMEM, place, 4096, 0), ENOMEM,
       "Cannot register 4096 bytes of packet memory for eth2 queue 3: not enough memory"},
      {umem_error(EAFNOSUPPORT, place, 4096, 0), EAFNOSUPPORT,
       "Cannot open an AF_XDP socket for eth2 queue 3: this kernel has none (CONFIG_XDP_SOCKETS)"},
      {umem_error(EIO, place, 4096, 0), EIO,
       "Cannot register 4096 bytes of packet memory for eth2 queue 3: Input/output error"},
      {bind_error(EBUSY, place, {.waited_ns = 2'000'000'000}), EBUSY,
       "Cannot bind to eth2 queue 3: the queue has a socket of another process (waited 2000 ms); is a second "
       "instance "
       "running?"},
      {bind_error(EOPNOTSUPP, place, {.zero_copy_forced = true}), EOPNOTSUPP,
       "Cannot bind to eth2 queue 3: zero copy was forced, and the driver of eth2 does not support it (--zerocopy "
       "auto "
       "falls back to copy)"},
      {bind_error(EOPNOTSUPP, place, {}), EOPNOTSUPP,
       "Cannot bind to eth2 queue 3: the device does not support AF_XDP"},
      {bind_error(ENODEV, place, {}), ENODEV, "Cannot bind to eth2 queue 3: the interface does not exist (any more)"},
      {bind_error(ENETDOWN, place, {}), ENETDOWN,
       "Cannot bind to eth2 queue 3: the interface is down (ip link set eth2 up)"},
      {bind_error(EINVAL, place, {.queues = {.rx = 2, .tx = 2}}), EINVAL,
       "Cannot bind to eth2 queue 3: the interface has 2 receive and 2 transmit queues, counted from 0"},
      {bind_error(EINVAL, place, {.queues = {.rx = 4, .tx = 4}}), EINVAL,
       "Cannot bind to eth2 queue 3: Invalid argument"},
      {bind_error(EPERM, place, {}), EPERM, "Cannot bind to eth2 queue 3: the capability CAP_NET_RAW is missing"},
      {bind_error(EIO, place, {}), EIO, "Cannot bind to eth2 queue 3: Input/output error"},
      {bind_error(ENOENT, place, {.zero_copy_forced = true}), ENOENT,
       "Cannot bind to eth2 queue 3 (zero copy was forced): No such file or directory"},
  };
  for (const Row& row : rows) {
    CHECK(row.error.message == row.text);
    CHECK(row.error.sys_errno == row.sys_errno);
  }
}

TEST_CASE("why there is no zero copy is told from one that the driver fails at") {
  CHECK(zero_copy_refusal(EOPNOTSUPP) == "the driver has none");
  CHECK(zero_copy_refusal(EINVAL) == "the driver refused it: Invalid argument");
}
