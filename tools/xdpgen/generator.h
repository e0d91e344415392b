// Generator: the program on the device, and the calls that make it send. One thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "tools/packets/program.h"
#include "tools/xdpgen/template.h"

namespace xdplb::xdpgen {

struct Sent {
  uint64_t packets = 0;
  uint64_t duration_ns = 0;
  uint64_t lost_ns = 0;  // of the schedule: by which it was late and gave up catching up
};

class Generator {
 public:
  static Result<Generator> create(const Options& options);

  // Sends until count, duration or `stop` say that it is enough.
  Result<Sent> run(const std::atomic<bool>& stop);

 private:
  Generator(const Options& options, Template packet, tools::Program program, xdpgen_run* run)
      : options_(options), packet_(std::move(packet)), program_(std::move(program)), run_(run) {}
  Result<void> call(uint32_t packets);
  [[nodiscard]] uint64_t packets_a_call() const;
  [[nodiscard]] uint64_t packets_left(uint64_t now_ns, uint64_t began_ns) const;
  void wait_until_due() const;

  Options options_;
  Template packet_;
  tools::Program program_;
  xdpgen_run* run_;
};

}  // namespace xdplb::xdpgen
