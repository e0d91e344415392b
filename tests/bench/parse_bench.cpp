// What parse_packet costs per packet, over a batch that fits the caches: `make bench-steps`.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "tests/support/packet.h"
#include "user/net/checksum.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

using namespace test;

constexpr size_t kBatch = 64;

// Frames of a real batch lie 4096 bytes apart and so share one set of the first-level cache; these lie a line further
// on each, because it is the code that is measured here.
constexpr size_t kStride = 4096 + 64;

struct Batch {
  explicit Batch(const Bytes& frame) : area(kBatch * kStride), len(frame.size()) {
    for (size_t i = 0; i < kBatch; ++i)
      std::copy(frame.begin(), frame.end(), area.begin() + static_cast<long>(i * kStride));
  }
  [[nodiscard]] std::span<uint8_t> frame(size_t i) { return {area.data() + i * kStride, len}; }

  Bytes area;
  size_t len;
  std::array<PacketInfo, kBatch> infos{};
};

void parse_batch(benchmark::State& state, const Bytes& bytes, bool checksum) {
  Batch batch(bytes);
  for (auto _ : state) {
    for (size_t i = 0; i < kBatch; ++i) benchmark::DoNotOptimize(parse_packet(batch.frame(i), batch.infos[i]));
    for (size_t i = 0; checksum && i < kBatch; ++i)
      benchmark::DoNotOptimize(complete_checksum(batch.frame(i), batch.infos[i]));
    benchmark::ClobberMemory();
  }
  state.counters["ns/packet"] = benchmark::Counter(
      static_cast<double>(kBatch), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void checksum_1460(benchmark::State& state) {
  const Bytes bytes = fill(1460, 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(checksum_fold(bytes));
}
BENCHMARK(checksum_1460);

struct Case {
  const char* name;
  Bytes frame;
};

void register_cases() {
  const Bytes payload = fill(18);
  const Bytes quoted = ipv4(6, tcp(80, 1000), {.src = kVip4, .dst = kClient4});
  const Case cases[] = {
      {"ipv4_udp", ether(0x0800) + ipv4(17, udp(1000, 53, payload))},
      {"ipv4_tcp", ether(0x0800) + ipv4(6, tcp(1000, 80))},
      {"ipv6_udp", ether(0x86dd) + ipv6(17, udp(1000, 53, payload))},
      {"ipv6_tcp", ether(0x86dd) + ipv6(6, tcp(1000, 80))},
      {"vlan_ipv4_udp", ether(0x8100) + vlan(0x0800) + ipv4(17, udp(1000, 53, payload))},
      {"ipv4_options_udp", ether(0x0800) + ipv4(17, udp(1000, 53, payload), {.options = fill(12, 1)})},
      {"ipv6_3_extensions_udp",
       ether(0x86dd) + ipv6(0, extension(43) + extension(60) + extension(17) + udp(1000, 53, payload))},
      {"ipv4_fragment", ether(0x0800) + ipv4(17, fill(64), {.fragment = 0x2010})},
      {"ipv4_frag_needed", ether(0x0800) + ipv4(1, icmp(3, 4, be32(1400) + quoted))},
  };
  for (const Case& c : cases)
    benchmark::RegisterBenchmark((std::string("parse/") + c.name).c_str(),
                                 [frame = c.frame](benchmark::State& state) { parse_batch(state, frame, false); });
  const Bytes data = ether(0x0800) + ipv4(6, tcp(1000, 80, 0x10, fill(1448)));
  benchmark::RegisterBenchmark("parse_and_test_for_partial/ipv4_tcp",
                               [data](benchmark::State& state) { parse_batch(state, data, true); });
}

}  // namespace
}  // namespace xdplb

int main(int argc, char** argv) {
  xdplb::register_cases();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
