// Program: one of the kernel programs of xdpgen and xdpsink, natively attached to a device. It is detached when the
// process ends, however that happens: the kernel holds the attachment for the process alone (a BPF link).
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "user/base/result.h"

namespace xdplb::tools {

extern "C" const uint8_t xdpgen_kern_object[];
extern "C" const uint8_t xdpgen_kern_object_end[];
extern "C" const uint8_t xdpsink_kern_object[];
extern "C" const uint8_t xdpsink_kern_object_end[];

class Program {
 public:
  // Loads the object's program `name` and attaches it to `device`.
  static Result<Program> attach(std::span<const uint8_t> object, const char* name, const std::string& device);

  Program(Program&&) = default;
  Program& operator=(Program&&) = default;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] uint32_t ifindex() const { return ifindex_; }
  // The memory of an array map, mapped for as long as this process lives. T is the type of its values.
  template <typename T>
  Result<std::span<T>> map(const char* name) {
    auto memory = map_bytes(name, sizeof(T));
    if (!memory) return memory.error();
    return std::span<T>(reinterpret_cast<T*>(memory->data()), memory->size() / sizeof(T));
  }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };

  Program() = default;
  Result<std::span<std::byte>> map_bytes(const char* name, size_t value_bytes);

  std::unique_ptr<bpf_object, Close> object_;
  std::unique_ptr<bpf_link, Close> link_;
  int fd_ = -1;
  uint32_t ifindex_ = 0;
};

// Keeps the calling thread on one CPU; -1: wherever it is.
Result<void> pin_to_cpu(int cpu);

}  // namespace xdplb::tools
