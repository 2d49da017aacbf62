//===- LoadPlacementTest.cpp - Experts where their load is shared ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadPlacement.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace moe;
using namespace moe::solver;

/// Rows of E experts, Zipf(s), in mixed order; `slots` on each rank.
static LoadProblem zipf(int64_t experts, int64_t ranks, double s,
                        int64_t slots) {
  LoadProblem problem;
  double sum = 0;
  for (int64_t e = 0; e < experts; ++e)
    sum += std::pow(e + 1, -s);
  for (int64_t e = 0; e < experts; ++e) {
    double share = std::pow(e + 1, -s) / sum;
    problem.prefillRows.push_back(4096 * share);
    problem.decodeRows.push_back(32 * share);
  }
  std::mt19937_64 random(7);
  for (int64_t e = experts - 1; e > 0; --e) {
    int64_t other = random() % (e + 1);
    std::swap(problem.prefillRows[e], problem.prefillRows[other]);
    std::swap(problem.decodeRows[e], problem.decodeRows[other]);
  }
  problem.ranks.assign(ranks, {1e-6, 1e-4, slots});
  return problem;
}

static Placement solve(const LoadProblem &problem) {
  StatusOr<Placement> placement = placeByLoad(problem);
  EXPECT_TRUE(placement.isOk()) << placement.status().message();
  Status verified = problem.verify(*placement);
  EXPECT_TRUE(verified.isOk()) << verified.message();
  return *placement;
}

static double peak(const LoadProblem &problem, const Placement &placement) {
  std::vector<double> seconds = problem.rankSeconds(placement);
  return *std::max_element(seconds.begin(), seconds.end());
}

TEST(LoadPlacement, SharesTheHotExpert) {
  LoadProblem problem;
  problem.prefillRows = problem.decodeRows = {8, 4, 2, 2};
  problem.ranks.assign(2, {1, 1, 3});
  EXPECT_DOUBLE_EQ(peak(problem, {{0}, {0}, {1}, {1}}), 12);
  EXPECT_DOUBLE_EQ(peak(problem, solve(problem)), 8);
}

TEST(LoadPlacement, IsEvenUnderZipfLoadsWithASpareSlot) {
  for (auto [experts, ranks] :
       {std::pair(16, 4), {32, 8}, {64, 8}, {64, 16}, {128, 32}, {256, 64}})
    for (double s : {0.8, 0.9, 1.0, 1.1, 1.2}) {
      LoadProblem problem = zipf(experts, ranks, s, experts / ranks + 1);
      double ours = imbalance(problem.rankSeconds(solve(problem)));
      EXPECT_LE(ours, 1.05)
          << experts << " experts, " << ranks << " ranks, " << s;
    }
}

TEST(LoadPlacement, IsNeverSlowerThanBlocksOrTheGreedyScheme) {
  for (double share : {0.0, 0.5, 1.0})
    for (int64_t spare : {0, 1, 2}) {
      LoadProblem problem = zipf(24, 4, 1.0, 6 + spare);
      problem.prefillShare = share;
      double ours = peak(problem, solve(problem));
      EXPECT_LE(ours, peak(problem, *replicateAndPack(problem)) * (1 + 1e-9));
      EXPECT_LE(ours, peak(problem, *placeInBlocks({24, 4})) * (1 + 1e-9));
    }
}

TEST(LoadPlacement, DoesNotReplicateWhatDecodeWouldReadTwice) {
  // All experts are read in each step: replicas only add reads.
  LoadProblem problem;
  problem.prefillRows.assign(8, 1);
  problem.decodeRows.assign(8, 100);
  problem.prefillShare = 0;
  problem.ranks.assign(4, {1, 1, 4});
  EXPECT_NEAR(peak(problem, solve(problem)), 2, 1e-9);
}

TEST(LoadPlacement, GivesFastRanksMore) {
  LoadProblem problem;
  problem.prefillRows = problem.decodeRows = std::vector<double>(12, 1);
  problem.ranks = {{1, 1, 12}, {2, 2, 12}};
  // With all twelve shared evenly each rank has 6 rows: 6 and 12 seconds. Eight
  // and four whole experts take 8 and 8.
  EXPECT_NEAR(peak(problem, solve(problem)), 8, 0.1);
}

TEST(LoadPlacement, KeepsWithinTheMemoryOfEachRank) {
  LoadProblem problem = zipf(12, 3, 1.0, 0);
  problem.ranks[0].slots = 2;
  problem.ranks[1].slots = 3;
  problem.ranks[2].slots = 7;
  solve(problem);
}

TEST(LoadPlacement, PutsTogetherWhatIsChosenTogether) {
  LoadProblem problem;
  problem.prefillRows = problem.decodeRows = std::vector<double>(8, 1);
  problem.ranks.assign(4, {1, 1, 2});
  for (int64_t e = 0; e < 4; ++e)
    problem.pairs.push_back({e, e + 4, 10});
  problem.secondsPerPair = 1e-3;
  Placement placement = solve(problem);
  EXPECT_DOUBLE_EQ(problem.sharedPairRows(placement), 40);
  EXPECT_DOUBLE_EQ(peak(problem, placement), 2);
}

TEST(LoadPlacement, MovesLittleFromAPreviousPlacement) {
  LoadProblem problem = zipf(64, 8, 1.0, 9);
  Placement before = solve(problem);
  // Every load drifts by up to a fifth.
  std::mt19937_64 random(3);
  for (double &rows : problem.prefillRows)
    rows *= 0.8 + 0.4 * static_cast<double>(random() % 1000) / 1000;
  problem.previous = before;
  Placement fresh = solve(problem);
  problem.secondsPerMove = 1e-6;
  Placement careful = solve(problem);
  // 72 replicas are placed.
  EXPECT_LE(problem.numMoves(careful), problem.numMoves(fresh) / 2);
  EXPECT_LE(problem.numMoves(careful), 18);
  EXPECT_LE(peak(problem, careful), peak(problem, fresh) * 1.02);
}

TEST(LoadPlacement, IsTheSameEachTime) {
  LoadProblem problem = zipf(32, 8, 1.0, 5);
  EXPECT_EQ(solve(problem), solve(problem));
}

TEST(LoadPlacement, RefusesWhatCannotBe) {
  auto messageOf = [](const LoadProblem &problem) {
    StatusOr<Placement> placement = placeByLoad(problem);
    EXPECT_FALSE(placement.isOk());
    return placement.status().message();
  };
  LoadProblem problem = zipf(8, 2, 1.0, 3);
  EXPECT_EQ(messageOf(problem), "8 experts do not fit 6 slots");
  problem = zipf(8, 2, 1.0, 4);
  problem.prefillRows[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(messageOf(problem),
            "the load of expert 3 is nan, expected a number of at least 0");
  problem = zipf(8, 2, 1.0, 4);
  problem.pairs = {{0, 8, 1}};
  EXPECT_EQ(messageOf(problem), "a pair has expert 8 of 8");
  problem.pairs.clear();
  problem.previous = {{0}};
  EXPECT_EQ(messageOf(problem),
            "a previous placement of 1 experts, expected 8");
  problem.previous.assign(8, {2});
  EXPECT_EQ(messageOf(problem), "expert 0 is on rank 2 of 2");
  EXPECT_FALSE(problem.verify(Placement(8, {0})).isOk());
}
