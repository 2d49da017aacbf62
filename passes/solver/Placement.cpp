//===- Placement.cpp - Which ranks hold which expert ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/Placement.h"

#include <algorithm>

using namespace moe;
using namespace moe::solver;

Status PlacementProblem::check() const {
  constexpr int64_t kMost = int64_t(1) << 20;
  if (numExperts < 1 || numExperts > kMost)
    return Status(StatusCode::Usage, std::to_string(numExperts) +
                                         " experts, expected between 1 and " +
                                         std::to_string(kMost));
  if (numRanks < 1 || numRanks > kMost)
    return Status(StatusCode::Usage, std::to_string(numRanks) +
                                         " ranks, expected between 1 and " +
                                         std::to_string(kMost));
  return Status::ok();
}

Status PlacementProblem::verify(const Placement &placement) const {
  if (static_cast<int64_t>(placement.size()) != numExperts)
    return Status(StatusCode::Internal,
                  "a placement of " + std::to_string(placement.size()) +
                      " experts, expected " + std::to_string(numExperts));
  std::vector<int64_t> held(numRanks, 0);
  for (size_t expert = 0; expert < placement.size(); ++expert) {
    const std::vector<int64_t> &ranks = placement[expert];
    std::string name = "expert " + std::to_string(expert);
    if (ranks.empty())
      return Status(StatusCode::Internal, name + " is on no rank");
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (ranks[i] < 0 || ranks[i] >= numRanks)
        return Status(StatusCode::Internal,
                      name + " is on rank " + std::to_string(ranks[i]) +
                          " of " + std::to_string(numRanks));
      if (i > 0 && ranks[i] <= ranks[i - 1])
        return Status(StatusCode::Internal,
                      "the ranks of " + name + " are not rising");
      ++held[ranks[i]];
    }
  }
  auto [least, most] = std::minmax_element(held.begin(), held.end());
  if (*most - *least > 1)
    return Status(StatusCode::Internal,
                  "one rank holds " + std::to_string(*most) +
                      " experts, another " + std::to_string(*least));
  return Status::ok();
}

Placement moe::solver::divideInBlocks(int64_t numExperts, int64_t numRanks) {
  Placement placement(numExperts);
  for (int64_t rank = 0; rank < numRanks; ++rank) {
    if (numExperts < numRanks) {
      placement[rank * numExperts / numRanks].push_back(rank);
      continue;
    }
    int64_t end = (rank + 1) * numExperts / numRanks;
    for (int64_t e = rank * numExperts / numRanks; e < end; ++e)
      placement[e].push_back(rank);
  }
  return placement;
}

StatusOr<Placement>
moe::solver::placeInBlocks(const PlacementProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  return divideInBlocks(problem.numExperts, problem.numRanks);
}
