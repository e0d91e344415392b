// Result<T>: a value or an Error, for everything outside the packet path.
//
// A subset of std::expected with the same names, to be deleted when the compiler has it. Functions
// that can fail return it, so a caller cannot forget: the type is [[nodiscard]]. The text of an Error
// is written for the operator: it names the thing, the value, the cause and, where there is one, the
// way out.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "user/base/check.h"

namespace xdplb {

// What went wrong, in words, and the errno it came from (0 where no system call was involved).
struct Error {
  std::string message;
  int sys_errno = 0;
};

// fail("Unknown interface [{}]", name)
template <typename... Args>
[[nodiscard]] Error fail(fmt::format_string<Args...> format, Args&&... args) {
  return Error{fmt::format(format, std::forward<Args>(args)...), 0};
}

// fail_errno(errno, "Cannot open {}", path) -> "Cannot open /x: No such file or directory"
template <typename... Args>
[[nodiscard]] Error fail_errno(int sys_errno, fmt::format_string<Args...> format, Args&&... args) {
  return Error{fmt::format("{}: {}", fmt::format(format, std::forward<Args>(args)...), std::strerror(sys_errno)),
               sys_errno};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit as in std::expected
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Asking for what is not there is a bug of ours and aborts.
  T& value() & {
    XDPLB_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    XDPLB_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    XDPLB_CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] const Error& error() const {
    XDPLB_CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit as in std::expected

  [[nodiscard]] bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  [[nodiscard]] const Error& error() const {
    XDPLB_CHECK(!ok_);
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace xdplb
