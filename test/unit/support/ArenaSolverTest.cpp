//===- ArenaSolverTest.cpp - Placement of buffers -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ArenaSolver.h"

#include <gtest/gtest.h>

#include <random>

using namespace moe;

TEST(ArenaSolver, BuffersOfDifferentTimesShareBytes) {
  // The example of the header.
  ArenaProblem problem{{{0, 1, 128}, {1, 2, 64}, {2, 3, 128}}};
  StatusOr<ArenaSolution> solution = solveArena(problem);
  ASSERT_TRUE(solution.isOk());
  EXPECT_TRUE(problem.verify(*solution).isOk());
  EXPECT_EQ(solution->totalBytes, 192u);
  EXPECT_EQ(problem.lowerBound(), 192u);
}

TEST(ArenaSolver, OffsetsAreAligned) {
  ArenaProblem problem{{{0, 0, 1}, {0, 0, 65}, {0, 0, 0}, {0, 0, 3}}};
  StatusOr<ArenaSolution> solution = solveArena(problem);
  ASSERT_TRUE(solution.isOk());
  // 65 bytes take 128, each of the two small ones 64, the empty one nothing.
  EXPECT_EQ(solution->totalBytes, 256u);
  EXPECT_TRUE(problem.verify(*solution).isOk());
}

TEST(ArenaSolver, TakesTheSmallestGapThatFits) {
  // In steps 0..1 the ranges [0, 256) and [320, 512) are free, so the last
  // interval (128 bytes) belongs into the second one.
  ArenaProblem problem{
      {{0, 0, 1024}, {1, 9, 256}, {1, 9, 192}, {2, 9, 64}, {2, 9, 128}}};
  StatusOr<ArenaSolution> solution = solveArena(problem);
  ASSERT_TRUE(solution.isOk());
  EXPECT_TRUE(problem.verify(*solution).isOk());
  EXPECT_EQ(solution->totalBytes, 1024u);
}

TEST(ArenaSolver, RandomProblemsAreSolvedNearTheBound) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    ArenaProblem problem;
    for (int i = 0; i < 100; ++i) {
      int32_t first = static_cast<int32_t>(random() % 100);
      problem.intervals.push_back(
          {first, first + static_cast<int32_t>(random() % 8), random() % 5000});
    }
    StatusOr<ArenaSolution> solution = solveArena(problem);
    ASSERT_TRUE(solution.isOk());
    EXPECT_TRUE(problem.verify(*solution).isOk());
    EXPECT_GE(solution->totalBytes, problem.lowerBound());
    EXPECT_LE(solution->totalBytes, 2 * problem.lowerBound());
  }
}

TEST(ArenaSolver, RefusesBadProblems) {
  EXPECT_EQ(solveArena({{{2, 1, 8}}}).status().code(), StatusCode::Internal);
  EXPECT_EQ(solveArena({{{0, 0, UINT64_MAX}}}).status().code(),
            StatusCode::OutOfMemory);
  EXPECT_EQ(solveArena({{{0, 0, UINT64_MAX / 2}, {0, 0, UINT64_MAX / 2 + 2}}})
                .status()
                .code(),
            StatusCode::OutOfMemory);
}

TEST(ArenaSolver, VerifyFindsWrongSolutions) {
  ArenaProblem problem{{{0, 1, 64}, {1, 2, 64}}};
  EXPECT_TRUE(problem.verify({{0, 64}, 128}).isOk());
  EXPECT_FALSE(problem.verify({{0, 0}, 128}).isOk()) << "shared bytes";
  EXPECT_FALSE(problem.verify({{0, 32}, 128}).isOk()) << "not aligned";
  EXPECT_FALSE(problem.verify({{0, 64}, 127}).isOk()) << "outside";
  EXPECT_FALSE(problem.verify({{0}, 128}).isOk()) << "an offset is missing";
}
