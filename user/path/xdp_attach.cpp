#include "user/path/xdp_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>

#include <cstdarg>

#include "user/base/check.h"

namespace xdplb {
namespace {

// What libbpf has to say, kept for the error message instead of printed.
thread_local std::string libbpf_words;

int keep_words(libbpf_print_level level, const char* format, va_list args) {
  if (level > LIBBPF_WARN) return 0;
  char line[512];
  const int n = vsnprintf(line, sizeof line, format, args);
  if (n > 0 && libbpf_words.size() < 4000) libbpf_words += line;
  return n;
}

std::string take_words() {
  std::string words = std::move(libbpf_words);
  libbpf_words.clear();
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

constexpr const char* kNeeded =
    "loading and attaching needs CAP_BPF and CAP_NET_ADMIN (and CAP_SYS_ADMIN to open programs that are loaded): run "
    "as "
    "root";

int attach_as(uint32_t ifindex, int prog_fd, uint32_t mode_flag) {
  const int rc = bpf_xdp_attach(static_cast<int>(ifindex), prog_fd, XDP_FLAGS_UPDATE_IF_NOEXIST | mode_flag, nullptr);
  take_words();
  return rc;
}

Error attach_error(const LinkInfo& link, int rc, const char* mode) {
  switch (-rc) {
    case EPERM:
    case EACCES: return fail_errno(-rc, "Cannot attach xdp_vip to [{}]: {}", link.name, kNeeded);
    case EBUSY:
    case EEXIST:
      return fail_errno(
          -rc,
          "Cannot attach xdp_vip to [{}]: another XDP program is attached; see `ip link show dev {}`, detach "
          "it with `ip link set dev {} xdp off`",
          link.name, link.name, link.name);
    case EOPNOTSUPP:
      return fail_errno(-rc, "Cannot attach xdp_vip to [{}] in {} mode: its driver has none; try --mode generic",
                        link.name, mode);
    case EINVAL:
    case ERANGE:
      return fail_errno(
          -rc,
          "Cannot attach xdp_vip to [{}] in {} mode: most drivers want an MTU (now {}) that fits one page, "
          "large receive offload off and a free queue per CPU; try --mode generic",
          link.name, mode, link.mtu);
    default: return fail_errno(-rc, "Cannot attach xdp_vip to [{}] in {} mode", link.name, mode);
  }
}

}  // namespace

Result<XdpModeChoice> parse_xdp_mode(std::string_view text) {
  if (text == "auto") return XdpModeChoice::automatic;
  if (text == "native") return XdpModeChoice::native;
  if (text == "generic") return XdpModeChoice::generic;
  return fail("Invalid --mode [{}]: auto, native or generic", text);
}

Result<Attachment> attach_xdp(const LinkInfo& link, int prog_fd, XdpModeChoice choice) {
  Attachment attachment{link.ifindex, link.name, XdpMode::native, true, ""};
  int rc = 0;
  if (choice != XdpModeChoice::generic) {
    rc = attach_as(link.ifindex, prog_fd, XDP_FLAGS_DRV_MODE);
    if (rc == 0) return attachment;
    if (choice == XdpModeChoice::native || rc == -EPERM || rc == -EBUSY || rc == -EEXIST) {
      return attach_error(link, rc, "native");
    }
    attachment.why_generic = std::strerror(-rc);
  }
  rc = attach_as(link.ifindex, prog_fd, XDP_FLAGS_SKB_MODE);
  if (rc != 0) return attach_error(link, rc, "generic");
  attachment.mode = XdpMode::generic;
  return attachment;
}

bool detach_xdp(const Attachment& attachment, int prog_fd) {
  bpf_xdp_attach_opts opts = {};
  opts.sz = sizeof opts;
  opts.old_prog_fd = prog_fd;
  const uint32_t flag = attachment.mode == XdpMode::generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  const int rc = bpf_xdp_detach(static_cast<int>(attachment.ifindex), flag | XDP_FLAGS_REPLACE, &opts);
  take_words();
  return rc == 0;
}

std::string program_name(uint32_t prog_id) {
  const UniqueFd prog(bpf_prog_get_fd_by_id(prog_id));
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof info;
  if (!prog.is_open() || bpf_obj_get_info_by_fd(prog.get(), &info, &info_bytes) != 0) return "";
  return info.name;
}

uint32_t program_id(int prog_fd) {
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof info;
  return bpf_obj_get_info_by_fd(prog_fd, &info, &info_bytes) == 0 ? info.id : 0;
}

void BpfObjectCloser::operator()(bpf_object* object) const {
  bpf_object__close(object);
}

Result<BpfObject> open_bpf_object(const EmbeddedObject& embedded) {
  libbpf_set_print(keep_words);
  bpf_object_open_opts opts = {};
  opts.sz = sizeof opts;
  opts.object_name = embedded.program;
  BpfObject object(bpf_object__open_mem(embedded.bytes.data(), embedded.bytes.size(), &opts));
  if (object == nullptr) {
    return fail_errno(errno, "Cannot open the embedded BPF object {} ({})", embedded.program, take_words());
  }
  return object;
}

Result<UniqueFd> load_bpf_object(bpf_object* object) {
  const int rc = bpf_object__load(object);
  const std::string words = take_words();
  if (rc == 0) {
    const bpf_program* prog = bpf_object__next_program(object, nullptr);
    XDPLB_CHECK(prog != nullptr);
    return UniqueFd(fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3));
  }
  if (rc == -EPERM || rc == -EACCES) {
    // The verifier says EACCES too; then it says why.
    if (words.find("BEGIN PROG LOAD LOG") == std::string::npos) {
      return fail_errno(-rc, "Cannot load the BPF program: {}", kNeeded);
    }
  }
  return fail_errno(-rc, "Cannot load the BPF program; the kernel says: {}", words);
}

}  // namespace xdplb
