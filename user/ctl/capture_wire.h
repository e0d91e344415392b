// A capture as it goes through the control socket. Who captures asks for packets again and again, a page at a time;
// a capture that nobody asks for ends by itself, so a command that is killed leaves nothing behind.
//
//   capture_start   a filter -> a number, and what the devices are called
//   capture_read    the packets since the last time
//   capture_stop
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/control_socket.h"

namespace xdplb {

inline constexpr uint32_t kCaptureSecondsMax = 3600;
inline constexpr uint32_t kCaptureSnapMin = 64;  // bytes; at most kFrameBytes

struct CaptureRequest {
  // Of each list any, of the lists all; an empty list asks nothing.
  std::vector<std::string> vips, services, targets, reasons;
  uint32_t snap_bytes = 0;
  uint32_t seconds = 0;  // after that the daemon ends it
};

struct CaptureStarted {
  uint64_t number = 0;
  std::string ingress, egress;
};

struct CapturedPacket {
  uint64_t time_ns = 0;  // since 1970
  uint32_t len_bytes = 0;
  std::vector<uint8_t> received;
  std::vector<uint8_t> sent;  // empty: it was not
  std::string comment;
};

struct CapturePage {
  std::vector<CapturedPacket> packets;  // in the order of their times
  uint64_t lost = 0;                    // so far: the rings were full
  bool more = false;                    // ask again at once
  bool ended = false;                   // its time is up, and this was the last of it
};

class CaptureVerbs {
 public:
  virtual ~CaptureVerbs() = default;
  virtual Result<CaptureStarted> start(const CaptureRequest& request) = 0;
  virtual Result<CapturePage> read(uint64_t number) = 0;
  virtual Result<void> stop(uint64_t number) = 0;
};

// `verbs` must outlive the server.
void serve_capture_verbs(ControlServer& server, CaptureVerbs& verbs);

// `path` is that of the control socket.
Result<CaptureStarted> ask_capture_start(const std::string& path, const CaptureRequest& request);
Result<CapturePage> ask_capture_read(const std::string& path, uint64_t number);
Result<void> ask_capture_stop(const std::string& path, uint64_t number);

}  // namespace xdplb
