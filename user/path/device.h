// Device: what set-up has to know of one network device once the programs are attached. Attaching comes first because
// it changes the device: virtio_net adds receive queues for it, and some drivers reset. Control thread only.
#pragma once

#include <string>

#include "umem/xsk_socket.h"
#include "user/ctl/netlink.h"
#include "user/path/channels.h"

namespace xdplb {

// A device as it was when the plane was built; a difference is a reason to build again.
struct PlaneDevice {
  LinkInfo link;
  Channels channels;
  std::string driver;         // "virtio_net", "veth", "ice"; empty where it does not tell
  bool has_zero_copy = true;  // false where the kernel says that the driver has none (6.3 and later tell)
};

// How the sockets on a device are to be bound, and why not for zero copy.
struct CopyChoice {
  ZeroCopy zero_copy = ZeroCopy::automatic;
  std::string why_copy;  // empty where zero copy is tried
};

// Zero copy is only for devices that have it and a native program. Beside a generic one, a zero-copy socket receives
// nothing: its packets do not come to where that program runs, and the kernel binds it all the same. For transmission
// many drivers want a native program, too. Error where zero copy is forced on such a device.
Result<CopyChoice> choose_copy(const PlaneDevice& device, ZeroCopy asked);

// Devices whose packets come from another machine of this host, or from this one, with the L4 checksum left to be
// done by hardware that is not there. A physical device never has such packets.
bool leaves_checksums_partial(const PlaneDevice& device);

// What became of the zero copy of one device, over all of its sockets: "yes", "no (why)", "in part (...)".
std::string zero_copy_text(uint32_t sockets, uint32_t zero_copy_sockets, const std::string& why_copy);

}  // namespace xdplb
