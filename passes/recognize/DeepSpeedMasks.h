//===- DeepSpeedMasks.h - Masks of tokens and experts -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parts of DeepSpeed's gates, from bottom to top: what a token chose, who
// was kept, at which slot, and of what capacity an expert is. Masks are
// compared as what stands before casts and reshapes (stripMask).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_DEEPSPEEDMASKS_H
#define MOE_PASSES_RECOGNIZE_DEEPSPEEDMASKS_H

#include "dialect/moe/MoeOps.h"
#include "runtime/support/DimExpr.h"

#include <optional>

namespace moe::pass {

/// A mask [S, E] of choices.
struct ChosenMask {
  mlir::Value mask;
  /// What the choice was made from: logits or their softmax.
  mlir::Value selection;
  /// The mask of the choice before this one, null for the first.
  mlir::Value except;
  /// [S], null if all tokens are used.
  mlir::Value usedToken;
  /// Ones at the k best by this op; null for the argmax forms.
  dialect::TopKOp topK;
};
/// `mask` must be stripped.
std::optional<ChosenMask> matchChosenMask(mlir::Value mask);

enum class DropForm { None, TopOfMask, SlotBelowCapacity, TopOfScores };

/// A mask after dropping.
struct KeptMask {
  mlir::Value mask;
  /// Before dropping.
  mlir::Value chosen;
  DropForm form = DropForm::None;
  /// The capacity as a value, null where it is a constant; and as a size.
  mlir::Value capacity;
  DimExpr capacitySize = DimExpr(0);
  /// SlotBelowCapacity: the slots that were compared.
  mlir::Value slots;
  /// TopOfScores: the scores scattered to the chosen, [S, E].
  mlir::Value scores;
  bool drawsAtRandom = false;
};
/// `mask` must be stripped.
KeptMask matchKeptMask(mlir::Value mask);

/// True if `slots` [S, E] is the running sum of `counted` over the tokens less
/// one, plus the totals of `before` if that is not null.
bool isRunningSlot(mlir::Value slots, mlir::Value counted, mlir::Value before);

/// How the capacity of an expert was computed.
struct Capacity {
  /// The largest number of tokens of one expert: nothing drops.
  bool isLargestCount = false;
  float factor = 0;
  int64_t minimum = 0;
};
/// `chosen` are the masks before dropping, `sizes` is [S, E]. A null value
/// stands for the constant `size`.
std::optional<Capacity> matchCapacity(mlir::Value value, const DimExpr &size,
                                      llvm::ArrayRef<mlir::Value> chosen,
                                      llvm::ArrayRef<DimExpr> sizes);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_DEEPSPEEDMASKS_H
