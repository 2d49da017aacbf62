//===- StepTimeTest.cpp - How long work takes on a machine ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepTime.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::cost;

namespace {
/// 10 GB/s from memory, 100 GB/s from a cache of 1 MB, 1 Tflop/s.
Cluster machine() {
  Cluster cluster;
  cluster.device.memoryBandwidth = 10e9;
  cluster.device.peakFlops = 1e12;
  cluster.device.peakInt8 = 4e12;
  cluster.device.caches = {{1e6, 100e9}};
  cluster.nodeMemoryBandwidth = 15e9;
  cluster.insideNode = {1e-6, 1e9, 10e-6};
  cluster.acrossNodes = {5e-6, 0.5e9, 20e-6};
  return cluster;
}
} // namespace

TEST(StepTime, BandwidthIsThatOfWhereBytesLie) {
  Cluster cluster = machine();
  RankClock clock(cluster, 1, 1, 0);
  EXPECT_DOUBLE_EQ(clock.bandwidth(1e6), 100e9);
  EXPECT_DOUBLE_EQ(clock.bandwidth(1e9), 10e9);
  // Half beyond the cache: half of the time of each.
  EXPECT_NEAR(clock.bandwidth(1.5e6), 2 / (1 / 100e9 + 1 / 10e9), 1);
}

TEST(StepTime, RanksOfANodeShareItsMemory) {
  Cluster cluster = machine();
  EXPECT_DOUBLE_EQ(RankClock(cluster, 2, 1, 0).bandwidth(1e9), 7.5e9);
  EXPECT_DOUBLE_EQ(RankClock(cluster, 1, 2, 0).bandwidth(1e9), 15e9);
}

TEST(StepTime, MemoryAndMultiplicationsDelayEachOther) {
  Cluster cluster = machine();
  RankClock clock(cluster, 1, 1, 1e9);
  StepWork work;
  work.kind = KernelKind::Product;
  work.weightBytes = 1e7; // 1 ms
  EXPECT_NEAR(clock.seconds(work, false), 1e-3, 1e-9);
  work.flops = 1e9; // 1 ms: 2^(3/4)
  EXPECT_NEAR(clock.seconds(work, false), 1.682e-3, 1e-6);
  work.flops = 2e9; // (1 + 2^(4/3))^(3/4) = 2.57
  EXPECT_NEAR(clock.seconds(work, false), 2.57e-3, 1e-5);
  work.weightBytes = 0;
  EXPECT_NEAR(clock.seconds(work, false), 2e-3, 1e-9);
}

TEST(StepTime, ProductsOfIntegersHaveTheirPeak) {
  Cluster cluster = machine();
  RankClock clock(cluster, 1, 1, 1e9);
  StepWork work;
  work.kind = KernelKind::Product;
  work.flops = 2e9; // half of them: 1 ms and 1/4 ms
  work.int8Flops = 1e9;
  EXPECT_NEAR(clock.seconds(work, false), 1.25e-3, 1e-9);
}

TEST(StepTime, SlowestRankHasMore) {
  Cluster cluster = machine();
  StepWork work;
  work.weightBytes = 1e7;
  work.bytesFactor = 1.5;
  RankClock clock(cluster, 1, 1, 1e9);
  EXPECT_NEAR(clock.seconds(work, true), 1.5 * clock.seconds(work, false),
              1e-12);
}

TEST(StepTime, CollectivesPayForRoundsMessagesAndBytes) {
  Cluster cluster = machine();
  StepWork work;
  work.isCollective = true;
  work.rounds = 2;
  work.inside = {3, 1e6};
  RankClock clock(cluster, 4, 1, 0);
  EXPECT_NEAR(clock.seconds(work, false), 20e-6 + 3e-6 + 1e-3, 1e-12);
  work.across = {1, 0};
  EXPECT_NEAR(clock.seconds(work, false), 40e-6 + 3e-6 + 1e-3 + 5e-6, 1e-12);
  work = {};
  work.isCollective = true;
  work.rounds = 2;
  EXPECT_EQ(clock.seconds(work, false), 0); // nobody to wait for
}

TEST(StepTime, MoreRanksThanDevicesTakeTurns) {
  Cluster cluster = machine();
  cluster.devicesPerNode = 2;
  StepWork work;
  work.kind = KernelKind::Product;
  work.flops = 1e9;
  EXPECT_NEAR(RankClock(cluster, 2, 1, 0).seconds(work, false), 1e-3, 1e-9);
  EXPECT_NEAR(RankClock(cluster, 4, 1, 0).seconds(work, false), 2e-3, 1e-9);
}
