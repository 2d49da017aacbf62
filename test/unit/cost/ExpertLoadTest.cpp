//===- ExpertLoadTest.cpp - What a rank has to do for its experts ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/ExpertLoad.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace moe;
using namespace moe::cost;

namespace {

plan::LayerT layerOf(int experts, int k,
                     std::vector<std::vector<uint32_t>> ranks, int slices = 1) {
  plan::LayerT layer;
  layer.experts = experts;
  layer.k = k;
  for (std::vector<uint32_t> &each : ranks) {
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
    layer.places.back()->ranks = std::move(each);
    layer.places.back()->slices = slices;
  }
  return layer;
}

double sum(const std::vector<RankLoad> &loads, double RankLoad::*member) {
  return std::accumulate(
      loads.begin(), loads.end(), 0.0,
      [&](double all, const RankLoad &load) { return all + load.*member; });
}

} // namespace

TEST(ExpertLoad, CountsDistinctExperts) {
  EXPECT_DOUBLE_EQ(activeExperts(128, 8, 1), 8);
  // 128 (1 - (120 / 128)^16) = 82.4
  EXPECT_NEAR(activeExperts(128, 8, 16), 82.4, 0.1);
  EXPECT_NEAR(activeExperts(128, 8, 1e6), 128, 1e-9);
  EXPECT_EQ(activeExperts(128, 8, 0), 0);
}

TEST(ExpertLoad, LargestOfTwoIsHalfTheirDistance) {
  // Of two numbers +x and -x the largest is |x|, whose mean is 0.8 deviations.
  EXPECT_NEAR(largestOf(2), 0.8, 0.05);
  EXPECT_EQ(largestOf(1), 0);
  EXPECT_GT(largestOf(4096), largestOf(64));
}

TEST(ExpertLoad, SpreadsRowsEvenly) {
  // 10 + 6 rows, 4 experts: 4 rows for each.
  auto loads = expertLoads(layerOf(4, 2, {{0}, {0}, {0}, {1}}), {10, 6}, 4);
  EXPECT_DOUBLE_EQ(loads[0].rows, 12);
  EXPECT_DOUBLE_EQ(loads[1].rows, 4);
  EXPECT_DOUBLE_EQ(loads[0].work, 12);
  // 8 tokens leave an expert out with (1 - 2/4)^8.
  EXPECT_NEAR(loads[1].experts, 1 - 1 / 256.0, 1e-12);
}

TEST(ExpertLoad, SlicesGetAllRowsAndPartOfTheWork) {
  // Of 3 units one for slice 0, two for slice 1.
  EXPECT_DOUBLE_EQ(sliceShare(3, 0, 2), 1 / 3.0);
  EXPECT_DOUBLE_EQ(sliceShare(3, 1, 2), 2 / 3.0);
  auto loads = expertLoads(layerOf(1, 1, {{0, 1}}, 2), {6, 0}, 3);
  EXPECT_DOUBLE_EQ(loads[0].rows, 6);
  EXPECT_DOUBLE_EQ(loads[1].rows, 6);
  EXPECT_DOUBLE_EQ(loads[0].work, 2);
  EXPECT_DOUBLE_EQ(loads[1].work, 4);
}

TEST(ExpertLoad, ReplicasShareTheRows) {
  auto loads = expertLoads(layerOf(2, 1, {{0, 1, 2}, {3}}), {4, 4, 2, 2}, 1);
  EXPECT_DOUBLE_EQ(loads[0].rows, 2);
  EXPECT_DOUBLE_EQ(loads[3].rows, 6);
  EXPECT_NEAR(sum(loads, &RankLoad::work), 12, 1e-12);
}

TEST(ExpertLoad, DomainsKeepTheirRows) {
  plan::LayerT layer = layerOf(2, 1, {{0, 2}, {1, 3}});
  layer.domains = 2;
  auto loads = expertLoads(layer, {8, 0, 2, 0}, 1);
  EXPECT_DOUBLE_EQ(loads[0].rows, 4);
  EXPECT_DOUBLE_EQ(loads[1].rows, 4);
  EXPECT_DOUBLE_EQ(loads[2].rows, 1);
  EXPECT_DOUBLE_EQ(loads[3].rows, 1);
}

TEST(ExpertLoad, ChanceGivesTheSlowestRankMore) {
  std::vector<std::vector<uint32_t>> places;
  for (uint32_t expert = 0; expert < 128; ++expert)
    places.push_back({expert / 64});
  // One token chooses 8 experts: 4 on each rank, on the fuller one 5.1.
  auto loads = expertLoads(layerOf(128, 8, places), {8, 0}, 48);
  EXPECT_NEAR(loads[0].experts, 4, 1e-9);
  EXPECT_NEAR(loads[0].experts * loads[0].expertsFactor, 5.1, 0.1);
  // Many tokens need all experts of both.
  loads = expertLoads(layerOf(128, 8, places), {1e6, 1e6}, 48);
  EXPECT_NEAR(loads[0].expertsFactor, 1, 1e-3);
  EXPECT_NEAR(loads[0].workFactor, 1, 1e-2);
}

TEST(ExpertLoad, NothingIsSentWhereNobodyHasTokens) {
  auto loads = expertLoads(layerOf(2, 1, {{0}, {1}}), {0, 0}, 1);
  EXPECT_EQ(sum(loads, &RankLoad::rows), 0);
  EXPECT_EQ(sum(loads, &RankLoad::experts), 0);
}
