//===- Match.h - Small questions that patterns ask about values -*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every function looks through what does not change the answer: the order of
// commutative operands, reshapes of scalars, casts of constants.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_MATCH_H
#define MOE_PASSES_RECOGNIZE_MATCH_H

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// The value of every element of `value`, if it is a known one.
std::optional<double> getScalar(mlir::Value value);
/// True if every element is `expected` up to a relative error of 1e-5.
bool isScalar(mlir::Value value, double expected);
bool isAbout(double value, double expected);
/// All elements of an integer constant, in row-major order.
std::optional<llvm::SmallVector<int64_t>> getIntegers(mlir::Value value);
/// Minus infinity, or so low that the softmax of it is zero beside any score
/// that a model computes: at most -1e30.
bool isHidingFill(double value);

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

struct ValuePair {
  mlir::Value a, b;
};
/// lhs and rhs if `value` is this binary operation.
std::optional<ValuePair> matchBinary(mlir::Value value,
                                     dialect::BinaryKind kind);

struct ValueAndScalar {
  mlir::Value value;
  double scalar;
};
/// x and c if `value` is x (kind) c with a constant c; for commutative kinds
/// also c (kind) x.
std::optional<ValueAndScalar> matchWithScalar(mlir::Value value,
                                              dialect::BinaryKind kind);
/// x and c if `value` is x * c or x / (1 / c).
std::optional<ValueAndScalar> matchScaled(mlir::Value value);

/// The operand if `value` is this unary operation, else null.
mlir::Value matchUnary(mlir::Value value, dialect::UnaryKind kind);
/// x if `value` is x reduced over its last axis.
mlir::Value matchReduceLast(mlir::Value value, dialect::ReduceKind kind);

/// The operand if `value` is `value` = a op b or b op a with `known` as the
/// other one, else null.
mlir::Value matchOther(mlir::Value value, dialect::BinaryKind kind,
                       mlir::Value known);

//===----------------------------------------------------------------------===//
// Chains
//===----------------------------------------------------------------------===//

/// What stands before any reshapes.
mlir::Value stripReshapes(mlir::Value value);
/// What stands before any reshapes and casts.
mlir::Value stripReshapesAndCasts(mlir::Value value);
/// What stands before any reshapes, broadcasts and casts.
mlir::Value stripViewsAndCasts(mlir::Value value);
/// What stands before any casts.
mlir::Value stripCasts(mlir::Value value);

/// A mask is a tensor of 0 and 1 of any type. What stands before casts,
/// reshapes and comparisons that keep it the same mask.
mlir::Value stripMask(mlir::Value value);

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// `value` itself if it has these dimensions.
mlir::Value reshapeTo(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value, llvm::ArrayRef<DimExpr> dims);
/// `value` itself if it has this element type.
mlir::Value castTo(mlir::OpBuilder &builder, mlir::Location loc,
                   mlir::Value value, mlir::Type elementType);
/// Reshapes and casts to `type`.
mlir::Value convertTo(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value, mlir::RankedTensorType type);

/// Erases operations of `root` whose results nobody uses, uses first.
void eraseDeadOps(mlir::Operation *root);

/// The places in the model that `ops` came from, each once, in order.
mlir::Location fuseLocations(mlir::MLIRContext *context,
                             llvm::ArrayRef<mlir::Operation *> ops);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_MATCH_H
