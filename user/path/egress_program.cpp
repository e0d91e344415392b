#include "user/path/egress_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include "user/path/bpf_objects.h"

namespace xdplb {
namespace {

constexpr const char* kPlainName = "xdp_egress";
constexpr const char* kLiveName = "xdp_egress_live";

}  // namespace

EgressProgram::EgressProgram(const LinkInfo& link, TxChoice tx, uint32_t workers,
                             std::unique_ptr<LiveProgram>& kept) {
  const uint32_t id = link.xdp_prog_id();
  const std::string there = id == 0 ? "" : program_name(id);
  if (there == kPlainName || there == kLiveName) {
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
      note_ = fmt::format("{} attached", kLiveName);
      return;
    } else {
      why_not_live_ = r.error().message;
    }
  }
  auto r = attach_plain(link);
  note_ = r ? fmt::format("{} attached", kPlainName) : r.error().message;
}

Result<void> EgressProgram::attach_live(const LinkInfo& link, uint32_t workers, std::unique_ptr<LiveProgram>& kept) {
  if (kept == nullptr) {
    auto loaded = LiveProgram::load(workers);
    if (!loaded) return fail_errno(loaded.error().sys_errno, "live frames need kernel 5.18, and root to load them");
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
  auto object = open_bpf_object(egress_object(), "xdp_egress_kern");
  if (!object) return object.error();
  if (auto r = load_bpf_object(object->get()); !r) return r;
  bpf_program* prog = bpf_object__find_program_by_name(object->get(), kPlainName);
  XDPLB_CHECK(prog != nullptr);
  prog_.reset(fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3));
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
