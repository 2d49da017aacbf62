//===- CoreLeaseTest.cpp - Threads are bound to cores of their own --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/CoreLease.h"
#include "runtime/support/Cores.h"
#include "runtime/support/ThreadPool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>

#if defined(__linux__)
#include <sched.h>

using namespace moe;

namespace {

class CoreLeaseTest : public testing::Test {
protected:
  void SetUp() override {
    numCores = static_cast<int>(coreBudget().allowed.size());
    if (!coreBudget().hasRoomFor(2))
      GTEST_SKIP() << "needs two cores";
  }
  int numCores = 0;
};

std::set<int> maskOfThisThread() {
  cpu_set_t set;
  std::set<int> cores;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set))
      cores.insert(core);
  return cores;
}

TEST_F(CoreLeaseTest, CoresAreDistinctAndAllowed) {
  CoreLease lease = CoreLease::take(2);
  ASSERT_TRUE(lease);
  std::span<const int> cores = lease.part(0, 2);
  EXPECT_NE(cores[0], cores[1]);
  EXPECT_TRUE(lease.part(3, 0).empty());
  for (int core : cores)
    EXPECT_TRUE(std::binary_search(coreBudget().allowed.begin(),
                                   coreBudget().allowed.end(), core));
}

TEST_F(CoreLeaseTest, OwnersShareNoCores) {
  CoreLease most = CoreLease::take(numCores);
  ASSERT_EQ(static_cast<bool>(most), coreBudget().hasRoomFor(numCores));
  EXPECT_FALSE(CoreLease::take(2));
  most = CoreLease();
  EXPECT_TRUE(CoreLease::take(2));
}

TEST_F(CoreLeaseTest, MoreThreadsThanCoresAreNotBound) {
  EXPECT_FALSE(CoreLease::take(numCores + 1));
  EXPECT_FALSE(CoreLease::take(1));
  EXPECT_TRUE(CoreLease::take(numCores + 1).part(0, 5).empty());
}

TEST_F(CoreLeaseTest, TakesOnlyWhatIsOffered) {
  const std::vector<int> &all = coreBudget().allowed;
  CoreLease lease = CoreLease::takeOf(std::span(all).last(2), 2);
  ASSERT_TRUE(lease);
  std::span<const int> part = lease.part(0, 2);
  std::set<int> cores(part.begin(), part.end());
  EXPECT_EQ(cores, (std::set<int>{all[numCores - 2], all[numCores - 1]}));
  EXPECT_FALSE(CoreLease::takeOf(std::span(all).first(1), 2));
  EXPECT_FALSE(CoreLease::takeOf({}, 2));
}

TEST_F(CoreLeaseTest, ThreadsStartWithTheCoresOfTheirParent) {
  const std::vector<int> &all = coreBudget().allowed;
  std::set<int> own, ofChild, free;
  std::thread([&] {
    setenv("MOE_AFFINITY", "off", 1);
    bindThisThread(std::span(all).first(1));
    free = maskOfThisThread();
    unsetenv("MOE_AFFINITY");
    bindThisThread(std::span(all).first(1));
    own = maskOfThisThread();
    std::thread([&] { ofChild = maskOfThisThread(); }).join();
  }).join();
  EXPECT_EQ(free, std::set<int>(all.begin(), all.end()));
  EXPECT_EQ(own, std::set<int>{all[0]});
  EXPECT_EQ(ofChild, own);
}

TEST_F(CoreLeaseTest, EnvironmentTurnsItOff) {
  setenv("MOE_AFFINITY", "off", 1);
  EXPECT_FALSE(CoreLease::take(2));
  unsetenv("MOE_AFFINITY");
  EXPECT_TRUE(CoreLease::take(2));
}

TEST_F(CoreLeaseTest, WorkersAreBoundAndTheCallerIsNot) {
  CoreLease lease = CoreLease::take(2);
  std::span<const int> cores = lease.part(0, 2);
  std::set<int> before = maskOfThisThread(), ofWorker;
  ThreadPool pool(2, cores, /*waitsAwake=*/true);
  lease.settleCaller();
  std::atomic<int> arrived = 0;
  pool.parallelFor(2, [&](int64_t, int thread) {
    if (thread == 1)
      ofWorker = maskOfThisThread();
    ++arrived;
    while (arrived < 2)
      std::this_thread::yield();
  });
  EXPECT_EQ(ofWorker, std::set<int>{cores[1]});
  EXPECT_EQ(maskOfThisThread(), before);
}

} // namespace

#endif // defined(__linux__)
