//===- Signals.cpp - Ends runs on SIGINT and SIGTERM ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/common/Signals.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

using namespace moe;
using namespace moe::tools;

namespace {

std::atomic<int> receivedSignal{0};
std::mutex cancelMutex;
std::function<void(const Status &)> cancelRun;
// Half a second remains for what a rank does before it looks.
std::chrono::milliseconds patience{1500};
std::function<int()> lastWords = [] { return interruption().exitCode(); };

sigset_t endingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

/// Runs on the thread that receives signals. With nothing to cancel, the
/// program ends at once.
void endRun(int signal) {
  receivedSignal = signal;
  std::chrono::milliseconds time;
  std::function<int()> endProgram;
  {
    std::lock_guard lock(cancelMutex);
    time = patience;
    endProgram = lastWords;
    if (cancelRun)
      cancelRun(interruption());
    else
      std::_Exit(interruption().exitCode());
  }
  std::this_thread::sleep_for(time);
  std::_Exit(endProgram());
}

} // namespace

void tools::receiveSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals = endingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] {
    int signal = 0;
    if (sigwait(&signals, &signal) == 0)
      endRun(signal);
  }).detach();
}

Status tools::interruption() {
  switch (receivedSignal.load()) {
  case SIGINT:
    return Status(StatusCode::Interrupted, "interrupted");
  case SIGTERM:
    return Status(StatusCode::Terminated, "terminated");
  default:
    return Status::ok();
  }
}

CancelOnSignal::CancelOnSignal(std::function<void(const Status &)> cancel) {
  std::lock_guard lock(cancelMutex);
  previous = std::exchange(cancelRun, std::move(cancel));
}

CancelOnSignal::~CancelOnSignal() {
  std::lock_guard lock(cancelMutex);
  cancelRun = std::move(previous);
}

void tools::setLastWords(std::chrono::milliseconds newPatience,
                         std::function<int()> newLastWords) {
  std::lock_guard lock(cancelMutex);
  patience = newPatience;
  lastWords = std::move(newLastWords);
}
