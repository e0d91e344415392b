#include "user/ctl/netdev_features.h"

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include <optional>

#include "user/ctl/netlink_ask.h"
#include "user/ctl/netlink_attributes.h"

namespace xdplb {
namespace {

// include/uapi/linux/netdev.h; Debian 12's headers are older.
constexpr const char* kFamily = "netdev";
constexpr uint8_t kDevGet = 1;
constexpr uint16_t kDevIfindex = 1;
constexpr uint16_t kDevXdpFeatures = 3;

genlmsghdr* begin(NetlinkRequest& request, uint16_t type, uint8_t command) {
  auto* header = request.begin<genlmsghdr>(type, NLM_F_ACK);
  header->cmd = command;
  header->version = 1;
  return header;
}

// The attribute `wanted` of a generic netlink message, header included.
template <typename T>
std::optional<T> find_attribute(std::span<const uint8_t> message, uint16_t wanted) {
  std::optional<T> value;
  if (message.size() < NLMSG_LENGTH(sizeof(genlmsghdr))) return value;
  for_each_attribute(message.subspan(NLMSG_LENGTH(sizeof(genlmsghdr))), [&](uint16_t type, Payload payload) {
    if (type != wanted || payload.size() < sizeof(T)) return;
    std::memcpy(&value.emplace(), payload.data(), sizeof(T));
  });
  return value;
}

template <typename T>
Result<T> ask_for(const NetlinkRequest& request, uint16_t attribute) {
  std::optional<T> value;
  const auto done = ask_netlink(NETLINK_GENERIC, request, [&](std::span<const uint8_t> message) {
    if (auto found = find_attribute<T>(message, attribute)) value = found;
  });
  if (!done) return done.error();
  if (!value) return fail_errno(EOPNOTSUPP, "The kernel does not tell the XDP features of devices");
  return *value;
}

}  // namespace

Result<uint64_t> query_xdp_features(uint32_t ifindex) {
  NetlinkRequest family;
  begin(family, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
  mnl_attr_put_strz(family.header, CTRL_ATTR_FAMILY_NAME, kFamily);
  const auto id = ask_for<uint16_t>(family, CTRL_ATTR_FAMILY_ID);
  if (!id && id.error().sys_errno == ENOENT) {
    return fail_errno(EOPNOTSUPP, "The kernel does not tell the XDP features of devices (6.3 and later do)");
  }
  if (!id) return id.error();
  NetlinkRequest device;
  begin(device, *id, kDevGet);
  mnl_attr_put_u32(device.header, kDevIfindex, ifindex);
  return ask_for<uint64_t>(device, kDevXdpFeatures);
}

}  // namespace xdplb
