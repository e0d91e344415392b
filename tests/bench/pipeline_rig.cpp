#include "tests/bench/pipeline_rig.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/support/packet.h"

namespace xdplb::bench {
namespace {

constexpr uint32_t kFlowsMax = kDefaultFlows;
constexpr uint32_t kTargets = 100;
constexpr uint32_t kTableSize = 10007;
constexpr uint32_t kHeadroomBytes = 256;
constexpr uint32_t kPacketBytes = 60;
constexpr uint32_t kPortsPerAddress = 16384;
constexpr uint64_t kPacketNs = 500;  // 2 Mpps

constexpr size_t kSourceAt = 26, kPortAt = 34;

Config make_config() {
  Config config;
  Service service;
  service.name = "web";
  service.vips = {*parse_prefix("10.0.0.0/32")};
  service.table_size = kTableSize;
  service.flow_quota_percent = 100;
  service.timeouts.udp_s = 3600;
  for (uint32_t i = 0; i < kTargets; ++i) {
    Target target;
    target.name = fmt::format("vm-{:03}", i);
    target.mac = MacAddr{{2, 0, 0, 0, 1, static_cast<uint8_t>(i)}};
    target.id = static_cast<uint16_t>(i);
    config.targets.push_back(target);
    service.targets.push_back({i, {}});
  }
  config.services.push_back(service);
  return config;
}

const test::Bytes& packet_template() {
  using test::operator+;
  static const test::Bytes bytes =
      test::ether(0x0800) + test::ipv4(17, test::udp(0, 80, test::fill(18)), {.src = test::fill(4)});
  return bytes;
}

MappedRegion make_frames(const PipelineShape& shape) {
  auto region = MappedRegion::create(uint64_t{shape.frames} * shape.frame_size.bytes(),
                                     shape.huge_pages ? HugePages::try_all : HugePages::never);
  XDPLB_CHECK(region.has_value());
  return std::move(*region);
}

SteeringParts make_parts(FlowTable& table, std::span<FragmentBucket> fragments) {
  SteeringParts parts;
  parts.flows = &table;
  parts.fragments = fragments;
  return parts;
}

}  // namespace

PipelineRig::PipelineRig(const PipelineShape& shape)
    : shape_(shape),
      frame_memory_(make_frames(shape)),
      area_(frame_memory_.bytes(), shape.frame_size),
      flow_memory_(kFlowsMax, shape.huge_pages),
      table_(*FlowTable::create(flow_memory_.bytes(), kFlowsMax, 0x5eed)),
      fragments_(fragment_buckets(kDefaultFragmentDatagrams)),
      snapshot_(compile_snapshot(make_config(), 1)),
      steering_(make_parts(table_, fragments_)) {
  XDPLB_CHECK(shape.frames % shape.batch == 0 && shape.flows <= kFlowsMax);
  rules_ = {MacAddr{{2, 0, 0, 0, 2, 1}}, 1500, shape.complete_checksums};
  for (uint32_t flow = 0; flow < shape.flows;) {  // every flow is entered
    for (uint32_t frame = 0; frame < shape.frames; ++frame) write_packet(frame, std::min(flow++, shape.flows - 1));
    for (uint32_t b = 0; b < batches(); ++b) run_batch(b);
  }
  XDPLB_CHECK(table_.reader().counter(FlowCounter::live) == shape.flows);
}

void PipelineRig::write_packet(uint32_t frame, uint32_t flow) {
  auto* const packet = reinterpret_cast<uint8_t*>(area_.at(shape_.frame_size.at(frame) + kHeadroomBytes));
  std::memcpy(packet, packet_template().data(), kPacketBytes);
  const uint32_t source = 0x32000001 + flow / kPortsPerAddress;
  const uint32_t port = 1024 + flow % kPortsPerAddress;
  for (uint32_t i = 0; i < 4; ++i) packet[kSourceAt + i] = static_cast<uint8_t>(source >> (24 - 8 * i));
  packet[kPortAt] = static_cast<uint8_t>(port >> 8);
  packet[kPortAt + 1] = static_cast<uint8_t>(port);
  test::repair_ipv4_checksum({packet, kPacketBytes});
}

void PipelineRig::fill() {
  for (uint32_t frame = 0; frame < shape_.frames; ++frame) {
    write_packet(frame, static_cast<uint32_t>(random_() % shape_.flows));
  }
}

// What the stage of that name does with the descriptors of the RX ring.
void PipelineRig::receive(uint32_t which) {
  const uint32_t count = shape_.batch;
  const FrameArea area = area_;
  for (uint32_t i = 0; i < count; ++i) {
    const FrameAddr addr = area.frame_size().at(which * count + i) + kHeadroomBytes;
    batch_.frames[i].addr = addr;
    batch_.frames[i].len_bytes = kPacketBytes;
    batch_.data[i] = reinterpret_cast<uint8_t*>(area.at(addr));
  }
  batch_.count = count;
  for (uint32_t i = 0; i < std::min(count, kPrefetchAhead); ++i) __builtin_prefetch(batch_.data[i], 1);
}

void PipelineRig::run_batch(uint32_t which) {
  receive(which);
  parse(batch_);
  steering_.steer(*snapshot_, batch_.packets, batch_.count, now_ns_);
  rewrite(*snapshot_, rules_, batch_);
  now_ns_ += shape_.batch * kPacketNs;
}

void PipelineRig::run_step(Step step, uint32_t which) {
  PacketColumns& packets = batch_.packets;
  switch (step) {
    case Step::receive: receive(which); break;
    case Step::parse: parse(batch_); break;
    case Step::look_up: steering_.look_up(*snapshot_, packets, batch_.count); break;
    case Step::find: steering_.find(packets, batch_.count); break;
    case Step::decide: steering_.decide(*snapshot_, packets, batch_.count, now_ns_); break;
    case Step::rewrite:
      rewrite(*snapshot_, rules_, batch_);
      now_ns_ += shape_.batch * kPacketNs;
      break;
    case Step::kCount: break;
  }
}

void PipelineRig::check_batch() const {
  uint32_t near = 0;
  for (uint32_t i = 0; i < batch_.count; ++i) {
    XDPLB_CHECK(batch_.packets.fate[i] == Fate::forward && batch_.packets.flow[i] == FlowUse::hit);
    near += batch_.packets.entry[i] != kNoEntry;
    const MacAddr& mac = snapshot_->targets[batch_.packets.target[i]].mac;
    XDPLB_CHECK(std::memcmp(batch_.data[i], mac.bytes.data(), mac.bytes.size()) == 0);
  }
  XDPLB_CHECK(near * 10 > batch_.count * 8);  // 96 of 100 lie in their near bucket
}

}  // namespace xdplb::bench
