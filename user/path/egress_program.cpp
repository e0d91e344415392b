#include "user/path/egress_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include "user/path/bpf_objects.h"

namespace xdplb {
namespace {

constexpr const char* kProgramName = "xdp_egress";

}  // namespace

EgressProgram::EgressProgram(const LinkInfo& link) {
  const uint32_t id = link.xdp_prog_id();
  const std::string there = id == 0 ? "" : program_name(id);
  if (there == kProgramName) {
    // Nobody else attaches one of this name: it was left by a daemon that died.
    const UniqueFd left(bpf_prog_get_fd_by_id(id));
    detach_xdp({link.ifindex, link.name, link.xdp_mode, true, ""}, left.get());
  } else if (id != 0) {
    note_ = fmt::format("[{}] carries program {} ({}), left in place", link.name, id, there);
    return;
  }
  if (auto r = attach(link); !r) {
    note_ = r.error().message;
  } else {
    note_ = "xdp_egress attached";
  }
}

Result<void> EgressProgram::attach(const LinkInfo& link) {
  auto object = open_bpf_object(egress_object(), "xdp_egress_kern");
  if (!object) return object.error();
  if (auto r = load_bpf_object(object->get()); !r) return r;
  bpf_program* prog = bpf_object__find_program_by_name(object->get(), kProgramName);
  XDPLB_CHECK(prog != nullptr);
  prog_.reset(fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3));
  auto attachment = attach_xdp(link, prog_.get(), XdpModeChoice::native);
  if (!attachment) return attachment.error();
  attachment_ = std::move(*attachment);
  return {};
}

uint32_t EgressProgram::prog_id() const {
  return attachment_ ? program_id(prog_.get()) : 0;
}

EgressProgram::~EgressProgram() {
  if (attachment_) detach_xdp(*attachment_, prog_.get());
}

}  // namespace xdplb
