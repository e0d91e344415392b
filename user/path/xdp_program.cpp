#include "user/path/xdp_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace xdplb {
namespace {

constexpr const char* kPinName = "xdp_vip";  // of either program: scripts know it
constexpr std::array kPinned = {kPinName, "xdp_vip_map", "xsks_map"};
constexpr long kBpfFsMagic = 0xcafe4a11;  // BPF_FS_MAGIC of linux/magic.h

bool is_ours(const std::string& program) {
  return program == vip_object().program || program == vip_live_object().program;
}

// The directory for pins, made where it is missing. True where we made it.
Result<bool> make_pin_dir(const std::string& dir) {
  if (mkdir(dir.c_str(), 0700) == 0) return true;
  if (errno != EEXIST) {
    return fail_errno(errno, "Cannot make pin directory {}; is a bpffs mounted? `mount -t bpf bpf /sys/fs/bpf`", dir);
  }
  return false;
}

Result<void> check_bpffs(const std::string& dir) {
  const std::string parent = dir.substr(0, dir.rfind('/'));
  struct statfs fs = {};
  if (statfs(parent.c_str(), &fs) != 0) return fail_errno(errno, "Cannot use pin directory {}", dir);
  if (static_cast<long>(fs.f_type) != kBpfFsMagic) {
    return fail("Cannot pin in {}: {} is not on a bpffs; mount one with `mount -t bpf bpf /sys/fs/bpf`", dir, parent);
  }
  return {};
}

// Two daemons on one program would take each other's VIPs out of its maps. The claim is the name of an abstract
// socket: of this network, as the devices are, and let go by the kernel when its holder dies.
Result<UniqueFd> claim_program(uint32_t id, const LinkInfo& link) {
  UniqueFd claim(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("xdplb/program/{}", id);
  std::memcpy(address.sun_path + 1, name.data(), name.size());  // behind the 0 that makes it abstract
  const auto len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (claim.is_open() && bind(claim.get(), reinterpret_cast<const sockaddr*>(&address), len) == 0) return claim;
  if (errno != EADDRINUSE) return fail_errno(errno, "Cannot claim XDP program {} on [{}]", id, link.name);
  return fail("XDP program {} on [{}] is that of another xdplb that runs: stop it first, or choose another device",
              id, link.name);
}

// Gives a map of an object that is not loaded yet another name than the object's: a second daemon of the machine must
// not make `bpftool map ... name xdp_vip_map` ambiguous.
Result<void> rename_map(bpf_object* object, const char* name, const std::string& prefix) {
  bpf_map* map = bpf_object__find_map_by_name(object, name);
  XDPLB_CHECK(map != nullptr);
  const std::string renamed = (prefix + "_" + name).substr(0, BPF_OBJ_NAME_LEN - 1);
  const UniqueFd fd(bpf_map_create(bpf_map__type(map), renamed.c_str(), bpf_map__key_size(map),
                                   bpf_map__value_size(map), bpf_map__max_entries(map), nullptr));
  if (!fd.is_open()) return fail_errno(errno, "Cannot make BPF map {}", renamed);
  // Takes a duplicate of the descriptor.
  if (const int rc = bpf_map__reuse_fd(map, fd.get()); rc != 0)
    return fail_errno(-rc, "Cannot use BPF map {}", renamed);
  return {};
}

Error foreign_program(const LinkInfo& link, const std::string& name) {
  return fail(
      "A foreign XDP program is attached to [{}]: id {}, name [{}]. xdplb does not replace it; detach it with "
      "`ip link set dev {} xdp off` (generic: xdpgeneric off)",
      link.name, link.xdp_prog_id(), name, link.name);
}

// Pins of a crashed daemon whose program nobody uses any more: in the way of ours. An operator may have put others in
// their place since, so the program that is pinned there is looked at.
void remove_stale_pins(const AttachRecord& record) {
  for (const std::string& pin : record.pins) {
    if (!pin.ends_with(std::string("/") + kPinName)) continue;
    const UniqueFd pinned(bpf_obj_get(pin.c_str()));
    if (pinned.is_open() && program_id(pinned.get()) != record.prog_id) return;
  }
  for (const std::string& pin : record.pins) unlink(pin.c_str());
}

}  // namespace

Result<std::unique_ptr<XdpProgram>> XdpProgram::set_up(const std::vector<LinkInfo>& ingress,
                                                       const XdpProgramOptions& options) {
  if (options.live_workers == 0) return make(ingress, options);
  Result<std::unique_ptr<XdpProgram>> program = fail("--mode generic: live frames want a native program");
  if (options.mode != XdpModeChoice::generic) program = make(ingress, options);
  if (program) return program;
  // Whatever was in the way, xdp_vip may do without it.
  const std::string why_not_live = program.error().message;
  XdpProgramOptions plain = options;
  plain.live_workers = 0;
  program = make(ingress, plain);
  if (program) (*program)->why_not_live_ = why_not_live;
  return program;
}

Result<std::unique_ptr<XdpProgram>> XdpProgram::make(const std::vector<LinkInfo>& ingress,
                                                     const XdpProgramOptions& options) {
  std::unique_ptr<XdpProgram> program(new XdpProgram(options));
  const AttachRecord record = load_record(options.record_path);
  for (const LinkInfo& link : ingress) {
    if (link.xdp_prog_id() == 0) continue;
    if (auto r = program->use_attached(link, record); !r) return r.error();
  }
  if (!program->prog_.is_open()) {
    remove_stale_pins(record);
    if (auto r = program->load_and_pin(); !r) return r.error();
  }
  for (const LinkInfo& link : ingress) {
    if (link.xdp_prog_id() != 0) continue;
    if (auto r = program->attach_new(link); !r) return r.error();
  }
  if (auto r = program->write_record(); !r) return r.error();
  return program;
}

// A program that sits on the device already: an operator's xdp_vip, or what a crash of ours left.
Result<void> XdpProgram::use_attached(const LinkInfo& link, const AttachRecord& record) {
  const uint32_t id = link.xdp_prog_id();
  UniqueFd prog(bpf_prog_get_fd_by_id(id));
  if (!prog.is_open()) {
    return fail_errno(errno, "Cannot open XDP program {} on [{}] (that needs CAP_SYS_ADMIN)", id, link.name);
  }
  const std::string name = program_name(id);
  if (!is_ours(name)) return foreign_program(link, name);
  if (prog_.is_open() && prog_id_ != id) {
    return fail(
        "The ingress devices carry different xdp_vip programs ({} and {} on [{}]): attach the same one to all",
        prog_id_, id, link.name);
  }
  const bool left_by_us = record.covers(id, link.ifindex);
  if (prog_.is_open()) {
    attachments_.push_back({link.ifindex, link.name, link.xdp_mode, left_by_us, ""});
    return {};
  }
  auto claim = claim_program(id, link);
  if (!claim) return claim.error();
  claim_ = std::move(*claim);
  auto maps = BpfMaps::of_program(prog.get());
  if (!maps) return fail("XDP program {} on [{}]: {}", id, link.name, maps.error().message);
  maps_.emplace(std::move(*maps));
  prog_ = std::move(prog);
  prog_id_ = id;
  attachments_.push_back({link.ifindex, link.name, link.xdp_mode, left_by_us, ""});
  if (left_by_us) pins_ = record.pins;
  origin_ = left_by_us ? fmt::format("id {}, taken over from a daemon that died", id)
                       : fmt::format("id {}, attached by the operator, left in place", id);
  if (options_.live_workers == 0) return {};
  if (name == vip_live_object().program) {
    if (auto r = open_live(); !r) why_not_live_ = r.error().message;
    return {};
  }
  const char* of = left_by_us ? "was left by a daemon that died; a restart of this one brings xdp_vip_live"
                              : "is the operator's; detach it and remove its pins, and lb brings xdp_vip_live";
  why_not_live_ = fmt::format("the xdp_vip on [{}] {}", link.name, of);
  return {};
}

// Of xdp_vip_live, once it is on the device.
Result<void> XdpProgram::open_live() {
  auto live = LiveProgram::of_program(prog_.get());
  if (!live) return live.error();
  if (auto r = (*live)->try_run(); !r) return r;
  live_ = std::move(*live);
  return {};
}

LiveProgram* XdpProgram::live() const {
  return attachments_[0].mode == XdpMode::native ? live_.get() : nullptr;
}

std::string XdpProgram::why_not_live() const {
  return live_ == nullptr ? why_not_live_
                          : fmt::format("XDP on [{}] is {}", attachments_[0].device, to_string(attachments_[0].mode));
}

Result<void> XdpProgram::load_and_pin() {
  if (auto r = check_bpffs(options_.pin_dir); !r) return r;
  auto made = make_pin_dir(options_.pin_dir);
  if (!made) return made.error();
  made_pin_dir_ = *made;
  const std::string taken = options_.pin_dir + "/" + kPinName;
  if (access(taken.c_str(), F_OK) == 0) {
    return fail(
        "{} exists: an operator pinned a program there but attached it to no ingress device. Attach it (`ip link "
        "set dev DEV xdp pinned {}`), remove it, or choose another --pin-dir",
        taken, taken);
  }
  const bool live = options_.live_workers != 0;
  auto object = open_bpf_object(live ? vip_live_object() : vip_object());
  if (!object) return object.error();
  for (const char* name : {"xdp_vip_map", "xsks_map"}) {
    if (options_.map_prefix.empty()) break;
    if (auto r = rename_map(object->get(), name, options_.map_prefix); !r) return r;
  }
  auto prog = live ? LiveProgram::load(object->get(), options_.live_workers) : load_bpf_object(object->get());
  if (!prog) return prog.error();
  prog_ = std::move(*prog);
  prog_id_ = program_id(prog_.get());
  // Before anything is left where a crash would leave it for good.
  AttachRecord planned{prog_id_, {}, {}};
  for (const char* name : kPinned) planned.pins.push_back(options_.pin_dir + "/" + name);
  wrote_record_ = true;
  if (auto r = save_record(options_.record_path, planned); !r) return r;
  if (auto r = pin(prog_.get(), kPinName); !r) return r;
  for (const char* name : {"xdp_vip_map", "xsks_map"}) {
    bpf_map* map = bpf_object__find_map_by_name(object->get(), name);
    XDPLB_CHECK(map != nullptr);
    if (auto r = pin(bpf_map__fd(map), name); !r) return r;
  }
  auto maps = BpfMaps::of_program(prog_.get());
  if (!maps) return maps.error();
  maps_.emplace(std::move(*maps));
  origin_ = fmt::format("id {}{}, loaded, pinned in {}", prog_id_, live ? " (xdp_vip_live)" : "", options_.pin_dir);
  return {};
}

Result<void> XdpProgram::pin(int fd, const std::string& name) {
  const std::string path = options_.pin_dir + "/" + name;
  if (bpf_obj_pin(fd, path.c_str()) != 0) return fail_errno(errno, "Cannot pin {}", path);
  pins_.push_back(path);
  return {};
}

// To what was loaded here. For live frames natively or not at all.
Result<void> XdpProgram::attach_new(const LinkInfo& link) {
  if (options_.live_workers == 0) return attach(link, options_.mode);
  if (auto r = attach(link, XdpModeChoice::native); !r) {
    return fail_errno(r.error().sys_errno, "[{}] takes no native XDP program", link.name);
  }
  return open_live();
}

Result<void> XdpProgram::attach(const LinkInfo& link, XdpModeChoice mode) {
  if (!claim_.is_open()) {  // before others can see it on a device
    auto claim = claim_program(prog_id_, link);
    if (!claim) return claim.error();
    claim_ = std::move(*claim);
  }
  auto attachment = attach_xdp(link, prog_.get(), mode);
  if (!attachment) return attachment.error();
  attachments_.push_back(std::move(*attachment));
  // At once: a crash from here on leaves something behind.
  return write_record();
}

Result<bool> XdpProgram::follow(const std::vector<LinkInfo>& ingress) {
  for (const LinkInfo& link : ingress) {
    const uint32_t id = link.xdp_prog_id();
    if (id == 0 || id == prog_id_) continue;
    const std::string name = program_name(id);
    if (is_ours(name)) return false;
    if (!name.empty()) return foreign_program(link, name);
    // The daemon has given up CAP_SYS_ADMIN by now, and without it nobody sees what is attached.
    return fail(
        "Another XDP program is attached to [{}]: id {}, see `ip link show dev {}`. xdplb does not replace it; "
        "detach it, or restart xdplb if it is an xdp_vip that shall stay",
        link.name, id, link.name);
  }
  for (const LinkInfo& link : ingress) {
    const bool attached = link.xdp_prog_id() == prog_id_;
    const bool known = std::any_of(attachments_.begin(), attachments_.end(),
                                   [&](const Attachment& a) { return a.ifindex == link.ifindex; });
    if (attached && known) continue;
    std::erase_if(attachments_, [&](const Attachment& a) { return a.device == link.name; });
    if (attached) {
      attachments_.push_back({link.ifindex, link.name, link.xdp_mode, false, ""});  // somebody was quicker
    } else if (auto r = attach(link, options_.mode); !r) {
      return r.error();
    }
  }
  return true;
}

Result<void> XdpProgram::write_record() {
  AttachRecord record{prog_id_, {}, pins_};
  for (const Attachment& a : attachments_) {
    if (a.ours) record.devices.push_back({a.ifindex, a.mode == XdpMode::generic});
  }
  if (record.devices.empty() && record.pins.empty()) {
    remove_record(options_.record_path);
    return {};
  }
  wrote_record_ = true;
  return save_record(options_.record_path, record);
}

XdpProgram::~XdpProgram() {
  for (const Attachment& a : attachments_) {
    if (a.ours) detach_xdp(a, prog_.get());
  }
  if (maps_) (void)maps_->clear_vips();
  for (const std::string& path : pins_) unlink(path.c_str());
  // Taken over or made: an empty directory of pins serves nobody. It stays where something else lies in it.
  if (made_pin_dir_ || !pins_.empty()) rmdir(options_.pin_dir.c_str());
  if (wrote_record_) remove_record(options_.record_path);
}

}  // namespace xdplb
