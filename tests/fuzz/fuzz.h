// A fuzz target is one file, tests/fuzz/NAME_fuzz.cpp:
//
//   XDPLB_FUZZ_TARGET(parse) { ... data, size ... }
//
// and its seeds lie in tests/fuzz/corpus/NAME. `make fuzz` compiles each with FUZZ_TARGET_MAIN into a libFuzzer
// program of its own; the unit tests contain them all and replay every corpus (tests/fuzz/replay_test.cpp). A target
// that finds something calls XDPLB_CHECK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xdplb::fuzz {

using TargetFunction = void (*)(const uint8_t* data, size_t size);

struct Target {
  const char* name;
  TargetFunction run;
};

// Every target of this program. Filled before main() by the targets themselves.
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

struct Registration {
  Registration(const char* name, TargetFunction run) { targets().push_back({name, run}); }
};

}  // namespace xdplb::fuzz

#ifdef FUZZ_TARGET_MAIN
#define XDPLB_FUZZ_ENTRY(name)                                              \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    ::xdplb::fuzz::name(data, size);                                        \
    return 0;                                                               \
  }
#else
#define XDPLB_FUZZ_ENTRY(name) \
  static const ::xdplb::fuzz::Registration registration_of_##name(#name, ::xdplb::fuzz::name);
#endif

#define XDPLB_FUZZ_TARGET(name)                \
  namespace xdplb::fuzz {                      \
  void name(const uint8_t* data, size_t size); \
  }                                            \
  XDPLB_FUZZ_ENTRY(name)                       \
  void xdplb::fuzz::name(const uint8_t* data, size_t size)
