//===- Status.h - Error values of the runtime -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one error type of the project. No exception crosses an interface of the
// runtime: what a file, an option or another rank can cause is a Status. Its
// code is the exit code of the tools, so an error keeps its class from the
// place where it is found to the shell.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_STATUS_H
#define MOE_RUNTIME_SUPPORT_STATUS_H

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace moe {

/// Class of an error; the value is the tools' exit code.
enum class StatusCode : int {
  Ok = 0,
  Other = 1,
  Usage = 2,
  BadModel = 3,
  Unsupported = 4,
  ResultsDiffer = 5,
  BadPlan = 6,
  IoError = 7,
  RankFailed = 8,
  Timeout = 9,
  OutOfMemory = 10,
  Internal = 70,
  Interrupted = 130,
  Terminated = 143,
};

/// Success, or a code and a message: lower case, no full stop, naming the
/// thing, what was found and what was expected.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : theCode(code), theMessage(std::move(message)) {}

  static Status ok() { return {}; }
  bool isOk() const { return theCode == StatusCode::Ok; }
  explicit operator bool() const = delete;
  StatusCode code() const { return theCode; }
  int exitCode() const { return static_cast<int>(theCode); }
  const std::string &message() const { return theMessage; }

  /// The same error with `place` and ": " before its message.
  Status at(std::string_view place) const {
    if (isOk())
      return *this;
    return Status(theCode, std::string(place) + ": " + theMessage);
  }

private:
  StatusCode theCode = StatusCode::Ok;
  std::string theMessage;
};

/// A value or the error that prevented it.
template <typename T> class [[nodiscard]] StatusOr {
public:
  StatusOr(T value) : theValue(std::move(value)) {}
  StatusOr(Status status) : theStatus(std::move(status)) {
    assert(!theStatus.isOk() && "a StatusOr without value needs an error");
  }
  bool isOk() const { return theValue.has_value(); }
  const Status &status() const { return theStatus; }
  T &operator*() & { return *theValue; }
  const T &operator*() const & { return *theValue; }
  T &&operator*() && { return *std::move(theValue); }
  T *operator->() { return &*theValue; }
  const T *operator->() const { return &*theValue; }

private:
  std::optional<T> theValue;
  Status theStatus;
};

#define MOE_CONCAT_IMPL(a, b) a##b
#define MOE_CONCAT(a, b) MOE_CONCAT_IMPL(a, b)

/// Returns from the enclosing function if `expression` is an error.
#define MOE_RETURN_IF_ERROR(expression)                                        \
  do {                                                                         \
    if (::moe::Status moeStatus = (expression); !moeStatus.isOk())             \
      return moeStatus;                                                        \
  } while (false)

/// Declares or assigns `lhs` from a StatusOr, or returns its error.
#define MOE_ASSIGN_OR_RETURN(lhs, expression)                                  \
  MOE_ASSIGN_OR_RETURN_IMPL(MOE_CONCAT(moeStatusOr, __LINE__), lhs, expression)
#define MOE_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expression)                        \
  auto tmp = (expression);                                                     \
  if (!tmp.isOk())                                                             \
    return tmp.status();                                                       \
  lhs = *std::move(tmp)

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_STATUS_H
