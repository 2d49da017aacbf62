//===- WeightReaders.h - Products and the weights they read -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_QUANTIZE_WEIGHTREADERS_H
#define MOE_PASSES_QUANTIZE_WEIGHTREADERS_H

#include "dialect/moe/MoeOps.h"

namespace moe::pass {

/// A weight of a product, as its operation reads it.
struct ReadWeight {
  mlir::OpOperand *operand = nullptr;
  /// w1, w2, w3; empty for the one weight of a moe.matmul.
  llvm::StringRef role;
  /// The weight as [.., K, N].
  dialect::ParamAttr value;
  /// The operand is [N, K].
  bool isTransposed = false;

  dialect::ParamOp param() const {
    return operand->get().getDefiningOp<dialect::ParamOp>();
  }
};

/// The matrices of floats that `op`, a moe.matmul, moe.ffn or moe.experts,
/// reads as weights; none for other operations.
llvm::SmallVector<ReadWeight> weightsOf(mlir::Operation *op);

/// Float for operations that are no such products.
dialect::Arithmetic arithmeticOf(mlir::Operation *op);

/// Whether rows can be rounded to 8 bits for a product with this weight: it has
/// codes in blocks of a multiple of 32.
bool suitsInt8(dialect::ParamAttr weight);

/// Whether a router reads the result of the product, changed at most element
/// by element.
bool isRouterProduct(mlir::Operation *op);

/// The node an operation was made from; empty if that is not known.
llvm::StringRef nodeNameOf(mlir::Operation *op);

} // namespace moe::pass

#endif // MOE_PASSES_QUANTIZE_WEIGHTREADERS_H
