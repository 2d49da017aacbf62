//===- ThreadPool.cpp - Threads of one rank -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A run is opened and closed by the caller; workers enter it while it is open.
// The caller works too, closes the run when no item is left, and waits only
// for the workers that did enter, never for one that is still asleep.
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ThreadPool.h"
#include "runtime/support/CoreLease.h"
#include "runtime/support/Cores.h"
#include "runtime/support/SpinWait.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

using namespace moe;

/// State word: [ number of the run : 15 | open : 1 | workers inside : 16 ].
static constexpr uint32_t kInsideMask = 0xffff;
static constexpr uint32_t kOpen = 0x10000;
static constexpr uint32_t kRun = 0x20000;
static constexpr int kMaxThreads = 1024;

namespace {
/// Items that one thread takes in turn, from the first on, as long as others
/// have items of their own.
struct alignas(64) Range {
  std::atomic<int64_t> next{0};
  int64_t end = 0;

  /// The next item, or -1 if there is none.
  int64_t take() {
    if (next.load(std::memory_order_relaxed) >= end)
      return -1;
    int64_t item = next.fetch_add(1, std::memory_order_relaxed);
    return item < end ? item : -1;
  }
};
} // namespace

struct ThreadPool::Impl {
  // What to run: written by the caller while nobody is inside.
  Task task = nullptr;
  void *context = nullptr;
  int64_t numItems = 0;

  std::vector<Range> ranges; ///< one for each thread
  alignas(64) std::atomic<uint32_t> state{0};
  /// Changes with every run; sleeping workers wait for it.
  alignas(64) std::atomic<uint32_t> signal{0};
  std::atomic<bool> stopping{false};
  int numSpins = 0;
  /// More than these at once would wait for a core.
  int maxWorkers = 0;
  std::vector<std::thread> workers;

  /// Its own range, then what is left of the others.
  void work(int thread) {
    int numRanges = static_cast<int>(ranges.size());
    for (int i = 0; i < numRanges; ++i) {
      Range &range = ranges[(thread + i) % numRanges];
      for (int64_t item; (item = range.take()) >= 0;)
        task(context, item, thread);
    }
  }

  void divideItems() {
    auto count = static_cast<int64_t>(ranges.size());
    int64_t each = numItems / count, more = numItems % count, begin = 0;
    for (Range &range : ranges) {
      range.next.store(begin, std::memory_order_relaxed);
      begin += each + (more-- > 0);
      range.end = begin;
    }
  }

  /// Enters the open run unless it is `lastRun`; updates `lastRun`.
  bool enter(uint32_t &lastRun) {
    uint32_t current = state.load(std::memory_order_acquire);
    for (;;) {
      uint32_t run = current & ~(kOpen | kInsideMask);
      if (!(current & kOpen) || run == lastRun)
        return false;
      if (state.compare_exchange_weak(current, current + 1,
                                      std::memory_order_acq_rel)) {
        lastRun = run;
        return true;
      }
    }
  }

  void leave() {
    uint32_t before = state.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & (kOpen | kInsideMask)) == 1)
      state.notify_all();
  }

  void workerLoop(int thread) {
    uint32_t lastRun = 0;
    for (;;) {
      uint32_t seen = signal.load(std::memory_order_acquire);
      if (stopping.load(std::memory_order_acquire))
        return;
      if (enter(lastRun)) {
        work(thread);
        leave();
      }
      waitForChange(signal, seen, numSpins);
    }
  }

  /// Wakes no more workers than there are items beside the caller's.
  void open() {
    divideItems();
    uint32_t next = (state.load(std::memory_order_relaxed) + kRun) | kOpen;
    // Workers remember run 0 before their first run.
    if ((next & ~(kOpen | kInsideMask)) == 0)
      next += kRun;
    state.store(next, std::memory_order_release);
    signal.fetch_add(1, std::memory_order_release);
    int64_t wanted = std::min<int64_t>(numItems - 1, maxWorkers);
    if (wanted >= static_cast<int64_t>(workers.size()))
      return signal.notify_all();
    for (; wanted > 0; --wanted)
      signal.notify_one();
  }

  void closeAndWait() {
    uint32_t current =
        state.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    for (int i = 0; current & kInsideMask; ++i) {
      if (i < numSpins)
        pauseCpu();
      else
        state.wait(current, std::memory_order_acquire);
      current = state.load(std::memory_order_acquire);
    }
  }
};

ThreadPool::ThreadPool(int numThreads)
    : ThreadPool(numThreads, {}, coreBudget().hasRoomFor(numThreads)) {}

ThreadPool::ThreadPool(int numThreads, std::span<const int> cores,
                       bool waitsAwake)
    : impl(std::make_unique<Impl>()) {
  numThreads = std::clamp(numThreads, 1, kMaxThreads);
  impl->numSpins = waitsAwake ? kSpins : 0;
  impl->maxWorkers = std::max(1, coreBudget().numThreads() - 1);
  impl->workers.reserve(numThreads - 1);
  for (int i = 1; i < numThreads; ++i) {
    int core = static_cast<size_t>(i) < cores.size() ? cores[i] : -1;
    try {
      impl->workers.emplace_back([pool = impl.get(), i, core] {
        bindThisThread(core);
        pool->workerLoop(i);
      });
    } catch (const std::system_error &) {
      break; // The system gives no more threads: work with those that exist.
    }
  }
  impl->ranges = std::vector<Range>(impl->workers.size() + 1);
}

ThreadPool::~ThreadPool() {
  impl->stopping.store(true, std::memory_order_release);
  impl->signal.fetch_add(1, std::memory_order_release);
  impl->signal.notify_all();
  for (std::thread &worker : impl->workers)
    worker.join();
}

int ThreadPool::numThreads() const {
  return static_cast<int>(impl->workers.size()) + 1;
}

void ThreadPool::run(int64_t numItems, Task task, void *context) {
  if (impl->workers.empty() || numItems <= 1) {
    for (int64_t item = 0; item < numItems; ++item)
      task(context, item, 0);
    return;
  }
  impl->task = task;
  impl->context = context;
  impl->numItems = numItems;
  impl->open();
  impl->work(0);
  impl->closeAndWait();
}
