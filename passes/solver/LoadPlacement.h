//===- LoadPlacement.h - Experts where their load is shared -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Routers do not choose experts equally often. Given how often they do, this
// places experts, and replicas of hot ones, so that the slowest rank is as fast
// as can be. Rows of an expert with c replicas are shared evenly between them:
//
//   rows 8 4 2 2 on two ranks of three slots
//   blocks   rank 0: 8 + 4 = 12     rank 1: 2 + 2 = 4
//   here     rank 0: 8/2 + 4 = 8    rank 1: 8/2 + 2 + 2 = 8
//
// A rank's time has two parts. A large batch is bound by arithmetic: rows. A
// decode step is bound by reading the weights of each expert that any of its
// few rows has chosen; with a rows expected and c replicas, a replica is read
// with probability 1 - exp(-a / c).
//
// Method: replicate the most expensive expert until slots are used, pack by
// decreasing price (both as in the greedy scheme of DeepSeek's EPLB), then
// improve by moving, swapping, adding and dropping replicas of the slowest
// rank, restarted from disturbed solutions; at last, without making the slowest
// rank slower than `slack` allows, trade places so that experts that are chosen
// together share a rank and few weights move.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_SOLVER_LOADPLACEMENT_H
#define MOE_PASSES_SOLVER_LOADPLACEMENT_H

#include "passes/solver/Placement.h"

#include <span>

namespace moe::solver {

/// How fast a rank is and what it can hold.
struct RankCapacity {
  double secondsPerRow = 1;  ///< of an expert's FFN on one row
  double secondsPerRead = 1; ///< of one expert's weights from memory
  int64_t slots = 1;         ///< experts that its memory budget has room for
};

/// Experts a and b, chosen together by `rows` rows of a step.
struct CoActivation {
  int64_t a = 0;
  int64_t b = 0;
  double rows = 0;
};

struct LoadProblem {
  std::vector<double> prefillRows; ///< [E] rows of a prefill step
  std::vector<double> decodeRows;  ///< [E] rows of a decode step
  std::vector<RankCapacity> ranks;
  /// What a rank's time counts: of a prefill step this share, of a decode step
  /// the rest.
  double prefillShare = 1;
  /// Seconds that a row saves whose two experts share a rank.
  double secondsPerPair = 0;
  std::vector<CoActivation> pairs;
  /// What is loaded now (empty: nothing), and the seconds that one expert
  /// costs to move, spread over the steps until the next placement.
  Placement previous;
  double secondsPerMove = 0;
  /// Part of the slowest rank's time that may be given up for pairs and moves.
  double slack = 0.01;
  /// Placements that are tried at most; the result depends on nothing else.
  int64_t maxTrials = 4'000'000;

  int64_t numExperts() const {
    return static_cast<int64_t>(prefillRows.size());
  }
  int64_t numRanks() const { return static_cast<int64_t>(ranks.size()); }

  /// Errors (Usage): no expert or rank, loads or speeds that are no finite
  /// numbers >= 0, too few slots, pairs or a previous placement out of range.
  Status check() const;
  /// Errors (Internal): an expert on no rank, twice on one or on an unknown
  /// one, a rank with more experts than slots.
  Status verify(const Placement &placement) const;

  /// Time of each rank.
  std::vector<double> rankSeconds(const Placement &placement) const;
  /// Rows whose two experts share a rank, by the even spread over replicas.
  double sharedPairRows(const Placement &placement) const;
  /// Experts (replicas counted) that a rank holds and did not before.
  int64_t numMoves(const Placement &placement) const;
};

/// The slowest rank's time over the mean.
double imbalance(std::span<const double> rankSeconds);

/// The greedy scheme alone, to compare with. Errors: those of check().
StatusOr<Placement> replicateAndPack(const LoadProblem &problem);
/// The whole method. Errors: those of check().
StatusOr<Placement> placeByLoad(const LoadProblem &problem);

} // namespace moe::solver

#endif // MOE_PASSES_SOLVER_LOADPLACEMENT_H
