//===- ThreadPoolTest.cpp - Every item once, for any number of threads ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ThreadPool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace moe;

TEST(ThreadPool, RunsEveryItemOnce) {
  for (int numThreads : {1, 2, 3, 8}) {
    ThreadPool pool(numThreads);
    EXPECT_EQ(pool.numThreads(), numThreads);
    for (int64_t numItems : {0, 1, 2, 7, 1000}) {
      std::vector<int> counts(numItems);
      std::atomic<bool> threadInRange = true;
      pool.parallelFor(numItems, [&](int64_t item, int thread) {
        ++counts[item];
        if (thread < 0 || thread >= numThreads)
          threadInRange = false;
      });
      EXPECT_EQ(counts, std::vector<int>(numItems, 1));
      EXPECT_TRUE(threadInRange);
    }
  }
}

TEST(ThreadPool, WritesOfOneRunAreSeenByTheNext) {
  ThreadPool pool(4);
  std::vector<int64_t> values(64, 0), next(64);
  for (int run = 0; run < 5000; ++run) {
    // Reads what another thread may have written in the run before.
    pool.parallelFor(64, [&](int64_t item, int) {
      next[item] = values[(item + 1) % 64] + 1;
    });
    std::swap(values, next);
  }
  EXPECT_EQ(values, std::vector<int64_t>(64, 5000));
}

TEST(ThreadPool, OneThreadRunsInOrderOnTheCaller) {
  ThreadPool pool(1);
  std::vector<int64_t> order;
  pool.parallelFor(5, [&](int64_t item, int thread) {
    EXPECT_EQ(thread, 0);
    order.push_back(item);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(2);
  for (int run = 0; run < 3; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Each item waits for the other one, so both threads must take part.
    std::atomic<int> arrived = 0;
    pool.parallelFor(2, [&](int64_t, int) {
      ++arrived;
      while (arrived < 2)
        std::this_thread::yield();
    });
  }
}

TEST(ThreadPool, PoolsOfSeveralRanksWorkAtOnce) {
  std::vector<std::thread> ranks;
  std::atomic<int64_t> sum = 0;
  for (int rank = 0; rank < 4; ++rank)
    ranks.emplace_back([&] {
      ThreadPool pool(3);
      for (int run = 0; run < 200; ++run)
        pool.parallelFor(10, [&](int64_t item, int) { sum += item; });
    });
  for (std::thread &rank : ranks)
    rank.join();
  EXPECT_EQ(sum, 4 * 200 * 45);
}
