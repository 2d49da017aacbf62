//===- PlacementTest.cpp - How places of experts are read -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Placement.h"
#include "TestProgram.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;

static plan::LayerT layerOf(
    const std::vector<std::pair<std::vector<uint32_t>, uint32_t>> &experts) {
  plan::LayerT layer;
  layer.experts = static_cast<int>(experts.size());
  for (const auto &[ranks, slices] : experts) {
    plan::ExpertPlaceT &place = add(layer.places);
    place.ranks = ranks;
    place.slices = slices;
  }
  return layer;
}

TEST(Placement, ExpertsOfARankAscend) {
  plan::LayerT layer = layerOf({{{0, 1}, 1}, {{0}, 1}, {{1}, 1}, {{1}, 1}});
  EXPECT_EQ(expertsOf(layer, 1), (std::vector<int>{0, 2, 3}));
  layer.places.clear();
  EXPECT_EQ(expertsOf(layer, 0), (std::vector<int>{0, 1, 2, 3}));
}

TEST(Placement, SlicesCountWithinTheirReplica) {
  plan::LayerT layer = layerOf({{{2}, 1}, {{1, 2, 5, 3}, 2}});
  EXPECT_EQ(localExperts(layer, 2),
            (std::vector<LocalExpert>{{0, 0, 1}, {1, 1, 2}}));
  EXPECT_EQ(localExperts(layer, 5), (std::vector<LocalExpert>{{1, 0, 2}}));
  EXPECT_TRUE(localExperts(layer, 4).empty());
}

namespace {
/// A share with its ranks copied.
struct Copied {
  std::vector<uint32_t> ranks;
  int64_t begin, end;
  bool operator==(const Copied &other) const = default;
};
void PrintTo(const Copied &share, std::ostream *stream) {
  for (uint32_t rank : share.ranks)
    *stream << rank << " ";
  *stream << "[" << share.begin << ", " << share.end << ")";
}
} // namespace

static std::vector<Copied> shares(const plan::LayerT &layer, int expert,
                                  int sender, int numRanks, int64_t count) {
  std::vector<Copied> result;
  for (const Share &share : sharesOf(layer, expert, sender, numRanks, count))
    result.push_back(
        {{share.ranks.begin(), share.ranks.end()}, share.begin, share.end});
  return result;
}

TEST(Placement, ReplicasGetPartsOfTheRows) {
  plan::LayerT layer = layerOf({{{0, 2, 3}, 1}});
  // Replica (4 + i) mod 3 gets part i of seven rows.
  EXPECT_EQ(shares(layer, 0, 4, 6, 7),
            (std::vector<Copied>{{{2}, 0, 2}, {{3}, 2, 4}, {{0}, 4, 7}}));
}

TEST(Placement, SendersUseTheirDomain) {
  plan::LayerT layer = layerOf({{{1, 2, 5, 6}, 2}, {{0, 3, 4, 7}, 1}});
  layer.domains = 2;
  EXPECT_EQ(shares(layer, 0, 3, 8, 5), (std::vector<Copied>{{{1, 2}, 0, 5}}));
  EXPECT_EQ(shares(layer, 0, 4, 8, 5), (std::vector<Copied>{{{5, 6}, 0, 5}}));
  EXPECT_EQ(shares(layer, 1, 5, 8, 5),
            (std::vector<Copied>{{{7}, 0, 2}, {{4}, 2, 5}}));
}

TEST(Placement, PartsAndReplicasAreInverse) {
  DomainReplicas replicas{0, 5, 1};
  for (int sender = 0; sender < 12; ++sender)
    for (int part = 0; part < 5; ++part)
      EXPECT_EQ(replicas.partFor(sender, replicas.replicaFor(sender, part)),
                part);
}

TEST(Placement, SlicesAreWholeUnits) {
  // 72 elements are five units of 16, the last of 8.
  EXPECT_EQ(sliceOf(72, 16, 0, 2), (Interval{0, 32}));
  EXPECT_EQ(sliceOf(72, 16, 1, 2), (Interval{32, 72}));
  EXPECT_EQ(sliceOf(72, 16, 0, 6), (Interval{0, 0}));
  EXPECT_EQ(sliceOf(72, 16, 5, 6), (Interval{64, 72}));
  EXPECT_EQ(sliceOf(INT64_MAX, 16, 65535, 65536).end, INT64_MAX);
}
