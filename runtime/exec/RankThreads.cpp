//===- RankThreads.cpp - The threads that act as ranks --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/RankThreads.h"
#include "runtime/support/CoreLease.h"
#include "runtime/support/SpinWait.h"

#include <system_error>

using namespace moe;

StatusOr<std::unique_ptr<RankThreads>>
RankThreads::create(int numRanks, std::span<const int> cores, bool waitsAwake) {
  std::unique_ptr<RankThreads> result(new RankThreads());
  result->numSpins = waitsAwake ? kSpins : 0;
  for (int rank = 1; rank < numRanks; ++rank) {
    try {
      int core = cores.empty() ? -1 : cores[rank];
      result->threads.emplace_back([self = result.get(), rank, core] {
        bindThisThread(core);
        self->work(rank);
      });
    } catch (const std::system_error &error) {
      return Status(StatusCode::OutOfMemory, "cannot start a thread for rank " +
                                                 std::to_string(rank) + ": " +
                                                 error.what());
    }
  }
  return result;
}

RankThreads::~RankThreads() {
  isStopping = true;
  numRuns.fetch_add(1, std::memory_order_release);
  numRuns.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

void RankThreads::work(int rank) {
  for (uint32_t run = 0;; ++run) {
    waitForChange(numRuns, run, numSpins);
    if (isStopping)
      return;
    task(context, rank);
    if (numBusy.fetch_sub(1, std::memory_order_acq_rel) == 1)
      numBusy.notify_one();
  }
}

void RankThreads::runAll(Task newTask, void *newContext) {
  if (threads.empty()) {
    newTask(newContext, 0);
    return;
  }
  task = newTask;
  context = newContext;
  numBusy.store(threads.size(), std::memory_order_relaxed);
  numRuns.fetch_add(1, std::memory_order_release);
  numRuns.notify_all();
  newTask(newContext, 0);
  while (uint32_t busy = numBusy.load(std::memory_order_acquire))
    waitForChange(numBusy, busy, numSpins);
}
