// xdplb where: what the running daemon would do with a packet now, and why.
#include <CLI/CLI.hpp>
#include <fstream>

#include "cmd/common.h"
#include "user/ctl/capture_file.h"
#include "user/ctl/where_wire.h"
#include "user/net/flow_key_text.h"
#include "user/net/probe_frame.h"

namespace xdplb {
namespace {

using nlohmann::json;

struct Options {
  std::string shm;
  std::vector<std::string> words;
  std::string pcap;
  bool json = false;
};

void print_packet(size_t n, const json& packet) {
  const std::string what = packet["packet"].get<std::string>();
  if (n != 0) fmt::print("packet {}: {}\n", n, what.empty() ? "not for us to read" : what);
  for (const json& step : packet["steps"]) fmt::print("{}{}\n", n != 0 ? "  " : "", step.get<std::string>());
}

// One packet, named by its addresses.
Result<int> ask_one(const std::string& path, const Options& options) {
  if (options.words.size() != 3) {
    return wrong_usage("A packet is named by PROTO SRC:PORT DST:PORT, or several by --pcap FILE");
  }
  const auto key = parse_flow_key(options.words[0], options.words[1], options.words[2]);
  if (!key) return key.error();
  const std::vector<uint8_t> frame = make_probe_frame(*key);
  const auto answer = ask_where(path, {make_where_frame(frame, 0)});
  if (!answer) return answer.error();
  const json& packet = (*answer)["packets"][0];
  if (options.json) {
    fmt::print("{}\n", packet.dump(1));
  } else {
    print_packet(0, packet);
  }
  return kExitDone;
}

// Those of a capture, some at a time, each as if it came now: what one of them would change is not taken into
// account.
Result<int> ask_all(const std::string& path, const Options& options) {
  if (!options.words.empty()) return wrong_usage("--pcap FILE and PROTO SRC:PORT DST:PORT: one of the two");
  std::ifstream in(options.pcap, std::ios::binary);
  if (!in) return fail_errno(errno, "Cannot open {}", options.pcap);
  auto reader = CaptureReader::open(in);
  if (!reader) return fail("{}: {}", options.pcap, reader.error().message);
  json all = json::array();
  size_t n = 0;
  for (bool more = true; more;) {
    std::vector<WhereFrame> frames;
    while (more && frames.size() < kWhereFramesMax) {
      CapturedFrame frame;
      const auto next = reader->next(frame);
      if (!next) return fail("{}: {}", options.pcap, next.error().message);
      more = *next;
      if (more) frames.push_back(make_where_frame(frame.bytes, frame.wire_len_bytes));
    }
    if (frames.empty()) break;
    auto answer = ask_where(path, frames);
    if (!answer) return answer.error();
    for (json& packet : (*answer)["packets"]) {
      if (options.json) {
        packet["n"] = ++n;
        all.push_back(std::move(packet));
      } else {
        print_packet(++n, packet);
      }
    }
  }
  if (options.json) fmt::print("{}\n", json{{"packets", std::move(all)}}.dump(1));
  return kExitDone;
}

Result<int> run(const Options& options) {
  const auto name = ShmName::parse(options.shm);
  if (!name) return name.error();
  const std::string path = control_socket_path(name->text());
  return options.pcap.empty() ? ask_one(path, options) : ask_all(path, options);
}

}  // namespace

Action setup_where(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("PACKET", options->words, "PROTO SRC:PORT DST:PORT, as for `flows`; of TCP, one in mid-connection");
  app.add_option("--pcap", options->pcap, "each packet of a capture instead, pcap or pcapng");
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return run(*options); };
}

}  // namespace xdplb
