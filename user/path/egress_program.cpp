#include "user/path/egress_program.h"

#include <bpf/bpf.h>

#include "user/path/bpf_objects.h"

namespace xdplb {

EgressProgram::EgressProgram(const LinkInfo& link, TxChoice tx, uint32_t workers,
                             std::unique_ptr<LiveProgram>& kept) {
  const uint32_t id = link.xdp_prog_id();
  const std::string there = id == 0 ? "" : program_name(id);
  if (there == egress_object().program || there == egress_live_object().program) {
    // Nobody else attaches one of this name: it was left by a daemon that died.
    const UniqueFd left(bpf_prog_get_fd_by_id(id));
    detach_xdp({link.ifindex, link.name, link.xdp_mode, true, ""}, left.get());
  } else if (id != 0) {
    note_ = fmt::format("[{}] carries program {} ({}), left in place", link.name, id, there);
    why_not_live_ = note_;
    return;
  }
  if (tx != TxChoice::xsk) {
    if (auto r = attach_live(link, workers, kept); r) {
      note_ = fmt::format("{} attached", egress_live_object().program);
      return;
    } else {
      why_not_live_ = r.error().message;
    }
  }
  auto r = attach_plain(link);
  note_ = r ? fmt::format("{} attached", egress_object().program) : r.error().message;
}

Result<void> EgressProgram::attach_live(const LinkInfo& link, uint32_t workers, std::unique_ptr<LiveProgram>& kept) {
  if (kept == nullptr) {
    auto object = open_bpf_object(egress_live_object());
    if (!object) return object.error();
    auto prog = LiveProgram::load(object->get(), workers);
    if (!prog) return prog.error();
    auto loaded = LiveProgram::of_program(prog->get());
    if (!loaded) return loaded.error();
    kept = std::move(*loaded);
  }
  auto attachment = attach_xdp(link, kept->fd(), XdpModeChoice::native);
  if (!attachment) return fail_errno(attachment.error().sys_errno, "[{}] takes no native XDP program", link.name);
  if (auto r = kept->try_run(); !r) {
    detach_xdp(*attachment, kept->fd());
    return r;
  }
  live_ = kept.get();
  attachment_ = std::move(*attachment);
  return {};
}

Result<void> EgressProgram::attach_plain(const LinkInfo& link) {
  auto object = open_bpf_object(egress_object());
  if (!object) return object.error();
  auto prog = load_bpf_object(object->get());
  if (!prog) return prog.error();
  prog_ = std::move(*prog);
  auto attachment = attach_xdp(link, prog_.get(), XdpModeChoice::native);
  if (!attachment) return attachment.error();
  attachment_ = std::move(*attachment);
  return {};
}

uint32_t EgressProgram::prog_id() const {
  return attachment_ ? program_id(prog_fd()) : 0;
}

EgressProgram::~EgressProgram() {
  if (attachment_) detach_xdp(*attachment_, prog_fd());
}

}  // namespace xdplb
