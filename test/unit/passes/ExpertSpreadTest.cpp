//===- ExpertSpreadTest.cpp - Experts over ranks, evenly ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ExpertSpread.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

using namespace moe::pass;
using Ranks = std::vector<std::vector<int64_t>>;
using Counts = std::vector<int64_t>;

/// Every expert is somewhere, in whole replicas, on different ranks; numbers
/// per rank differ by at most one. Returns the experts of each rank.
static Counts expectEven(const ExpertSpread &spread, int64_t numRanks) {
  Counts held(numRanks, 0);
  for (size_t e = 0; e < spread.ranks.size(); ++e) {
    const std::vector<int64_t> &ranks = spread.ranks[e];
    EXPECT_FALSE(ranks.empty());
    EXPECT_GE(spread.slices[e], 1);
    EXPECT_EQ(ranks.size() % spread.slices[e], 0u);
    EXPECT_EQ(std::set<int64_t>(ranks.begin(), ranks.end()).size(),
              ranks.size());
    for (int64_t rank : ranks) {
      EXPECT_TRUE(rank >= 0 && rank < numRanks);
      ++held[std::clamp<int64_t>(rank, 0, numRanks - 1)];
    }
  }
  auto [least, most] = std::minmax_element(held.begin(), held.end());
  EXPECT_LE(*most - *least, 1);
  return held;
}

TEST(ExpertSpread, BlocksAreInOrder) {
  EXPECT_EQ(spreadInBlocks(5, 2).ranks, (Ranks{{0}, {0}, {1}, {1}, {1}}));
  EXPECT_EQ(spreadInBlocks(2, 5).ranks, (Ranks{{0}, {2}}));
}

TEST(ExpertSpread, ReplicasUseAllRanks) {
  EXPECT_EQ(spreadInReplicas(2, 5).ranks, (Ranks{{0, 1, 2}, {3, 4}}));
  ExpertSpread all = spreadInReplicas(3, 2);
  EXPECT_EQ(all.ranks, (Ranks{{0, 1}, {0, 1}, {0, 1}}));
  EXPECT_EQ(all.domains, 2);
}

TEST(ExpertSpread, FewExpertsAreSlicedOverConsecutiveRanks) {
  ExpertSpread spread = spreadInSlices(2, 5, 0, 8);
  EXPECT_EQ(spread.ranks, (Ranks{{0, 1, 2}, {3, 4}}));
  EXPECT_EQ(spread.slices, (Counts{3, 2}));
}

TEST(ExpertSpread, SlicesThatDoNotExistBecomeReplicas) {
  ExpertSpread spread = spreadInSlices(2, 8, 0, 2);
  EXPECT_EQ(spread.ranks, (Ranks{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_EQ(spread.slices, (Counts{2, 2}));
}

TEST(ExpertSpread, ManyExpertsAreSlicedInGroupsOfRanks) {
  ExpertSpread spread = spreadInSlices(4, 4, 2, 8);
  EXPECT_EQ(spread.ranks, (Ranks{{0, 1}, {1, 0}, {2, 3}, {3, 2}}));
  EXPECT_EQ(spreadInSlices(3, 2, 0, 8).ranks, (Ranks{{0, 1}, {1, 0}, {0, 1}}));
}

TEST(ExpertSpread, BlocksOfRanksRepeat) {
  ExpertSpread spread = repeatInBlocks(spreadInSlices(1, 2, 0, 8), 6, 3);
  EXPECT_EQ(spread.ranks, (Ranks{{0, 1, 2, 3, 4, 5}}));
  EXPECT_EQ(spread.slices, (Counts{2}));
  EXPECT_EQ(spread.domains, 3);
}

TEST(ExpertSpread, IsEvenForAllNumbers) {
  for (int64_t experts = 1; experts <= 12; ++experts)
    for (int64_t ranks = 1; ranks <= 17; ++ranks) {
      SCOPED_TRACE(std::to_string(experts) + " experts, " +
                   std::to_string(ranks) + " ranks");
      expectEven(spreadInBlocks(experts, ranks), ranks);
      Counts held = expectEven(spreadInReplicas(experts, ranks), ranks);
      EXPECT_GE(*std::min_element(held.begin(), held.end()), 1);
      for (int64_t maxSlices : {1, 2, 3, 5, 100}) {
        ExpertSpread spread = spreadInSlices(experts, ranks, 0, maxSlices);
        expectEven(spread, ranks);
        if (experts < ranks && maxSlices >= ranks)
          EXPECT_EQ(
              *std::max_element(spread.slices.begin(), spread.slices.end()),
              (ranks + experts - 1) / experts);
        EXPECT_LE(*std::max_element(spread.slices.begin(), spread.slices.end()),
                  maxSlices);
      }
    }
}
