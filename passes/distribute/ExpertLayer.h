//===- ExpertLayer.h - The operations around moe.experts --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_EXPERTLAYER_H
#define MOE_PASSES_DISTRIBUTE_EXPERTLAYER_H

#include "dialect/moe/MoeOps.h"

namespace moe::pass {

/// The dispatch whose rows `experts` computes, through elementwise operations
/// and the exchange; null if they come from elsewhere.
dialect::DispatchOp findDispatch(dialect::ExpertsOp experts);

/// True if each token's choices differ: they are those of a moe.gate.
bool hasDistinctChoices(dialect::DispatchOp dispatch);

/// `size` with the bounds of the function's data symbols in their places.
DimExpr boundOf(mlir::Operation *op, const DimExpr &size);

/// True if `size` holds a number that only values tell.
bool hasDataSymbol(mlir::Operation *op, const DimExpr &size);

/// True if the intermediate dimension can be cut: weights are moe.param.
bool canSlice(dialect::ExpertsOp experts);

/// Concatenated gating becomes split: the halves of w1 and b1 are weights of
/// their own, so that an equal part of each is a slice of the expert. For
/// experts that canSlice; others than concatenated stay.
void splitGating(dialect::ExpertsOp experts);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_EXPERTLAYER_H
