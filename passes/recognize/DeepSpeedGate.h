//===- DeepSpeedGate.h - DeepSpeed's gates in tensor arithmetic -*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// DeepSpeed's gates work on masks [S, E]. Each of the k choices of a token is
// one; dropping clears entries, and a running sum numbers what is left of an
// expert's tokens. From the masks a graph makes
//
//   combine[s, e, c] = sum over choices of gate[s, e] * (slot[s] == c)
//
// (dense form), or an expert, a slot and a weight for each choice of a token
// (index form, from 0.19.4 on). Which of the three algorithms a graph holds,
// and who survives an overflow, shows in how the masks were made:
//
//   k = 1   one_hot(argmax(softmax(l))), kept by the top C of the mask itself
//   k = 2   one_hot(argmax(l with -inf at the first)), kept if slot < C
//   k >= 3  ones scattered to the top k, kept by the top C of the scores
//           scattered in the same way, or if slot < C
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_DEEPSPEEDGATE_H
#define MOE_PASSES_RECOGNIZE_DEEPSPEEDGATE_H

#include "passes/recognize/GateMatch.h"

#include <optional>

namespace moe::pass {

struct DeepSpeedGate {
  /// [S, E].
  mlir::Value logits;
  /// [S], 0 for tokens that route nowhere; null if all are used.
  mlir::Value usedToken;
  GateAttrs attrs;
  /// Survivors were drawn at random.
  bool drawsAtRandom = false;
  /// Operations to name as the origin of the gate.
  llvm::SmallVector<mlir::Operation *> ops;
};

/// The gate whose combine tensor [S, E, C] is `combine`.
std::optional<DeepSpeedGate> matchDenseGate(mlir::Value combine);

/// The gate that gave every choice of every token an expert (negative if
/// dropped), a slot and a weight, each [k, S] in row-major order.
std::optional<DeepSpeedGate>
matchIndexGate(mlir::Value experts, mlir::Value slots, mlir::Value weights);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_DEEPSPEEDGATE_H
