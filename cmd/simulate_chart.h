// The picture of a simulation, as an SVG document: for each method, the share of connections that one target more or
// less moves, beside what must move.
#pragma once

#include <string>

#include "user/lb/simulate.h"

namespace xdplb {

inline constexpr std::array<const char*, kMethods> kMethodNames = {"maglev", "rendezvous", "modulo",
                                                                   "hash-threshold"};

std::string simulation_chart(const SimulationInput& input, const SimulationResult& result);

}  // namespace xdplb
