// Tests of the kernel programs. They need root, touch no network but a private one, and leave nothing behind.
#define CATCH_CONFIG_RUNNER
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/kern/vip_rig.h"
#include "user/path/bpf_objects.h"

namespace xdplb {
namespace {

TestDevices devices;

bool attach_egress(int ifindex) {
  const auto bytes = egress_object().bytes;
  bpf_object* object = bpf_object__open_mem(bytes.data(), bytes.size(), nullptr);
  if (object == nullptr || bpf_object__load(object) != 0) return false;
  const int fd = bpf_program__fd(bpf_object__find_program_by_name(object, "xdp_egress"));
  const bool is_attached = bpf_xdp_attach(ifindex, fd, 0, nullptr) == 0;
  bpf_object__close(object);
  return is_attached;
}

bool make_devices() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  if (std::system("ip link add first numrxqueues 70 numtxqueues 70 up type veth "
                  "peer name second numrxqueues 70 numtxqueues 70 && ip link set second up") != 0)
    return false;
  devices = {static_cast<int>(if_nametoindex("first")), static_cast<int>(if_nametoindex("second"))};
  return attach_egress(devices.first) && attach_egress(devices.second);
}

}  // namespace

const TestDevices& test_devices() {
  return devices;
}

}  // namespace xdplb

int main(int argc, char** argv) {
  if (geteuid() != 0) {
    std::fputs("kern-tests: these tests need root\n", stderr);
    return 1;
  }
  if (!xdplb::make_devices()) {
    std::perror("kern-tests: cannot make a private network with a veth pair");
    return 1;
  }
  return Catch::Session().run(argc, argv);
}
