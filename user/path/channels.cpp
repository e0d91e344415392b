#include "user/path/channels.h"

#include <linux/ethtool.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "user/ctl/ethtool.h"

namespace xdplb {
namespace {

std::string first_word(const std::filesystem::path& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

}  // namespace

std::string query_driver(const LinkInfo& link) {
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!ask_ethtool(link, &info)) return "";
  return {info.driver, strnlen(info.driver, sizeof info.driver)};
}

std::optional<uint32_t> sysfs_tx_queues(const LinkInfo& link, const std::string& root) {
  const std::filesystem::path device = std::filesystem::path(root) / link.name;
  if (first_word(device / "ifindex") != std::to_string(link.ifindex)) return std::nullopt;
  if (first_word(device / "address") != to_string(link.mac)) return std::nullopt;
  std::error_code unreadable;
  uint32_t queues = 0;
  for (const auto& entry : std::filesystem::directory_iterator(device / "queues", unreadable)) {
    if (entry.path().filename().string().starts_with("tx-")) ++queues;
  }
  if (queues == 0) return std::nullopt;
  return queues;
}

Result<Channels> query_channels(const LinkInfo& link) {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!ask_ethtool(link, &channels)) {
    if (errno != EOPNOTSUPP) return fail_errno(errno, "Cannot ask for the channels of [{}]", link.name);
    return Channels{std::max(1u, link.rx_queues), std::max(1u, link.tx_queues)};
  }
  const uint32_t rx = channels.combined_count + channels.rx_count;
  const uint32_t tx = channels.combined_count + channels.tx_count;
  return Channels{std::max(1u, rx), std::max(1u, std::min(tx, sysfs_tx_queues(link).value_or(tx)))};
}

}  // namespace xdplb
