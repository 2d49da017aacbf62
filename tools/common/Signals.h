//===- Signals.h - Ends runs on SIGINT and SIGTERM --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two signals are blocked in all threads and received by a thread of their
// own, so what they cause is ordinary code, not a signal handler.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_COMMON_SIGNALS_H
#define MOE_TOOLS_COMMON_SIGNALS_H

#include "runtime/support/Status.h"

#include <chrono>
#include <functional>

namespace moe::tools {

/// Blocks the signals and starts the thread; call it first in main, before any
/// other thread exists. SIGPIPE is ignored: writes report it.
void receiveSignals();

/// Ok, or Interrupted or Terminated once a signal has come.
Status interruption();

/// What ends a program that has not ended `patience` after a signal: its exit
/// code is what `lastWords` returns. At first: the signal's exit code, in time
/// for an end two seconds after the signal.
void setLastWords(std::chrono::milliseconds patience,
                  std::function<int()> lastWords);

/// While it lives, the first signal calls `cancel` with Interrupted or
/// Terminated, from another thread; the one that was made last counts.
class CancelOnSignal {
public:
  explicit CancelOnSignal(std::function<void(const Status &)> cancel);
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal &) = delete;
  CancelOnSignal &operator=(const CancelOnSignal &) = delete;

private:
  std::function<void(const Status &)> previous;
};

} // namespace moe::tools

#endif // MOE_TOOLS_COMMON_SIGNALS_H
