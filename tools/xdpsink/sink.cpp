#include "tools/xdpsink/sink.h"

#include <cstring>

namespace xdplb::xdpsink {
namespace {

uint64_t mac_word(const MacAddr& mac) {
  uint64_t word = 0;
  std::memcpy(&word, mac.bytes.data(), mac.bytes.size());
  return word;
}

}  // namespace

Result<Sink> Sink::create(const Options& options) {
  const std::span object(tools::xdpsink_kern_object, tools::xdpsink_kern_object_end);
  auto program = tools::Program::attach(object, "xdpsink", options.device);
  if (!program) return program.error();
  auto setup = program->map<xdpsink_setup>("xdpsink_setup");
  if (!setup) return setup.error();
  auto counts = program->map<xdpsink_counts>("xdpsink_counts");
  if (!counts) return counts.error();
  auto flows = program->map<uint64_t>("xdpsink_flows");
  if (!flows) return flows.error();
  xdpsink_setup& s = setup->front();
  for (const MacAddr& mac : options.targets) s.targets[mac.bytes[5]] = mac_word(mac);
  if (options.source) s.source = mac_word(*options.source);
  s.verify_mask = options.verify == 0 ? ~0u : options.verify - 1;
  s.latency = options.latency;
  return Sink(std::move(*program), *counts, *flows);
}

void Sink::reset() {
  std::memset(flows_.data(), 0, flows_.size_bytes());
  std::memset(counts_.data(), 0, counts_.size_bytes());
}

}  // namespace xdplb::xdpsink
