//===- DeepSpeedTerms.h - The choices of a DeepSpeed gate -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One term is one choice of every token, or for k >= 3 all choices at once:
// its mask, its weight, and the slot in the expert that it was put to.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_DEEPSPEEDTERMS_H
#define MOE_PASSES_RECOGNIZE_DEEPSPEEDTERMS_H

#include "passes/recognize/DeepSpeedMasks.h"
#include "passes/recognize/Match.h"

namespace moe::pass {

struct GateTerm {
  /// softmax(logits) [S, E].
  mlir::Value probs;
  KeptMask kept;
  ChosenMask chosen;
  /// What the weight was divided by, null if by nothing.
  mlir::Value denominator;
  /// The running number [S, E] that gives the slot where kept is 1.
  mlir::Value running;
  /// The number of slots that the buffers of the experts have: as a value,
  /// null for a constant, and as a size.
  mlir::Value capacity;
  DimExpr capacitySize = DimExpr(0);
};

/// gates[s, e] * one_hot(slot)[s, (e,) c], a summand of a combine tensor.
std::optional<GateTerm> matchCombineTerm(mlir::Value value);

/// weight [S] and slot [S] of one choice.
std::optional<GateTerm> matchRouteTerm(mlir::Value weight, mlir::Value slot);

/// The [S, E] weights of all choices, and their running numbers.
std::optional<GateTerm> matchMaskedTerm(mlir::Value gates, mlir::Value running);

/// probs * mask in either order.
bool matchMaskedProbs(ValuePair pair, GateTerm &term);

/// a and b of sum over e of a[s, e] * b[s, e], as a reduction or a product.
std::optional<ValuePair> matchRowDot(mlir::Value value);

/// The values that `value` adds up, before casts and reshapes.
void collectSummands(mlir::Value value,
                     llvm::SmallVectorImpl<mlir::Value> &summands);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_DEEPSPEEDTERMS_H
