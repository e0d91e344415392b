// mconnect's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/common/early_exit.h"
#include "tools/common/source_pool.h"

namespace xdplb::mconnect {

enum class Output { text, json };

struct Options {
  bool server = false;
  bool udp = false;
  bool keep = false;
  bool version = false;
  std::string address = "[::1]:5001";
  int64_t nconn = 1;
  int64_t maxconcurrent = 64;
  uint64_t seed = 0;
  int64_t timeout_ns = 0;  // never 0 after parse()
  Output output = Output::text;
  std::optional<tools::SourceCidr> source_cidr;
};

using Parsed = tools::Parsed<Options>;

Parsed parse(int argc, const char* const* argv);

// Enough for 1000 connections a second and 2 s more; an hour with -keep.
int64_t default_timeout_ns(const Options& options);

}  // namespace xdplb::mconnect
