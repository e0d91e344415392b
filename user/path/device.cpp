#include "user/path/device.h"

namespace xdplb {

Result<CopyChoice> choose_copy(const PlaneDevice& device, ZeroCopy asked) {
  if (asked == ZeroCopy::off) return CopyChoice{ZeroCopy::off, "--zerocopy=off"};
  const bool native = device.link.xdp_native_id != 0;
  // Forced, it is for the driver to refuse.
  if (native && (device.has_zero_copy || asked == ZeroCopy::force)) return CopyChoice{asked, ""};
  const char* const why = native                            ? "the driver has none"
                          : device.link.xdp_generic_id != 0 ? "XDP on it is generic"
                                                            : "it has no XDP program";
  if (asked == ZeroCopy::automatic) return CopyChoice{ZeroCopy::off, why};
  return fail(
      "Zero copy was forced, and [{}] has none: {}, and zero copy needs a native one (--zerocopy=auto falls "
      "back to copy)",
      device.link.name, why);
}

bool leaves_checksums_partial(const PlaneDevice& device) {
  return device.link.kind == "veth" || device.link.kind == "tun" || device.driver == "virtio_net";
}

std::string zero_copy_text(uint32_t sockets, uint32_t zero_copy_sockets, const std::string& why_copy) {
  if (zero_copy_sockets == sockets) return "yes";
  const std::string why = why_copy.empty() ? "" : fmt::format(" ({})", why_copy);
  if (zero_copy_sockets == 0) return "no" + why;
  return fmt::format("on {} of {} queues{}", zero_copy_sockets, sockets, why);
}

}  // namespace xdplb
