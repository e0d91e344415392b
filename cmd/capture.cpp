// xdplb capture: packets as the workers received and sent them, with what was decided, into a pcapng file.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iostream>
#include <thread>

#include "cmd/common.h"
#include "cmd/number.h"
#include "user/base/limits.h"
#include "user/ctl/capture_wire.h"
#include "user/ctl/pcapng_writer.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  CaptureRequest request{{}, {}, {}, {}, 4096, 60};
  uint64_t count = 0;
  std::string file;
};

volatile std::sig_atomic_t interrupted = 0;

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

constexpr uint32_t kIngress = 0, kEgress = 1;

// The beginning of a frame of that length, of which `bytes` were kept.
void write(PcapngWriter& writer, const CapturedPacket& packet) {
  writer.write(kIngress, packet.received, packet.len_bytes, packet.time_ns, packet.comment);
  if (!packet.sent.empty()) writer.write(kEgress, packet.sent, packet.len_bytes, packet.time_ns, packet.comment);
}

// Until it is enough, its time is up, or a signal came. Whatever is in the file is whole.
Result<int> record(const std::string& path, const Options& options, std::ostream& out) {
  const auto started = ask_capture_start(path, options.request);
  if (!started) return started.error();
  const std::string in = started->ingress + " in", sent = started->egress + " out";
  const auto cannot_write = [&] {
    Error error = fail_errno(errno, "Cannot write {}", options.file);
    (void)ask_capture_stop(path, started->number);
    return error;
  };
  PcapngWriter writer(out, {in, sent}, options.request.snap_bytes);
  out.flush();
  if (!out) return cannot_write();
  fmt::print(stderr, "capturing on {} and {}; Ctrl-C ends it\n", started->ingress, started->egress);
  constexpr std::chrono::milliseconds kAskEvery{20};
  uint64_t packets = 0, lost = 0;
  bool full = false;
  while (!full && interrupted == 0) {
    const auto page = ask_capture_read(path, started->number);
    if (!page) return fail("{}; {} packets were captured until then", page.error().message, packets);
    for (const CapturedPacket& packet : page->packets) {
      if (full) break;
      write(writer, packet);
      full = ++packets == options.count;
    }
    out.flush();
    if (!out) return cannot_write();
    lost = page->lost;
    if (page->ended) break;
    if (!page->more && !full) std::this_thread::sleep_for(kAskEvery);
  }
  (void)ask_capture_stop(path, started->number);  // it may have ended by itself
  fmt::print(stderr, "{} packet{} captured, {} lost\n", packets, packets == 1 ? "" : "s", lost);
  return kExitDone;
}

Result<int> run(const Options& options) {
  const auto name = ShmName::parse(options.shm);
  if (!name) return name.error();
  const std::string path = control_socket_path(name->text());
  stop_on_signals();
  if (options.file == "-") return record(path, options, std::cout);
  std::ofstream out(options.file, std::ios::binary | std::ios::trunc);
  if (!out) return fail_errno(errno, "Cannot write {}", options.file);
  return record(path, options, out);
}

}  // namespace

Action setup_capture(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  const auto add_filter = [&](const char* name, std::vector<std::string>& values, const char* what) {
    app.add_option(name, values, fmt::format("only packets {}; several, or a list: any of them", what))
        ->delimiter(',');
  };
  add_filter("--vip", options->request.vips, "for this VIP, or for addresses of this prefix");
  add_filter("--service", options->request.services, "that this service took");
  add_filter("--target", options->request.targets, "that this target was chosen for");
  add_filter("--reason", options->request.reasons, "that were dropped for this reason");
  add_number(app, "--count", options->count, {}, "end after so many packets (0: when the time is up)");
  add_number(app, "--seconds", options->request.seconds, {1, kCaptureSecondsMax}, "end after so many seconds");
  add_number(app, "--snaplen", options->request.snap_bytes, {kCaptureSnapMin, kFrameBytes},
             "bytes of each packet to keep");
  app.add_option("--w,--write", options->file, "the pcapng file to write; - is standard output")->required();
  return [options] { return run(*options); };
}

}  // namespace xdplb
