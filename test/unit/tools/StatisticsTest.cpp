//===- StatisticsTest.cpp - Numbers about runs ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Statistics.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe::tools;

TEST(StatisticsTest, PercentilesAreMeasuredTimes) {
  std::vector<double> times;
  for (int i = 200; i > 0; --i)
    times.push_back(i);
  TimeSummary summary = summarize(times);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.median, 100);
  EXPECT_EQ(summary.p90, 180);
  EXPECT_EQ(summary.p99, 198);
  EXPECT_EQ(summary.mean, 100.5);
}

TEST(StatisticsTest, CovIsDeviationByMean) {
  EXPECT_EQ(summarize({3, 3, 3}).cov, 0);
  // Deviations 1 and 1 around 2.
  EXPECT_EQ(summarize({1, 3}).cov, 0.5);
}

TEST(StatisticsTest, FewTimes) {
  EXPECT_EQ(summarize({}).p99, 0);
  EXPECT_EQ(summarize({7}).p99, 7);
  EXPECT_EQ(summarize({7}).median, 7);
}
