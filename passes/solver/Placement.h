//===- Placement.h - Which ranks hold which expert --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// E experts over p ranks, in block order as DeepSpeed does (expert g lives on
// expert-rank g / (E / ep)), also where it does not divide:
//
//   E = 8, p = 3   rank 0: 0 1      rank 1: 2 3 4     rank 2: 5 6 7
//   E = 2, p = 5   rank 0, 1, 2: 0  rank 3, 4: 1
//
// Numbers per rank differ by at most one. With fewer experts than ranks each
// rank holds one whole expert, and replicas share its tokens.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_SOLVER_PLACEMENT_H
#define MOE_PASSES_SOLVER_PLACEMENT_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <vector>

namespace moe::solver {

/// ranksOf[e]: the ranks that hold expert e, rising.
using Placement = std::vector<std::vector<int64_t>>;

struct PlacementProblem {
  int64_t numExperts = 0;
  int64_t numRanks = 1;

  /// Errors (Usage): no expert, no rank, or more than 2^20 of either.
  Status check() const;
  /// Errors (Internal): an expert on no rank or twice on one, an unknown rank,
  /// numbers of experts per rank that differ by more than one.
  Status verify(const Placement &placement) const;
};

/// The placement in block order of at least one expert on at least one rank.
Placement divideInBlocks(int64_t numExperts, int64_t numRanks);
/// The same for a problem that nobody has checked. Errors: those of check().
StatusOr<Placement> placeInBlocks(const PlacementProblem &problem);

} // namespace moe::solver

#endif // MOE_PASSES_SOLVER_PLACEMENT_H
