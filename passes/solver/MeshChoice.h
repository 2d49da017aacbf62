//===- MeshChoice.h - Which mesh, and how its layers run --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All meshes dp x ep x tp of a number of ranks are weighed. For each, every MoE
// layer takes the form that costs least; then times of a decode step and of a
// prefill, and memory, are added up:
//
//   8 ranks    ep = 8             decode 1.00   prefill 1.00   2.1 GB
//              ep = 4, tp = 2     decode 0.81   prefill 1.12   2.0 GB
//              dp = 2, ep = 4     decode 1.35   prefill 0.98   3.9 GB
//
// Times are relative to the mesh that needs no guess, ep = ranks; it stays
// unless another one is better by a margin.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_SOLVER_MESHCHOICE_H
#define MOE_PASSES_SOLVER_MESHCHOICE_H

#include "passes/solver/ParallelSpec.h"
#include "runtime/cost/Cluster.h"

#include <vector>

namespace moe::solver {

/// One MoE layer: E experts [M] -> [I] -> [N], of which a token chooses k.
struct MoeLayerSummary {
  int64_t experts = 1, k = 1;
  int64_t inputs = 1, inner = 1, outputs = 1;
  /// Multiplications and additions of a row, and bytes of one expert.
  double rowFlops = 0, expertBytes = 0;
};

/// What a mesh must carry beside experts.
struct ModelSummary {
  std::vector<MoeLayerSummary> layers;
  /// Weights that tp divides, and those that every rank has.
  double slicedBytes = 0, wholeBytes = 0;
  /// Tables of which a run reads a few rows; tp divides them.
  double tableBytes = 0;
  /// Of one token, in products that tp divides and in others.
  double slicedFlops = 0, wholeFlops = 0;
  /// Heads that tp may divide; 0: tp stays 1.
  int64_t heads = 0, keyHeads = 0;
  /// Sums over tp in one run, each of `hidden` numbers for a token.
  double reductions = 0;
  int64_t hidden = 1;
  /// Bytes of the caches for one row and token.
  double cacheBytes = 0;
};

/// `rows` rows with `tokens` new tokens each behind `past`.
struct RunShape {
  double rows = 1, tokens = 1, past = 0;
};

struct MeshCandidate {
  MeshDegrees mesh;
  std::vector<LayerForm> forms;
  double decodeSeconds = 0, prefillSeconds = 0;
  /// Of the rank that needs most.
  double memoryBytes = 0;
  /// Weighted times relative to ep = ranks.
  double cost = 0;
  /// Why it was not taken; empty for the chosen one.
  std::string lost;
};

struct MeshSolution {
  MeshCandidate chosen;
  /// The others, cheapest first.
  std::vector<MeshCandidate> others;
};

struct MeshProblem {
  ModelSummary model;
  int64_t numRanks = 1;
  cost::Cluster cluster;
  /// Degrees that are given; 0: free.
  MeshDegrees given;
  /// Forms that are given.
  LayerForms forms;
  /// Ranks on a node; 0: one node.
  int64_t nodeSize = 0;
  bool reduceExact = false;
  /// Bytes that a rank may use; 0: not limited.
  double memoryBytes = 0;
  /// Whether dp is weighed although nobody gave it: it copies experts.
  bool weighsCopies = false;
  RunShape decode, prefill;
  /// Of decode in the cost; the rest is of prefill.
  double decodeShare = 0.5;
  /// What another mesh must be better by than ep = ranks: a part of the cost,
  /// and seconds of decode and prefill in their shares.
  double margin = 0.05;
  double leastGain = 0;

  /// Errors (Usage): no rank, layers without experts, numbers that are negative
  /// or do not fit each other.
  Status check() const;
  /// Errors (Internal): a mesh of another number of ranks or against what is
  /// given, forms that contradict it, more memory than allowed.
  Status verify(const MeshSolution &solution) const;
};

/// The cheapest mesh. Errors: those of check(); Usage if no mesh is possible;
/// OutOfMemory if none fits the memory, naming what would.
StatusOr<MeshSolution> chooseMesh(const MeshProblem &problem);

/// Times and memory of one mesh, whose layers get the forms that cost least.
MeshCandidate weighMesh(const MeshProblem &problem, const MeshDegrees &mesh);

/// "3.2 GiB".
std::string memoryText(double bytes);

} // namespace moe::solver

#endif // MOE_PASSES_SOLVER_MESHCHOICE_H
