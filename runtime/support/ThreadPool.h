//===- ThreadPool.h - Threads of one rank -----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_THREADPOOL_H
#define MOE_RUNTIME_SUPPORT_THREADPOOL_H

#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

namespace moe {

/// `numThreads` threads, the caller among them. parallelFor is not reentrant
/// and allocates nothing.
class ThreadPool {
public:
  /// Threads may wait awake where the process has a core for each of them.
  explicit ThreadPool(int numThreads);
  /// `cores`: where to bind thread i, for all of them or none (thread 0 is left
  /// alone); `waitsAwake`: whether nobody else needs the cores of threads that
  /// wait for work.
  ThreadPool(int numThreads, std::span<const int> cores, bool waitsAwake);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int numThreads() const;

  /// Calls body(item, thread) for every item in [0, numItems); returns when all
  /// are done. thread < numThreads(). Each thread begins with a range of items
  /// of its own, in order, so that what follows an item in memory is likely its
  /// next one, and then helps the others.
  template <typename Body> void parallelFor(int64_t numItems, Body &&body) {
    using Plain = std::remove_reference_t<Body>;
    run(
        numItems,
        [](void *context, int64_t item, int thread) {
          (*static_cast<Plain *>(context))(item, thread);
        },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

private:
  using Task = void (*)(void *context, int64_t item, int thread);
  void run(int64_t numItems, Task task, void *context);
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_THREADPOOL_H
