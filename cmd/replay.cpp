// xdplb replay: what the balancer would do with the packets of a capture. No root, no device, no shared memory.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cmd/common.h"
#include "user/ctl/capture_file.h"
#include "user/ctl/config_file.h"
#include "user/path/replay.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string config;
  std::string in;
  std::string out;
  std::string egress_mac = "02:00:00:00:00:01";
  bool json = false;
};

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::forward: return "forward";
    case Verdict::drop: return "drop";
    case Verdict::pass: return "pass";
  }
  return "?";
}

// Names by id.
struct Names {
  explicit Names(const Config& config) {
    for (const Target& t : config.targets) targets[t.id] = t.name;
    for (const Service& s : config.services) services[s.id] = s.name;
  }
  std::map<uint16_t, std::string> targets;
  std::map<uint16_t, std::string> services;
};

Json name_or_null(const std::map<uint16_t, std::string>& names, uint16_t id) {
  const auto found = names.find(id);
  return found == names.end() ? Json() : Json(found->second);
}

struct Sums {
  explicit Sums(const Replay& replay) {
    for (const PacketVerdict& p : replay.verdicts()) {
      ++by_verdict[static_cast<size_t>(p.verdict)];
      if (p.verdict == Verdict::drop) ++drops[std::string(reason_name(p.reason))];
      if (p.peer) {
        ++to_peers;
      } else if (p.verdict == Verdict::forward) {
        ++targets[p.target];
      }
    }
  }
  uint64_t of(Verdict verdict) const { return by_verdict[static_cast<size_t>(verdict)]; }
  std::array<uint64_t, 3> by_verdict{};
  std::map<std::string, uint64_t> drops;
  std::map<uint16_t, uint64_t> targets;
  uint64_t to_peers = 0;
};

Json to_json(const Replay& replay, const Names& names, uint64_t cut) {
  const Sums sums(replay);
  Json counters = {{"packets", replay.verdicts().size()},
                   {"forward", sums.of(Verdict::forward)},
                   {"drop", sums.of(Verdict::drop)},
                   {"pass", sums.of(Verdict::pass)},
                   {"to_peers", sums.to_peers},
                   {"cut_in_capture", cut},
                   {"drops", sums.drops}};
  counters["targets"] = Json::object();
  for (const auto& [target, packets] : sums.targets) counters["targets"][names.targets.at(target)] = packets;
  counters["flows"] = {{"live", replay.flows().counter(FlowCounter::live)},
                       {"hits", replay.flows().counter(FlowCounter::hits)},
                       {"new", replay.flows().counter(FlowCounter::created)},
                       {"expired", replay.flows().counter(FlowCounter::expired)}};
  Json packets = Json::array();
  for (size_t i = 0; i < replay.verdicts().size(); ++i) {
    const PacketVerdict& p = replay.verdicts()[i];
    packets.push_back({{"n", i + 1},
                       {"verdict", to_string(p.verdict)},
                       {"reason", p.verdict == Verdict::drop ? Json(reason_name(p.reason)) : Json()},
                       {"service", name_or_null(names.services, p.service)},
                       {"target", name_or_null(names.targets, p.target)},
                       {"flow", to_string(p.flow)}});
    if (p.peer) packets.back()["peer"] = *p.peer;
  }
  return {{"counters", std::move(counters)}, {"packets", std::move(packets)}};
}

void print_text(const Replay& replay, const Names& names, uint64_t cut) {
  const Sums sums(replay);
  fmt::print("{} packets: {} forwarded, {} dropped, {} left to the kernel\n", replay.verdicts().size(),
             sums.of(Verdict::forward), sums.of(Verdict::drop), sums.of(Verdict::pass));
  for (const auto& [target, packets] : sums.targets) {
    fmt::print("  to {:<20} {:>8}\n", names.targets.at(target), packets);
  }
  if (sums.to_peers != 0) fmt::print("  to other balancers     {:>8}\n", sums.to_peers);
  for (const auto& [reason, packets] : sums.drops) fmt::print("  dropped, {:<15} {:>8}\n", reason, packets);
  if (cut != 0) fmt::print("{} packets are cut short in the capture: it was taken with a snapshot length\n", cut);
}

// A flow takes at least one packet, and a packet of a flow so many bytes of the file. A pipe has no size.
uint32_t flows_possible(const std::string& path) {
  constexpr uint64_t kFileBytesMin = 16 + 14 + 20;  // record header, Ethernet, IPv4
  std::error_code unknown;
  const uint64_t len_bytes = std::filesystem::file_size(path, unknown);
  if (unknown) return kDefaultFlows;
  return static_cast<uint32_t>(std::min<uint64_t>(len_bytes / kFileBytesMin, kDefaultFlows));
}

Result<int> run(const Options& options) {
  const auto egress_mac = parse_mac(options.egress_mac);
  if (!egress_mac) return egress_mac.error();
  const auto config = read_config_file(options.config);
  if (!config) return config.error();
  std::ifstream in(options.in, std::ios::binary);
  if (!in) return fail_errno(errno, "Cannot open {}", options.in);
  auto reader = CaptureReader::open(in);
  if (!reader) return fail("{}: {}", options.in, reader.error().message);
  std::ofstream out(options.out, std::ios::binary | std::ios::trunc);
  if (!out) return fail_errno(errno, "Cannot write {}", options.out);
  CaptureWriter writer(out);
  EgressRules rules;
  rules.mac = *egress_mac;
  auto replay =
      Replay::create(*config, rules, flows_possible(options.in),
                     [&](std::span<const uint8_t> frame, uint64_t time_ns) { writer.write(frame, time_ns); });
  if (!replay) return replay.error();
  CapturedFrame frame;
  uint64_t cut = 0;
  for (;;) {
    const auto more = reader->next(frame);
    if (!more) return fail("{}: {}", options.in, more.error().message);
    if (!*more) break;
    cut += frame.wire_len_bytes > frame.bytes.size() ? 1 : 0;
    (*replay)->feed(frame.bytes, frame.time_ns);
  }
  (*replay)->finish();
  out.flush();
  if (!out) return fail("Cannot write {}", options.out);
  const Names names(*config);
  if (options.json) {
    fmt::print("{}\n", to_json(**replay, names, cut).dump(1));
  } else {
    print_text(**replay, names, cut);
  }
  return kExitDone;
}

}  // namespace

Action setup_replay(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--config", options->config, "configuration file (JSON)")->required();
  app.add_option("--in", options->in, "capture to read, pcap or pcapng")->required();
  app.add_option("--out", options->out, "capture to write: the frames sent, in order")->required();
  app.add_option("--egress-mac", options->egress_mac, "source MAC of what is sent")->capture_default_str();
  app.add_flag("--json", options->json, "print the verdict on every packet, as JSON");
  return [options] { return run(*options); };
}

}  // namespace xdplb
