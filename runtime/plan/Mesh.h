//===- Mesh.h - The mesh of ranks and its groups ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// dp x ep x tp ranks. Rank (o, t) has number o * tp + t, where o counts the
// dp * ep owners of rows and t the slices of tensors:
//
//   dp = 1, ep = 2, tp = 2     o = 0: ranks 0 1     o = 1: ranks 2 3
//
//   rows    ranks of equal t: 0 2 and 1 3
//   tp      ranks of equal o: 0 1 and 2 3
//   world   0 1 2 3
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_MESH_H
#define MOE_RUNTIME_PLAN_MESH_H

#include "runtime/plan/Plan_generated.h"

namespace moe {

struct Mesh {
  int numRanks = 1;
  int dp = 1;
  int tp = 1;

  /// Of a program that passed verifyProgram.
  static Mesh of(const plan::ProgramT &program) {
    return {static_cast<int>(program.num_ranks), static_cast<int>(program.dp),
            static_cast<int>(program.tp)};
  }
  int ep() const { return numRanks / (dp * tp); }

  /// Ranks in a group of this kind.
  int sizeOf(plan::Group group) const {
    if (group == plan::Group_Rows)
      return numRanks / tp;
    return group == plan::Group_Tp ? tp : numRanks;
  }
  /// The place of `rank` in its group.
  int placeOf(int rank, plan::Group group) const {
    if (group == plan::Group_Rows)
      return rank / tp;
    return group == plan::Group_Tp ? rank % tp : rank;
  }
  /// Numbers the groups of a kind: equal for the members of one.
  int colorOf(int rank, plan::Group group) const {
    if (group == plan::Group_Rows)
      return rank % tp;
    return group == plan::Group_Tp ? rank / tp : 0;
  }
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_MESH_H
