//===- MoeTypes.h - Tensor types with symbolic dimensions -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How a tensor type carries expressions for its dimensions:
//
//   tensor<4x128xf32>                                     static: no encoding
//   tensor<?x128xf32, #moe.dims<batch * seq, 128>>        anything else
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOETYPES_H
#define MOE_DIALECT_MOE_MOETYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "runtime/support/DType.h"
#include "runtime/support/DimExpr.h"
#include "llvm/ADT/SmallVector.h"

namespace moe::dialect {

using Dims = llvm::SmallVector<DimExpr>;

/// The type of `value`, which must be a ranked tensor.
mlir::RankedTensorType getTensorType(mlir::Value value);
/// The type with these dimensions; the encoding is there iff one of them is not
/// a constant.
mlir::RankedTensorType getTensorType(mlir::Type elementType,
                                     llvm::ArrayRef<DimExpr> dims);
mlir::RankedTensorType withElementType(mlir::RankedTensorType type,
                                       mlir::Type elementType);

/// True if every dimension has an expression.
bool isSized(mlir::RankedTensorType type);
/// The dimensions; one without expression (see isSized) is the symbol
/// "unsized".
Dims getDims(mlir::RankedTensorType type);
Dims getDims(mlir::Value value);
DimExpr getDim(mlir::RankedTensorType type, unsigned i);
DimExpr getDim(mlir::Value value, unsigned i);

/// The product of all dimensions; 1 for none.
DimExpr product(llvm::ArrayRef<DimExpr> dims);
/// The values if all dimensions are constants.
std::optional<llvm::SmallVector<int64_t>>
constantDims(llvm::ArrayRef<DimExpr> dims);
/// "[batch, 4]".
std::string toString(llvm::ArrayRef<DimExpr> dims);

/// Aligned at the right, 1 stretches; fails for two other, different
/// expressions.
mlir::FailureOr<Dims> broadcastDims(llvm::ArrayRef<DimExpr> a,
                                    llvm::ArrayRef<DimExpr> b);
/// True if `from` broadcasts to exactly `to`.
bool broadcastsTo(llvm::ArrayRef<DimExpr> from, llvm::ArrayRef<DimExpr> to);

/// The plan format's name of an element type, if it has one: i1 is Bool,
/// signless integers are signed, ui8 and the like are unsigned.
std::optional<DType> toDType(mlir::Type elementType);
mlir::Type fromDType(mlir::MLIRContext *context, DType dtype);
/// i1 excluded.
bool isInteger(mlir::Type elementType);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_MOETYPES_H
