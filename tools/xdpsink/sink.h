// Sink: the program on the device and its counters.
#pragma once

#include <span>

#include "tools/packets/abi.h"
#include "tools/packets/program.h"
#include "tools/xdpsink/options.h"

namespace xdplb::xdpsink {

class Sink {
 public:
  static Result<Sink> create(const Options& options);

  [[nodiscard]] std::span<const xdpsink_counts> counts() const { return counts_; }
  // Forgets counts and sequences. What comes meanwhile may be counted or not.
  void reset();

 private:
  Sink(tools::Program program, std::span<xdpsink_counts> counts, std::span<uint64_t> flows)
      : program_(std::move(program)), counts_(counts), flows_(flows) {}

  tools::Program program_;
  std::span<xdpsink_counts> counts_;
  std::span<uint64_t> flows_;
};

}  // namespace xdplb::xdpsink
