// LiveProgram: a loaded program that transmits live frames, as user space sees it: its two mapped arrays, and the
// system call that runs it (kern/live_transmit.h). Made by the control thread; each worker uses its own part alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "user/base/unique_fd.h"
#include "user/path/live_transmit.h"
#include "user/path/xdp_attach.h"

namespace xdplb {

class LiveProgram {
 public:
  // Loads one from an object that is open, for up to `workers` workers; a MiB each. Error where the kernel is older
  // than live frames.
  static Result<UniqueFd> load(bpf_object* object, uint32_t workers);
  // Of a program that is loaded, here or by a daemon that died. Nobody else may be running it.
  static Result<std::unique_ptr<LiveProgram>> of_program(int prog_fd);
  ~LiveProgram();
  LiveProgram(const LiveProgram&) = delete;
  LiveProgram& operator=(const LiveProgram&) = delete;

  [[nodiscard]] int fd() const { return prog_.get(); }
  [[nodiscard]] uint32_t workers() const { return static_cast<uint32_t>(calls_.size()); }

  // Whether the kernel runs live frames at all: a call for no packet. Once the program is attached.
  [[nodiscard]] Result<void> try_run();

  // The way out of worker `w` < workers(), through `link`. This object must outlive it.
  [[nodiscard]] std::unique_ptr<LiveTransmit> transmit(uint32_t w, const LinkInfo& link, TxChoice choice);

 private:
  // The call for one worker: the length of its input names it.
  class Call : public LiveKernel {
   public:
    Call(int prog_fd, uint32_t worker) : prog_fd_(prog_fd), worker_(worker) {}
    int run(uint32_t repeat) override;

   private:
    int prog_fd_;
    uint32_t worker_;
  };

  LiveProgram() = default;
  Result<void> map_arrays(int runs_fd, int stages_fd, uint32_t workers);

  UniqueFd prog_;
  xdplb_live_run* runs_ = nullptr;
  xdplb_stage* stages_ = nullptr;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace xdplb
