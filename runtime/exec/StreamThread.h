//===- StreamThread.h - The second stream of a rank -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One thread that does what its owner issues, in order:
//
//   owner    restart   issue   issue   ...work...   waitFor(1)   waitFor(2)
//   thread             body(0)===========> body(1)=================>
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_STREAMTHREAD_H
#define MOE_RUNTIME_EXEC_STREAMTHREAD_H

#include "runtime/support/Status.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace moe {

/// Whether the two sides may wait awake: a thread that spins takes the core
/// from one that has work.
struct StreamCores {
  bool forThread = false;
  bool forOwner = false;
};

class StreamThread {
public:
  /// `body` must not throw; `core`: where to bind the thread, or -1. Errors:
  /// OutOfMemory if the system gives no more threads.
  static StatusOr<std::unique_ptr<StreamThread>>
  create(std::function<void(uint32_t)> body, StreamCores cores, int core = -1);
  /// All that was issued must have ended.
  ~StreamThread();

  /// The next issue() is number 0 again. All that was issued must have ended.
  void restart() { first = issued.load(std::memory_order_relaxed); }
  /// Lets the thread call body(n) for the next number n; what the owner wrote
  /// before is visible to it.
  void issue();
  /// Returns when `count` calls since restart() have ended.
  void waitFor(uint32_t count);
  /// Returns when all that was issued has ended.
  void drain() { waitFor(issued.load(std::memory_order_relaxed) - first); }

private:
  StreamThread(std::function<void(uint32_t)> body, StreamCores cores);
  void work();

  const std::function<void(uint32_t)> body;
  const int threadSpins, ownerSpins;
  uint32_t first = 0;
  bool isStopping = false;
  // Both count from the beginning of time, modulo 2^32.
  alignas(64) std::atomic<uint32_t> issued{0};
  alignas(64) std::atomic<uint32_t> ended{0};
  std::thread thread;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_STREAMTHREAD_H
