//===- RankThreads.h - The threads that act as ranks ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_RANKTHREADS_H
#define MOE_RUNTIME_EXEC_RANKTHREADS_H

#include "runtime/support/Status.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace moe {

/// One thread for each rank but the first, whose work the caller does. They
/// exist as long as this object, so that a run starts no threads.
class RankThreads {
public:
  /// `cores`: where to bind the thread of each rank, or empty (that of the
  /// first rank is left alone); `waitsAwake`: whether nobody needs the cores of
  /// threads that wait. Errors: OutOfMemory if the system gives no more
  /// threads.
  static StatusOr<std::unique_ptr<RankThreads>>
  create(int numRanks, std::span<const int> cores, bool waitsAwake);
  ~RankThreads();

  /// Calls body(rank) for all ranks at once; returns when all are done.
  template <typename Body> void run(Body &&body) {
    runAll(
        [](void *context, int rank) {
          (*static_cast<std::remove_reference_t<Body> *>(context))(rank);
        },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

private:
  using Task = void (*)(void *context, int rank);
  RankThreads() = default;
  void runAll(Task task, void *context);
  void work(int rank);

  Task task = nullptr;
  void *context = nullptr;
  bool isStopping = false;
  int numSpins = 0;
  alignas(64) std::atomic<uint32_t> numRuns{0};
  alignas(64) std::atomic<uint32_t> numBusy{0};
  std::vector<std::thread> threads;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_RANKTHREADS_H
