// EgressProgram: xdp_egress on the egress device of a two-arm set-up. It passes everything; several drivers (i40e,
// ice, mlx5) transmit zero-copy only where some native program is attached. A device that has no native mode, or that
// carries a program already, does without. Control thread only; the destructor detaches what was attached here.
#pragma once

#include <optional>
#include <string>

#include "user/base/unique_fd.h"
#include "user/path/xdp_attach.h"

namespace xdplb {

class EgressProgram {
 public:
  // Never fails: without it, packets leave all the same. note() says what came of it.
  explicit EgressProgram(const LinkInfo& link);
  ~EgressProgram();
  EgressProgram(const EgressProgram&) = delete;
  EgressProgram& operator=(const EgressProgram&) = delete;

  [[nodiscard]] const std::string& note() const { return note_; }
  // Of what was attached here; 0: nothing was.
  [[nodiscard]] uint32_t prog_id() const;

 private:
  Result<void> attach(const LinkInfo& link);

  UniqueFd prog_;
  std::optional<Attachment> attachment_;
  std::string note_;
};

}  // namespace xdplb
