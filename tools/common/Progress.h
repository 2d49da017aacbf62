//===- Progress.h - Shows on a terminal how far work is ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_COMMON_PROGRESS_H
#define MOE_TOOLS_COMMON_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>

namespace moe::tools {

/// One line on standard error that is rewritten, at most ten times a second;
/// nothing if standard error is not a terminal.
class Progress {
public:
  /// `what` is being done `total` times.
  Progress(std::string what, int64_t total);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  void update(int64_t done, const std::string &note = "");

private:
  using Clock = std::chrono::steady_clock;
  std::string what;
  int64_t total;
  bool isShown;
  Clock::time_point last;
};

} // namespace moe::tools

#endif // MOE_TOOLS_COMMON_PROGRESS_H
