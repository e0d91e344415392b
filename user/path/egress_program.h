// EgressProgram: the program on the egress device of a two-arm set-up. It passes everything that the device receives;
// several drivers (i40e, ice, mlx5) transmit zero-copy only where some native program is attached. Where the kernel
// has live frames it is xdp_egress_live, which workers run to send them. A device that has no native mode, or that
// carries a program already, does without. Control thread only; the destructor detaches what was attached here.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "user/base/unique_fd.h"
#include "user/path/live_program.h"
#include "user/path/xdp_attach.h"

namespace xdplb {

class EgressProgram {
 public:
  // Never fails: without it, packets leave all the same. note() says what came of it. `kept`: the live program of the
  // plane before, or null: then it is loaded for so many workers. It outlives this object, since a daemon that gave
  // up its privileges cannot load it again.
  EgressProgram(const LinkInfo& link, TxChoice tx, uint32_t workers, std::unique_ptr<LiveProgram>& kept);
  ~EgressProgram();
  EgressProgram(const EgressProgram&) = delete;
  EgressProgram& operator=(const EgressProgram&) = delete;

  [[nodiscard]] const std::string& note() const { return note_; }
  // Of what was attached here; 0: nothing was.
  [[nodiscard]] uint32_t prog_id() const;

  // The program that workers run; null where live frames are not wanted, or not to be had: why_not_live() says why.
  [[nodiscard]] LiveProgram* live() const { return live_; }
  [[nodiscard]] const std::string& why_not_live() const { return why_not_live_; }

 private:
  Result<void> attach_live(const LinkInfo& link, uint32_t workers, std::unique_ptr<LiveProgram>& kept);
  Result<void> attach_plain(const LinkInfo& link);
  [[nodiscard]] int prog_fd() const { return live_ != nullptr ? live_->fd() : prog_.get(); }

  UniqueFd prog_;
  LiveProgram* live_ = nullptr;
  std::optional<Attachment> attachment_;
  std::string note_;
  std::string why_not_live_;
};

}  // namespace xdplb
