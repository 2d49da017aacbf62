//===- Placement.h - Which experts a rank holds -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How plan::Layer::places are read. Ranks count in the layer's group, of
// `numRanks`; the ranks of an expert are replica after replica, each of as many
// as it has slices. With two domains of three ranks:
//
//   expert 0   ranks 0 | 1 | 3 | 4       four replicas, two in each domain
//   expert 1   ranks 1 2 | 4 5           two slices, one replica in each domain
//
//   rank 4 sends n rows for expert 0: the domain's replicas 0 and 1 are on
//   ranks 3 and 4; (4 + 0) mod 2 gets rows [0, n / 2), the other one the rest
//
// All functions expect what verifyProgram has checked.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PLACEMENT_H
#define MOE_RUNTIME_PLAN_PLACEMENT_H

#include <cstdint>
#include <span>
#include <vector>

namespace moe::plan {
struct LayerT;
struct ExpertPlaceT;
} // namespace moe::plan

namespace moe {

/// The elements [begin, end) of a dimension.
struct Interval {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
  bool operator==(const Interval &other) const = default;
};

/// Part `part` of `parts` of n: [floor(part * n / parts), floor((part + 1) * n
/// / parts)).
Interval partOfWhole(int64_t n, int64_t part, int64_t parts);

/// Slice `slice` of `numSlices` of a dimension of `size` elements, in whole
/// units of `unit`, of which the last may be smaller.
Interval sliceOf(int64_t size, int64_t unit, int64_t slice, int64_t numSlices);

/// Slice `slice` of `numSlices` of an expert.
struct LocalExpert {
  int expert = 0;
  int slice = 0;
  int numSlices = 1;

  bool operator==(const LocalExpert &other) const = default;
};

/// What the rank at `place` of the layer's group holds, experts rising: the
/// order of the blocks of its expert parameters. A layer without places is held
/// whole.
std::vector<LocalExpert> localExperts(const plan::LayerT &layer, int place);

/// The experts of these, without their slices.
std::vector<int> expertsOf(const plan::LayerT &layer, int place);

/// The replicas that serve one domain.
struct DomainReplicas {
  int first = 0; ///< number of the first one among all of the expert
  int count = 1;
  int numSlices = 1;

  /// Which of the `count` parts of a sender's rows go to replica `first +
  /// replica`.
  int partFor(int sender, int replica) const {
    int part = (replica - sender % count) % count;
    return part < 0 ? part + count : part;
  }
  /// The replica, counted from `first`, that gets part `part`.
  int replicaFor(int sender, int part) const { return (sender + part) % count; }
};
DomainReplicas replicasOf(const plan::LayerT &layer, int expert, int domain);

/// The block of ranks that `place` belongs to.
int domainOf(const plan::LayerT &layer, int place, int numRanks);

/// Rows [begin, end) of a sender's rows for an expert, and the ranks that
/// compute them: one for each slice.
struct Share {
  std::span<const uint32_t> ranks;
  int64_t begin = 0, end = 0;
};
/// How `sender` spreads its `count` rows for `expert`.
std::vector<Share> sharesOf(const plan::LayerT &layer, int expert, int sender,
                            int numRanks, int64_t count);

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PLACEMENT_H
