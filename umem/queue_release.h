// Waiting until the kernel has let go of a (device, queue).
//
// Closing the last socket of a queue only begins its end: the kernel takes the pool down a little later, in a work
// item. What must come after that, above all detaching the program, waits here. On virtio_net a native program adds
// queues; if they vanish under a pool that still lives, the driver keeps a pointer to it and the kernel crashes on
// the next packet (tests/vm/README.md).
//
// Control thread only, without a socket of ours on that queue.
#pragma once

#include <cstdint>
#include <string>

namespace xdplb {

// False where the queue was still in use when the time was up, by a pool of ours or by someone else.
[[nodiscard]] bool wait_for_queue_release(const std::string& ifname, uint32_t ifindex, uint32_t queue,
                                          uint64_t patience_ns);

}  // namespace xdplb
