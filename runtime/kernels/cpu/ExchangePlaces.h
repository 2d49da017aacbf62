//===- ExchangePlaces.h - Whose rows go where -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A run is the rows of one sender for one expert that one rank computes, or a
// slice of. Both ends know which runs there are; how many rows each has follows
// from the sender's counts. Rank 1 of 4 sends six rows for expert 0, of which
// ranks 0 and 2 hold replicas, and two for expert 1, in slices on ranks 2 and
// 3:
//
//   expert 0  to rank 2  rows [0, 3)   part 0 of 2: replica (1 + 0) mod 2
//   expert 0  to rank 0  rows [3, 6)   part 1 of 2: replica (1 + 1) mod 2
//   expert 1  to rank 2  rows [6, 8)   slice 0
//   expert 1  to rank 3  rows [6, 8)   slice 1
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_EXCHANGEPLACES_H
#define MOE_RUNTIME_KERNELS_CPU_EXCHANGEPLACES_H

#include "runtime/kernels/Kernel.h"
#include "runtime/plan/Placement.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moe::cpu {

/// An expert, or a slice of it, on a rank.
struct Holding {
  int32_t expert = 0;
  int32_t domain = 0;                ///< whose senders it serves
  int32_t replica = 0, replicas = 1; ///< among those of the domain

  /// Which of a sender's `count` rows for the expert it gets.
  Interval rowsOf(int sender, int64_t count) const {
    DomainReplicas all{0, replicas, 1};
    return partOfWhole(count, all.partFor(sender, replica), replicas);
  }
};

/// Rows of this sender's for one expert on one rank: part `part` of `parts`.
struct Run {
  int32_t expert = 0;
  int32_t target = 0;
  int32_t part = 0, parts = 1;
  int32_t slice = 0, numSlices = 1;
};

/// What a rank needs to know of a placement; as large as the placement and the
/// group, never their product.
class ExchangePlaces {
public:
  /// Of the ranks of spec's group. With `isReplicated`, rank 0 is the only
  /// sender and every rank knows its runs.
  static StatusOr<ExchangePlaces> create(const KernelSpec &spec,
                                         bool isReplicated);

  int rank() const { return theRank; }
  int numRanks() const { return theNumRanks; }
  int64_t numExperts() const { return theNumExperts; }
  /// The largest number of experts on one rank, and of slices of an expert.
  int64_t maxLocal() const { return theMaxLocal; }
  int64_t maxSlices() const { return theMaxSlices; }

  /// What `rank` holds, experts rising.
  std::span<const Holding> holdingsOf(int rank) const {
    return std::span(holdings).subspan(
        firstHolding[rank], firstHolding[rank + 1] - firstHolding[rank]);
  }
  std::span<const Holding> ownHoldings() const { return holdingsOf(theRank); }
  int domainOf(int sender) const {
    return static_cast<int>(static_cast<int64_t>(sender) * numDomains /
                            theNumRanks);
  }
  /// Runs from `sender` to `target`: those of its holdings that serve the
  /// sender's domain.
  int64_t numRuns(int sender, int target) const;

  /// The runs of this sender by expert, part and slice.
  std::span<const Run> runs() const { return theRuns; }
  /// Indices of the runs to `target`, experts rising.
  std::span<const int32_t> runsTo(int target) const {
    return std::span(byTarget).subspan(firstOfTarget[target],
                                       firstOfTarget[target + 1] -
                                           firstOfTarget[target]);
  }

private:
  void setHoldings(const plan::LayerT &layer);
  void setRuns(const plan::LayerT &layer, int sender);

  int theRank = 0, theNumRanks = 1, numDomains = 1;
  int64_t theNumExperts = 0, theMaxLocal = 0, theMaxSlices = 1;
  std::vector<Holding> holdings; // rank after rank
  std::vector<int32_t> firstHolding;
  std::vector<Run> theRuns;
  std::vector<int32_t> byTarget, firstOfTarget;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_EXCHANGEPLACES_H
