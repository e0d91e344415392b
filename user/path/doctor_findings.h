// What the checks of the doctor (user/path/doctor.h) are written with.
#pragma once

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "user/path/doctor.h"

namespace xdplb {

// Where a check puts what it finds.
class Findings {
 public:
  explicit Findings(const char* check) : check_(check) {}
  void ok(std::string what) { list.push_back({check_, Severity::ok, std::move(what), "", ""}); }
  void warning(std::string what, std::string why, std::string mend) {
    list.push_back({check_, Severity::warning, std::move(what), std::move(why), std::move(mend)});
  }
  void error(std::string what, std::string why, std::string mend) {
    list.push_back({check_, Severity::error, std::move(what), std::move(why), std::move(mend)});
  }
  std::vector<Finding> list;

 private:
  const char* check_;
};

template <typename Facts>
struct Check {
  const char* name;
  void (*run)(const Facts& facts, Findings& findings);
};

// Every check of a table, in its order.
template <typename Facts, size_t n>
std::vector<Finding> run_checks(const Check<Facts> (&checks)[n], const Facts& facts) {
  std::vector<Finding> all;
  for (const Check<Facts>& check : checks) {
    Findings findings(check.name);
    check.run(facts, findings);
    std::move(findings.list.begin(), findings.list.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace xdplb
