#include "user/path/privileges.h"

#include <fmt/ranges.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace xdplb {
namespace {

constexpr std::array kKept = {
    CAP_NET_ADMIN,  // attach to a device that was made anew
    CAP_NET_RAW,    // AF_XDP sockets
    CAP_IPC_LOCK,   // their memory
    CAP_BPF,        // load the egress program, work on maps where unprivileged_bpf_disabled is set
};

struct CapsCloser {
  void operator()(void* caps) const { cap_free(caps); }
};

bool is_permitted(cap_t caps, cap_value_t which) {
  cap_flag_value_t value = CAP_CLEAR;
  return cap_get_flag(caps, which, CAP_PERMITTED, &value) == 0 && value == CAP_SET;
}

// A daemon without CAP_IPC_LOCK lives on its limit; to raise that is one of the privileges given up here. No error
// where it cannot be raised: it may be high enough.
void raise_memlock_limit() {
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

}  // namespace

Result<std::string> drop_privileges(bool priorities) {
  const std::unique_ptr<void, CapsCloser> now(cap_get_proc());
  const std::unique_ptr<void, CapsCloser> next(cap_init());
  if (now == nullptr || next == nullptr) return fail_errno(errno, "Cannot read the capabilities of this process");
  const auto caps = [](const auto& owner) { return static_cast<cap_t>(owner.get()); };
  std::vector<cap_value_t> kept;
  for (const cap_value_t cap : kKept) {
    if (is_permitted(caps(now), cap)) kept.push_back(cap);
  }
  if (priorities && is_permitted(caps(now), CAP_SYS_NICE)) kept.push_back(CAP_SYS_NICE);
  if (!is_permitted(caps(now), CAP_IPC_LOCK)) raise_memlock_limit();
  // Only who may change the bounding set can; without it, no_new_privs alone bars the way back.
  for (cap_value_t cap = 0; cap <= cap_max_bits() && is_permitted(caps(now), CAP_SETPCAP); ++cap) {
    if (std::find(kept.begin(), kept.end(), cap) == kept.end()) (void)cap_drop_bound(cap);
  }
  (void)cap_reset_ambient();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "Cannot set no_new_privs");
  for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE}) {
    if (cap_set_flag(caps(next), set, static_cast<int>(kept.size()), kept.data(), CAP_SET) != 0) {
      return fail_errno(errno, "Cannot choose capabilities");
    }
  }
  if (cap_set_proc(caps(next)) != 0) return fail_errno(errno, "Cannot give up capabilities");
  std::vector<std::string> names;
  for (const cap_value_t cap : kept) {
    const std::unique_ptr<void, CapsCloser> name(cap_to_name(cap));
    names.emplace_back(static_cast<const char*>(name.get()));
  }
  return names.empty() ? std::string("none") : fmt::format("{}; all others given up", fmt::join(names, ", "));
}

}  // namespace xdplb
