// The compiled BPF programs as bytes inside the binary: the same files that `make` leaves as build/xdp_*_kern.o. Each
// holds one program.
#pragma once

#include <cstdint>
#include <span>

namespace xdplb {

extern "C" const uint8_t xdp_vip_kern_object[];
extern "C" const uint8_t xdp_vip_kern_object_end[];
extern "C" const uint8_t xdp_vip_live_kern_object[];
extern "C" const uint8_t xdp_vip_live_kern_object_end[];
extern "C" const uint8_t xdp_egress_kern_object[];
extern "C" const uint8_t xdp_egress_kern_object_end[];
extern "C" const uint8_t xdp_egress_live_kern_object[];
extern "C" const uint8_t xdp_egress_live_kern_object_end[];

struct EmbeddedObject {
  const char* program;  // its name
  std::span<const uint8_t> bytes;
};

inline EmbeddedObject vip_object() {
  return {"xdp_vip", {xdp_vip_kern_object, xdp_vip_kern_object_end}};
}
inline EmbeddedObject vip_live_object() {
  return {"xdp_vip_live", {xdp_vip_live_kern_object, xdp_vip_live_kern_object_end}};
}
inline EmbeddedObject egress_object() {
  return {"xdp_egress", {xdp_egress_kern_object, xdp_egress_kern_object_end}};
}
inline EmbeddedObject egress_live_object() {
  return {"xdp_egress_live", {xdp_egress_live_kern_object, xdp_egress_live_kern_object_end}};
}

}  // namespace xdplb
