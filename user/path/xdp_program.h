// XdpProgram: one xdp_vip program on the ingress devices, and everything that must be undone when the daemon goes. In
// a one-arm set-up it is xdp_vip_live where live frames can be had, which is xdp_vip and what workers run to send
// them.
//
// Three ways to come by it, tried in this order:
//   - an operator attached xdp_vip to the device (bpftool, ip link): it and its maps are used, and stay as they are;
//   - an earlier daemon that crashed left it attached (its record says so, user/path/attach_record.h): it is taken
//     over, with its maps, so that the VIPs' fallback holds without a gap;
//   - nothing is attached: the program in this binary is loaded, pinned and attached, native where the driver can,
//     else generic.
// Either program is used as it is found: with an xdp_vip there are no live frames. Any other program on a device is
// an error that names it. The destructor undoes exactly what was done here: VIPs out of the maps, programs detached,
// pins removed. Control thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "user/ctl/netlink.h"
#include "user/path/attach_record.h"
#include "user/path/bpf_maps.h"
#include "user/path/live_program.h"
#include "user/path/xdp_attach.h"

namespace xdplb {

struct XdpProgramOptions {
  XdpModeChoice mode = XdpModeChoice::automatic;
  std::string pin_dir;        // under a bpffs: /sys/fs/bpf/lb
  std::string record_path;    // where what we attached is written down: /run/xdplb/NAME.attached
  std::string map_prefix;     // of the maps' names where they must differ from the contract's; empty: they need not
  uint32_t live_workers = 0;  // how many want to send live frames through it; 0: xdp_vip will do
};

class XdpProgram {
 public:
  // Finds or loads the program for `ingress`. Never fails for the lack of live frames: why_not_live() says it.
  static Result<std::unique_ptr<XdpProgram>> set_up(const std::vector<LinkInfo>& ingress,
                                                    const XdpProgramOptions& options);
  ~XdpProgram();
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;

  [[nodiscard]] BpfMaps& maps() { return *maps_; }
  [[nodiscard]] uint32_t prog_id() const { return prog_id_; }
  [[nodiscard]] const std::vector<Attachment>& attachments() const { return attachments_; }
  // What workers run to send live frames; null where those are not wanted, or not to be had.
  [[nodiscard]] LiveProgram* live() const;
  [[nodiscard]] std::string why_not_live() const;
  // How the program came to be there, in words, for the start message.
  [[nodiscard]] const std::string& origin() const { return origin_; }

  // The devices as they are now, after one was replaced or the program detached: attaches where nothing is attached.
  // False where an operator has put another xdp_vip there: then this object has nothing to do any more. Error where
  // a foreign program sits there.
  Result<bool> follow(const std::vector<LinkInfo>& ingress);

 private:
  explicit XdpProgram(XdpProgramOptions options) : options_(std::move(options)) {}

  static Result<std::unique_ptr<XdpProgram>> make(const std::vector<LinkInfo>& ingress,
                                                  const XdpProgramOptions& options);
  Result<void> use_attached(const LinkInfo& link, const AttachRecord& record);
  Result<void> load_and_pin();
  Result<void> pin(int fd, const std::string& name);
  Result<void> attach_new(const LinkInfo& link);
  Result<void> attach(const LinkInfo& link, XdpModeChoice mode);
  Result<void> open_live();
  Result<void> write_record();

  XdpProgramOptions options_;
  UniqueFd claim_;  // that no other daemon uses the program
  UniqueFd prog_;
  uint32_t prog_id_ = 0;
  std::optional<BpfMaps> maps_;
  std::unique_ptr<LiveProgram> live_;
  std::string why_not_live_;
  std::vector<Attachment> attachments_;
  std::vector<std::string> pins_;  // that we made
  bool made_pin_dir_ = false;
  bool wrote_record_ = false;  // else what lies there is still that of the daemon before
  std::string origin_;
};

}  // namespace xdplb
