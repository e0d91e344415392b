// Checks for our own bugs, never for input: packets, files and shared memory get a Result or a Reason.
//
// XDPLB_CHECK is always on. XDPLB_DCHECK is for the packet path: it costs nothing in a release build and
// is on wherever tests run (XDPLB_CHECKS=1).
#pragma once

namespace xdplb {

// Prints what failed to standard error and aborts. Any thread.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace xdplb

#define XDPLB_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::xdplb::check_failed(#condition, __FILE__, __LINE__))

#if defined(XDPLB_CHECKS) && XDPLB_CHECKS
#define XDPLB_DCHECK(condition) XDPLB_CHECK(condition)
#else
#define XDPLB_DCHECK(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#endif
