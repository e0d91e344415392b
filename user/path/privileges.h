// What the daemon may still do once its programs are loaded: no more than a new data plane needs, and less by far
// than root. The README of this folder says what each privilege is for.
#pragma once

#include <string>

#include "user/base/result.h"

namespace xdplb {

// Of the privileges that the process has, keeps those that a new data plane needs (`priorities`: also the one to run
// its workers at real-time priority) and gives up the rest for good: not
// even a program that it executes could have them again. Says what is left, in words. Concerns the calling thread and
// those that it makes from then on: call it before there are others.
Result<std::string> drop_privileges(bool priorities);

}  // namespace xdplb
