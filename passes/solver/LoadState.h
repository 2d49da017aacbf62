//===- LoadState.h - A placement and the times of its ranks -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to the search for a placement by load. Every change of a placement is
// a list of replicas that come and go; a trial computes the times of the ranks
// that it touches and nothing else.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_SOLVER_LOADSTATE_H
#define MOE_PASSES_SOLVER_LOADSTATE_H

#include "passes/solver/LoadPlacement.h"

#include <algorithm>
#include <cmath>

namespace moe::solver {

/// One replica comes to a rank or leaves it.
struct Change {
  int64_t expert = 0;
  int64_t rank = 0;
  bool comes = true;
};

/// A placement with the times of its ranks.
class LoadState {
public:
  explicit LoadState(const LoadProblem &problem)
      : problem(problem), ranksOf(problem.numExperts()),
        expertsOn(problem.numRanks()), seconds(problem.numRanks(), 0.0) {}

  int64_t numExperts() const { return problem.numExperts(); }
  int64_t numRanks() const { return problem.numRanks(); }
  int64_t numReplicas(int64_t e) const {
    return static_cast<int64_t>(ranksOf[e].size());
  }
  bool holds(int64_t r, int64_t e) const {
    return std::binary_search(ranksOf[e].begin(), ranksOf[e].end(), r);
  }
  bool hasRoom(int64_t r) const {
    return static_cast<int64_t>(expertsOn[r].size()) < problem.ranks[r].slots;
  }
  /// Time of one of `replicas` replicas of e on rank r.
  double price(int64_t e, int64_t replicas, int64_t r) const {
    double count = static_cast<double>(replicas);
    return problem.prefillShare * problem.prefillRows[e] / count *
               problem.ranks[r].secondsPerRow +
           (1 - problem.prefillShare) *
               -std::expm1(-problem.decodeRows[e] / count) *
               problem.ranks[r].secondsPerRead;
  }
  int64_t slowest() const {
    return std::max_element(seconds.begin(), seconds.end()) - seconds.begin();
  }
  double peak() const { return seconds[slowest()]; }

  /// A rank must not hold what comes, and must hold what leaves.
  void apply(std::span<const Change> changes);
  /// The largest time among the ranks that `changes` touch, after them.
  double peakAfter(std::span<const Change> changes);

  const LoadProblem &problem;
  Placement ranksOf;
  /// By rank, in any order.
  std::vector<std::vector<int64_t>> expertsOn;
  /// By rank.
  std::vector<double> seconds;

private:
  void setReplicas(int64_t e, double sign);
  std::vector<std::pair<int64_t, double>> touched;
};

/// The greedy scheme: the most expensive experts get `extra` more replicas,
/// then all are packed by decreasing price.
LoadState packByPrice(const LoadProblem &problem, int64_t extra);
/// Slots that are left when each expert has one.
int64_t numSpareSlots(const LoadProblem &problem);

} // namespace moe::solver

#endif // MOE_PASSES_SOLVER_LOADSTATE_H
