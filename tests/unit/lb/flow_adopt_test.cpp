// Adoption: what a former daemon left is taken over with every flow, and what it cannot have left is not believed.
#include <catch2/catch.hpp>
#include <map>

#include "tests/support/flow_fixture.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint32_t kFlows = 1024;
constexpr uint64_t kStart = 1000 * kSecond;
const FlowMapping kKeep = [](FlowOwner owner) { return std::optional(owner); };

FlowOwner owner_of(uint32_t n) {
  return {.target = {.id = static_cast<uint16_t>(n % 7), .epoch = 2}, .service = static_cast<uint16_t>(n % 3)};
}

// A daemon with 500 flows that dies.
void leave_flows(const FlowMemory& memory) {
  Result<FlowTable> made = FlowTable::create(memory.bytes(), kFlows, 0x5eed);
  FlowTable table = std::move(made).value();
  const FlowPolicy policy = test_policy(kFlows, kFlows);
  for (uint32_t n = 0; n < 500; ++n) {
    const uint64_t hash = table.hash(flow_key(n));
    REQUIRE(table.enter(hash, flow_key(n), kTcpSyn, owner_of(n), policy, kStart).outcome == FlowOutcome::entered);
    if (n % 2 == 0) table.touch(table.find(hash, kStart), kTcpAck, policy, kStart);
  }
  table.name_service(1, 0xabcdef);
}

FlowBucket& bucket_of(const FlowMemory& memory, uint32_t slot) {
  return reinterpret_cast<FlowBucket*>(memory.bytes().data() +
                                       flow_geometry(kFlows).buckets_offset)[slot / kBucketWays];
}

std::string error_of(std::span<const std::byte> memory) {
  const Result<FlowReader> opened = FlowReader::open(memory);
  return opened ? "" : opened.error().message;
}

}  // namespace

TEST_CASE("flow adoption: every flow is there again", "[flow]") {
  const FlowMemory memory(kFlows);
  leave_flows(memory);
  CHECK(FlowReader::open(memory.bytes())->identity_of_service(1) == 0xabcdef);
  FlowAdoption report;
  Result<FlowTable> table = FlowTable::adopt(memory.bytes(), kStart + 5 * kSecond, kKeep, report);
  REQUIRE(table);
  CHECK(report.kept == 500);
  CHECK(report.expired + report.unwanted + report.invalid == 0);
  for (uint32_t n = 0; n < 500; ++n) {
    const FlowHit hit = table->find(table->hash(flow_key(n)), kStart + 5 * kSecond);
    REQUIRE(hit);
    CHECK(hit.target() == owner_of(n).target);
    CHECK(hit.service == owner_of(n).service);
    CHECK(hit.state == (n % 2 == 0 ? FlowState::established : FlowState::embryonic));
  }
  const FlowReader& reader = table->reader();
  CHECK(reader.counter(FlowCounter::live) == 500);
  CHECK(reader.counter(FlowCounter::high_water) == 500);
  CHECK(reader.live_of_service(0) == 167);
  CHECK(reader.embryonic_of_service(0) == 83);
  CHECK(reader.live_of_target({.id = 0, .epoch = 2}) == 72);
}

TEST_CASE("flow adoption: expired flows go, targets and services are mapped", "[flow]") {
  const FlowMemory memory(kFlows);
  leave_flows(memory);
  FlowAdoption report;
  const FlowMapping mapping = [](FlowOwner owner) -> std::optional<FlowOwner> {
    if (owner.target.id == 0) return std::nullopt;
    return FlowOwner{.target = {.id = owner.target.id, .epoch = 3},
                     .service = static_cast<uint16_t>(8 + owner.service)};
  };
  Result<FlowTable> table = FlowTable::adopt(memory.bytes(), kStart + 60 * kSecond, mapping, report);
  REQUIRE(table);
  CHECK(report.expired == 250);  // SYNs
  CHECK(report.unwanted == 36);
  CHECK(report.kept == 214);
  const FlowHit hit = table->find(table->hash(flow_key(2)), kStart + 60 * kSecond);
  CHECK(hit.target() == FlowTarget{.id = 2, .epoch = 3});
  CHECK(hit.service == 10);
  CHECK_FALSE(table->find(table->hash(flow_key(14)), kStart + 60 * kSecond));
}

TEST_CASE("flow adoption: counts are made anew, whatever the last owner was doing", "[flow]") {
  const FlowMemory memory(kFlows);
  leave_flows(memory);
  auto& header = *reinterpret_cast<FlowTableHeader*>(memory.bytes().data());
  header.counters[static_cast<size_t>(FlowCounter::live)] = 77;
  FlowAdoption report;
  Result<FlowTable> table = FlowTable::adopt(memory.bytes(), kStart, kKeep, report);
  REQUIRE(table);
  CHECK(table->reader().counter(FlowCounter::live) == 500);
  table->sweep(~0u, kStart + 3600 * kSecond);
  CHECK(table->reader().counter(FlowCounter::live) == 0);
  for (uint16_t s = 0; s < 3; ++s) CHECK(table->reader().live_of_service(s) == 0);
}

TEST_CASE("flow adoption: entries that cannot be are dropped", "[flow]") {
  const FlowMemory memory(kFlows);
  leave_flows(memory);
  const FlowReader reader = *FlowReader::open(memory.bytes());
  auto slot = [&](uint32_t n) { return reader.find(reader.hash(flow_key(n)), kStart).slot; };
  const uint32_t wrong_tag = slot(10), wrong_place = slot(20), endless = slot(30), stateless = slot(40);
  bucket_of(memory, wrong_tag).life[wrong_tag % kBucketWays] ^= 1;
  bucket_of(memory, wrong_place).place[wrong_place % kBucketWays] ^= uint64_t{1} << 40;
  bucket_of(memory, endless).life[endless % kBucketWays] |= uint64_t{0x70000000} << 32;
  bucket_of(memory, stateless).life[stateless % kBucketWays] &= ~(uint64_t{7} << 16);
  FlowAdoption report;
  Result<FlowTable> table = FlowTable::adopt(memory.bytes(), kStart, kKeep, report);
  REQUIRE(table);
  CHECK(report.invalid == 4);
  CHECK(report.kept == 496);
  for (const uint32_t n : {10u, 20u, 30u, 40u}) {
    CHECK_FALSE(table->find(table->hash(flow_key(n)), kStart));
    const auto entry = table->enter(table->hash(flow_key(n)), flow_key(n), kTcpSyn, owner_of(n),
                                    test_policy(kFlows, kFlows), kStart);
    CHECK(entry.outcome == FlowOutcome::entered);
  }
}

TEST_CASE("flow adoption: arbitrary bytes in the entries harm nobody", "[flow]") {
  const FlowMemory memory(kFlows);
  leave_flows(memory);
  uint64_t state = 88172645463325252u;  // xorshift
  const FlowGeometry g = flow_geometry(kFlows);
  for (size_t at = g.buckets_offset; at + 8 <= g.region_bytes; at += 8) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    std::memcpy(memory.bytes().data() + at, &state, 8);
  }
  FlowAdoption report;
  Result<FlowTable> table = FlowTable::adopt(memory.bytes(), kStart, kKeep, report);
  REQUIRE(table);
  CHECK(report.kept == 0);
  CHECK(table->reader().counter(FlowCounter::live) == 0);
  for (uint32_t slot = 0; slot < table->reader().slots(); ++slot) CHECK_FALSE(table->reader().read(slot, kStart));
}

TEST_CASE("flow adoption: flows move to a table of another size as they are", "[flow]") {
  const FlowMemory memory(kFlows), larger(8 * kFlows), smaller(kMinFlows);
  leave_flows(memory);
  const FlowReader from = *FlowReader::open(memory.bytes());
  Result<FlowTable> to = FlowTable::create(larger.bytes(), 8 * kFlows, 0xca11);
  Result<FlowTable> tight = FlowTable::create(smaller.bytes(), kMinFlows, 0xca11);
  const uint64_t now_ns = kStart + 5 * kSecond;
  std::map<FlowOutcome, uint32_t> outcomes;
  for (uint32_t slot = 0; slot < from.slots(); ++slot) {
    const auto flow = from.read(slot, now_ns);
    if (!flow) continue;
    REQUIRE(to->restore(*flow, {flow->target, flow->service}, now_ns) == FlowOutcome::entered);
    REQUIRE(to->restore(*flow, {flow->target, flow->service}, now_ns) == FlowOutcome::existed);
    ++outcomes[tight->restore(*flow, {flow->target, flow->service}, now_ns)];
  }
  for (uint32_t n = 0; n < 500; ++n) {
    const FlowHit hit = to->find(to->hash(flow_key(n)), now_ns), was = from.find(from.hash(flow_key(n)), now_ns);
    REQUIRE(hit);
    const auto is = to->reader().read(hit.slot, now_ns), before = from.read(was.slot, now_ns);
    REQUIRE((is && before));
    CHECK(is->key == flow_key(n));
    CHECK(is->target == before->target);
    CHECK(is->service == before->service);
    CHECK(is->state == before->state);
    CHECK(is->expires_in_ns == before->expires_in_ns);
    CHECK(is->age_ns == before->age_ns);
  }
  CHECK(to->reader().counter(FlowCounter::live) == 500);
  CHECK(to->reader().embryonic_of_service(0) == from.embryonic_of_service(0));
  to->sweep(~0u, kStart + 3600 * kSecond);
  CHECK(to->reader().counter(FlowCounter::live) == 0);
  // 128 slots: what they do not take is told, and no flow pushes another out.
  CHECK(outcomes[FlowOutcome::entered] + outcomes[FlowOutcome::refused_full] == 500);
  CHECK(outcomes[FlowOutcome::entered] == tight->reader().counter(FlowCounter::live));
  CHECK(outcomes[FlowOutcome::entered] > 100);
}

TEST_CASE("flow adoption: memory that is no table of ours is refused", "[flow]") {
  const FlowMemory memory(kFlows);
  CHECK(error_of(memory.bytes()) == "flow table: not one (magic 0000000000000000)");
  leave_flows(memory);
  CHECK(error_of(memory.bytes()).empty());
  CHECK(error_of(memory.bytes().first(100)) == "flow table: 100 bytes are too few, or not aligned");
  const size_t bytes = flow_geometry(kFlows).region_bytes;
  CHECK(error_of(memory.bytes().first(bytes - 1)) ==
        fmt::format("flow table: cut off after {} of {} bytes", bytes - 1, bytes));
  auto& header = *reinterpret_cast<FlowTableHeader*>(memory.bytes().data());
  const FlowTableHeader good = header;
  header.version = 3;
  CHECK(error_of(memory.bytes()) == "flow table: version 3, not 2");
  header = good;
  header.flows = 0xffffffff;
  CHECK(error_of(memory.bytes()) == "flow table: size 4294967295");
  header = good;
  header.buckets += 1;
  CHECK(error_of(memory.bytes()) == "flow table: the header contradicts itself (1024 flows, 513 buckets)");
  header = good;
  header.cold_offset = 64;
  CHECK_FALSE(error_of(memory.bytes()).empty());
  FlowAdoption report;
  CHECK_FALSE(FlowTable::adopt(memory.bytes(), kStart, kKeep, report));
}

TEST_CASE("flow table: what cannot be made is refused", "[flow]") {
  const FlowMemory memory(kFlows);
  CHECK_FALSE(FlowTable::create(memory.bytes(), kMinFlows - 1, 1));
  CHECK_FALSE(FlowTable::create(memory.bytes(), kMaxFlows + 1, 1));
  CHECK_FALSE(FlowTable::create(memory.bytes().first(kFlowAlignBytes), kFlows, 1));
}

}  // namespace xdplb
