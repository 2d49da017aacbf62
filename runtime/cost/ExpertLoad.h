//===- ExpertLoad.h - What a rank has to do for its experts -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expected values when each of T tokens chooses k of E experts at random:
//
//   active experts   U(T) = E (1 - (1 - k / E)^T)
//   rows             T k
//
// Ranks wait for the slowest one, which chance gives more than the mean. Of p
// ranks with mean m and deviation s whose sum is fixed, the largest has about
//
//   m + s g(p) sqrt(p / (p - 1)),  g(p) the mean of the largest of p normals.
//
//   8 experts of 128 on 2 ranks: 4 + 1.37 * 0.56 * 1.41 = 5.1
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_EXPERTLOAD_H
#define MOE_RUNTIME_COST_EXPERTLOAD_H

#include "runtime/plan/Plan_generated.h"

#include <cstdint>
#include <vector>

namespace moe::cost {

/// U(T) above; 0 without tokens.
double activeExperts(double experts, double perToken, double tokens);
/// g(p) sqrt(p / (p - 1)) above; 0 for one rank.
double largestOf(double numRanks);

/// The part of an expert's `units` of intermediate columns that slice `slice`
/// of `slices` has.
double sliceShare(int64_t units, int64_t slice, int64_t slices);

/// Of one rank in one layer. A slice of an expert counts as its part.
struct RankLoad {
  /// Rows that it receives.
  double rows = 0;
  /// Rows of whole experts: what multiplications it does.
  double work = 0;
  /// Whole experts whose weights it reads.
  double experts = 0;
  /// What the slowest of all ranks has more than this one, as factors.
  double workFactor = 1, expertsFactor = 1;

  bool operator==(const RankLoad &) const = default;
};

/// Loads of the ranks of the layer's group, of which rank r sends sentRows[r]
/// rows (choices of tokens). Slices divide `units` of intermediate columns. A
/// layer without places is on one rank.
std::vector<RankLoad> expertLoads(const plan::LayerT &layer,
                                  const std::vector<double> &sentRows,
                                  int64_t units);

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_EXPERTLOAD_H
