//===- CoresTest.cpp - Affinity masks and quotas of containers ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/Cores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

using namespace moe;

TEST(Cores, ProcessesDivideThemAsRanksDivideThreads) {
  using Cores = std::vector<int>;
  EXPECT_EQ(coresOfProcess({0, 2, 4, 6}, 0, 2), (Cores{0, 2}));
  EXPECT_EQ(coresOfProcess({0, 2, 4, 6}, 1, 2), (Cores{4, 6}));
  EXPECT_EQ(coresOfProcess({0, 1, 2, 3, 4}, 0, 3), (Cores{0}));
  EXPECT_EQ(coresOfProcess({0, 1, 2, 3, 4}, 1, 3), (Cores{1, 2}));
  EXPECT_EQ(coresOfProcess({0, 1, 2, 3, 4}, 2, 3), (Cores{3, 4}));
  EXPECT_EQ(coresOfProcess({7}, 0, 1), (Cores{7}));
}

TEST(Cores, MoreProcessesThanCoresGetNone) {
  EXPECT_TRUE(coresOfProcess({0, 1}, 0, 3).empty());
  EXPECT_TRUE(coresOfProcess({0, 1}, 2, 3).empty());
}

TEST(Cores, CpuMaxIsQuotaOverPeriod) {
  EXPECT_EQ(parseCpuMax("150000 100000\n"), 1.5);
  EXPECT_EQ(parseCpuMax("50000 100000"), 0.5);
  EXPECT_EQ(parseCpuMax("max 100000\n"), std::nullopt);
}

TEST(Cores, OtherTextsAreNoQuota) {
  for (const char *text :
       {"", "\n", "100000", "100000 0", "0 100000", "-1 100000", "1e5 100000",
        "100000 100000 7", "max", "100000x 100000", " 99999999999999999999 1",
        "0x10 16"})
    EXPECT_EQ(parseCpuMax(text), std::nullopt) << text;
}

TEST(Cores, CfsQuotaIsQuotaOverPeriod) {
  EXPECT_EQ(parseCfsQuota("400000\n", "100000\n"), 4.0);
  EXPECT_EQ(parseCfsQuota("-1\n", "100000\n"), std::nullopt);
  EXPECT_EQ(parseCfsQuota("1000 1", "100000"), std::nullopt);
  EXPECT_EQ(parseCfsQuota("", ""), std::nullopt);
}

/// The quota with these files.
static double quotaWith(std::map<std::string, std::string> files) {
  return findCpuQuota(
      [&](const std::string &path) -> std::optional<std::string> {
        auto it = files.find(path);
        if (it == files.end())
          return std::nullopt;
        return it->second;
      });
}

TEST(Cores, ASmallerQuotaOfAGroupAboveCounts) {
  EXPECT_EQ(quotaWith({{"/proc/self/cgroup", "0::/outer/inner\n"},
                       {"/sys/fs/cgroup/outer/inner/cpu.max", "300000 100000"},
                       {"/sys/fs/cgroup/outer/cpu.max", "200000 100000"},
                       {"/sys/fs/cgroup/cpu.max", "max 100000"}}),
            2.0);
}

TEST(Cores, AContainerSeesItsGroupAsTheRoot) {
  EXPECT_EQ(quotaWith({{"/proc/self/cgroup", "0::/\n"},
                       {"/sys/fs/cgroup/cpu.max", "250000 100000\n"}}),
            2.5);
  // Version 1: the folder named is outside, the files are at the root.
  EXPECT_EQ(quotaWith({{"/proc/self/cgroup",
                        "5:cpuset:/x\n4:cpuacct,cpu:/docker/0123\n0::/\n"},
                       {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"},
                       {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}),
            1.0);
}

TEST(Cores, NoGroupsGiveNoQuota) {
  EXPECT_TRUE(std::isinf(quotaWith({})));
  for (const char *text : {"", "\n\n", "0", "0:", "0::", ":", "a:b",
                           "::::", "4:cpux:/", "0::/../../etc"})
    EXPECT_TRUE(std::isinf(quotaWith({{"/proc/self/cgroup", text}}))) << text;
}

TEST(Cores, PathsThatLeadOutAreTheRoot) {
  EXPECT_EQ(quotaWith({{"/proc/self/cgroup", "0::/../x"},
                       {"/sys/fs/cgroup/../x/cpu.max", "100000 100000"},
                       {"/sys/fs/cgroup/cpu.max", "300000 100000"}}),
            3.0);
}

TEST(Cores, BudgetIsTheSmallerOfMaskAndQuota) {
  CoreBudget budget{{0, 2, 4, 6}};
  EXPECT_EQ(budget.numThreads(), 4);
  EXPECT_TRUE(budget.hasRoomFor(4));
  EXPECT_FALSE(budget.hasRoomFor(5));
  // Two threads share the time of one and a half cores: they must not waste it.
  budget.quota = 1.5;
  EXPECT_EQ(budget.numThreads(), 2);
  EXPECT_TRUE(budget.hasRoomFor(1));
  EXPECT_FALSE(budget.hasRoomFor(2));
  budget.quota = 0.25;
  EXPECT_EQ(budget.numThreads(), 1);
  budget.quota = 1e9;
  EXPECT_EQ(budget.numThreads(), 4);
}

TEST(Cores, ThisProcessHasACore) {
  EXPECT_GE(coreBudget().allowed.size(), 1u);
  EXPECT_GE(coreBudget().numThreads(), 1);
}
