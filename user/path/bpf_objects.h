// The compiled BPF programs as bytes inside the binary: the same files that `make` leaves as build/xdp_*_kern.o.
#pragma once

#include <cstdint>
#include <span>

namespace xdplb {

extern "C" const uint8_t xdp_vip_kern_object[];
extern "C" const uint8_t xdp_vip_kern_object_end[];
extern "C" const uint8_t xdp_egress_kern_object[];
extern "C" const uint8_t xdp_egress_kern_object_end[];

inline std::span<const uint8_t> vip_object() {
  return {xdp_vip_kern_object, xdp_vip_kern_object_end};
}
inline std::span<const uint8_t> egress_object() {
  return {xdp_egress_kern_object, xdp_egress_kern_object_end};
}

}  // namespace xdplb
