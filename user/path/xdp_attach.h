// Attaching XDP programs to devices and loading the embedded objects: the calls to libbpf, with errors in words.
// Control thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/ctl/netlink.h"
#include "user/path/bpf_objects.h"

struct bpf_object;

namespace xdplb {

enum class XdpModeChoice : uint8_t { automatic, native, generic };

// "auto", "native", "generic"
Result<XdpModeChoice> parse_xdp_mode(std::string_view text);

struct Attachment {
  uint32_t ifindex = 0;
  std::string device;
  XdpMode mode = XdpMode::none;
  bool ours = false;        // we attached it, and detach it
  std::string why_generic;  // the answer to native, where generic was taken instead
};

// Attaches where nothing is attached: native, and else generic where the choice is automatic. Never replaces a
// program.
Result<Attachment> attach_xdp(const LinkInfo& link, int prog_fd, XdpModeChoice choice);

// Detaches that very program; any other that sits there by now stays. True where it did.
bool detach_xdp(const Attachment& attachment, int prog_fd);

// What the program with this id is called; empty where it is gone.
std::string program_name(uint32_t prog_id);
uint32_t program_id(int prog_fd);

struct BpfObjectCloser {
  void operator()(bpf_object* object) const;
};
using BpfObject = std::unique_ptr<bpf_object, BpfObjectCloser>;

// Opens an object embedded in the binary, without loading it.
Result<BpfObject> open_bpf_object(const EmbeddedObject& embedded);
// Loads it into the kernel; its program, which needs the object no more. The error says which privilege is missing,
// or what the verifier found.
Result<UniqueFd> load_bpf_object(bpf_object* object);

}  // namespace xdplb
