//===- PlacementTest.cpp - Which ranks hold which expert ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/Placement.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::solver;

TEST(Placement, SpreadsEvenlyWhereItDivides) {
  StatusOr<Placement> placement = placeInBlocks({4, 2});
  ASSERT_TRUE(placement.isOk());
  EXPECT_EQ(*placement, (Placement{{0}, {0}, {1}, {1}}));
}

TEST(Placement, DiffersByOneWhereItDoesNotDivide) {
  // Rank r begins at r * 8 / 3: 0, 2, 5.
  StatusOr<Placement> placement = placeInBlocks({8, 3});
  ASSERT_TRUE(placement.isOk());
  EXPECT_EQ(*placement, (Placement{{0}, {0}, {1}, {1}, {1}, {2}, {2}, {2}}));
}

TEST(Placement, ReplicatesWholeExpertsOverMoreRanks) {
  // Rank r holds expert r * 2 / 5: 0 0 0 1 1.
  StatusOr<Placement> placement = placeInBlocks({2, 5});
  ASSERT_TRUE(placement.isOk());
  EXPECT_EQ(*placement, (Placement{{0, 1, 2}, {3, 4}}));
}

TEST(Placement, VerifiesWhatItSolves) {
  for (int64_t experts = 1; experts < 20; ++experts)
    for (int64_t ranks = 1; ranks < 20; ++ranks) {
      PlacementProblem problem{experts, ranks};
      StatusOr<Placement> placement = placeInBlocks(problem);
      ASSERT_TRUE(placement.isOk());
      EXPECT_TRUE(problem.verify(*placement).isOk())
          << experts << " experts, " << ranks << " ranks";
    }
}

TEST(Placement, RejectsEmptyProblems) {
  EXPECT_EQ(placeInBlocks({0, 2}).status().message(),
            "0 experts, expected between 1 and 1048576");
  EXPECT_EQ(placeInBlocks({4, 0}).status().code(), StatusCode::Usage);
}

TEST(Placement, FindsWrongSolutions) {
  PlacementProblem problem{2, 2};
  EXPECT_EQ(problem.verify({{0}}).message(),
            "a placement of 1 experts, expected 2");
  EXPECT_EQ(problem.verify({{0}, {}}).message(), "expert 1 is on no rank");
  EXPECT_EQ(problem.verify({{0}, {2}}).message(), "expert 1 is on rank 2 of 2");
  EXPECT_EQ(problem.verify({{0, 0}, {1}}).message(),
            "the ranks of expert 0 are not rising");
  EXPECT_EQ(problem.verify({{0}, {0}}).message(),
            "one rank holds 2 experts, another 0");
}
