#include "user/path/memory_device.h"

#include <cstring>

namespace xdplb {

MemoryDevice::MemoryDevice(FrameArea area, uint32_t ring_size, std::function<void(const FrameRef&)> sink)
    : area_(area), sink_(std::move(sink)), rx_(ring_size), tx_(ring_size), fill_(ring_size), completion_(ring_size) {
  tx_.flags = XDP_RING_NEED_WAKEUP;
}

PortRings MemoryDevice::rings() {
  PortRings rings;
  rings.rx.emplace(rx_.memory());
  rings.fill.emplace(fill_.memory());
  rings.tx.emplace(tx_.memory());
  rings.completion.emplace(completion_.memory());
  return rings;
}

FrameAddr MemoryDevice::deliver(std::span<const uint8_t> packet) {
  XDPLB_CHECK(!fill_.empty() && !packet.empty() && packet.size() <= kPacketBytesMax);
  const FrameAddr data = FrameAddr{fill_.take()} + kHeadroomBytes;
  std::memcpy(area_.at(data), packet.data(), packet.size());
  rx_.put({data.offset, static_cast<uint32_t>(packet.size()), 0});
  return data;
}

Kick MemoryDevice::kick_tx() {
  while (!tx_.empty()) {
    const xdp_desc& desc = tx_.take();
    sink_({{desc.addr}, desc.len});
    completion_.put(desc.addr);
  }
  return Kick::done;
}

}  // namespace xdplb
