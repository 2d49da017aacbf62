//===- ExpertSpread.h - Experts over ranks, evenly --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which ranks hold which expert where nothing is known about loads. Nothing
// needs to divide; numbers of experts on two ranks differ by at most one.
//
//   blocks     E = 8, p = 3   rank 0: 0 1     rank 1: 2 3 4     rank 2: 5 6 7
//              E = 2, p = 5   rank 0: 0       rank 2: 1         others: none
//   replicas   E = 2, p = 5   ranks 0 1 2: 0   ranks 3 4: 1     whole experts
//   slices     E = 2, p = 5   ranks 0 1 2 hold a third of 0 each,
//                             ranks 3 4 a half of 1 each
//
// Slices of one expert lie on consecutive ranks. More experts than ranks can be
// sliced too: ranks then form groups, and a rank holds a slice of each expert
// of its group:
//
//              E = 8, p = 4, two slices: ranks 0 1 hold halves of 0 to 3,
//                                        ranks 2 3 halves of 4 to 7; who has
//                                        the first half changes from expert to
//                                        expert, for halves may differ
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_EXPERTSPREAD_H
#define MOE_PASSES_DISTRIBUTE_EXPERTSPREAD_H

#include <cstdint>
#include <vector>

namespace moe::pass {

/// In the words of #moe.placement, before it knows the context.
struct ExpertSpread {
  /// ranks[e]: replica after replica.
  std::vector<std::vector<int64_t>> ranks;
  /// slices[e]: how many of those make one replica.
  std::vector<int64_t> slices;
  /// Equal blocks of ranks that do not send to each other.
  int64_t domains = 1;

  bool hasSlices() const;
};

/// Each expert on one rank. All take numExperts and numRanks of at least 1.
ExpertSpread spreadInBlocks(int64_t numExperts, int64_t numRanks);

/// Whole experts; each rank holds one if there are fewer experts than ranks,
/// else all, and sends nothing.
ExpertSpread spreadInReplicas(int64_t numExperts, int64_t numRanks);

/// `numSlices` or a few more slices per expert, never more than `maxSlices`;
/// `numSlices` 0: as many as leave each rank one slice, or all ranks if there
/// are as many experts. What ranks are left makes further replicas.
ExpertSpread spreadInSlices(int64_t numExperts, int64_t numRanks,
                            int64_t numSlices, int64_t maxSlices);

/// The same in each of `numBlocks` equal blocks of ranks, side by side.
ExpertSpread repeatInBlocks(const ExpertSpread &block, int64_t numRanks,
                            int64_t numBlocks);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_EXPERTSPREAD_H
