#include "tools/packets/program.h"

#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>

#include <cerrno>

namespace xdplb::tools {

Result<Program> Program::attach(std::span<const uint8_t> bytes, const char* name, const std::string& device) {
  Program program;
  program.ifindex_ = if_nametoindex(device.c_str());
  if (program.ifindex_ == 0) return fail("Unknown interface [{}]", device);
  libbpf_set_print(nullptr);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = name;
  program.object_.reset(bpf_object__open_mem(bytes.data(), bytes.size(), &options));
  if (!program.object_) return fail_errno(errno, "Cannot read the program {}", name);
  if (const int rc = bpf_object__load(program.object_.get()); rc != 0) {
    return fail_errno(-rc, "Cannot load the program {}", name);
  }
  bpf_program* const prog = bpf_object__find_program_by_name(program.object_.get(), name);
  XDPLB_CHECK(prog != nullptr);
  program.fd_ = bpf_program__fd(prog);
  program.link_.reset(bpf_program__attach_xdp(prog, static_cast<int>(program.ifindex_)));
  if (!program.link_) return fail_errno(errno, "Cannot attach {} to [{}]", name, device);
  return program;
}

Result<std::span<std::byte>> Program::map_bytes(const char* name, size_t value_bytes) {
  bpf_map* const map = bpf_object__find_map_by_name(object_.get(), name);
  XDPLB_CHECK(map != nullptr && bpf_map__value_size(map) == value_bytes);
  // The kernel pads values to eight bytes, and the whole to a page.
  const size_t stride = (value_bytes + 7) / 8 * 8;
  const size_t len_bytes = stride * bpf_map__max_entries(map);
  void* const memory = mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of {}", len_bytes, name);
  return std::span(static_cast<std::byte*>(memory), len_bytes);
}

Result<void> pin_to_cpu(int cpu) {
  if (cpu < 0) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) return fail_errno(errno, "Cannot run on CPU {}", cpu);
  return {};
}

}  // namespace xdplb::tools
