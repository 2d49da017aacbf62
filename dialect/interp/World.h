//===- World.h - The values of all ranks ------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_WORLD_H
#define MOE_DIALECT_INTERP_WORLD_H

#include "dialect/interp/Grid.h"
#include "dialect/interp/Interpreter.h"
#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "llvm/ADT/DenseMap.h"

namespace moe::interp {

using dialect::Dims;
using dialect::HostTensor;
using dialect::Scalar;
using dialect::scalarOf;
using dialect::Shape;
using Results = llvm::SmallVector<HostTensor>;

/// One rank.
struct Frame {
  int64_t rank = 0;
  Grid grid;
  const LocalSymbols *locals = nullptr;
  const WeightSource *weights = nullptr;
  /// Input symbols, this rank's local symbols, the data symbols known so far.
  SymbolValues symbols;
  llvm::DenseMap<mlir::Value, HostTensor> values;

  const HostTensor &get(mlir::Value value) const {
    return values.find(value)->second;
  }
  /// Null for an absent optional operand.
  const HostTensor *find(mlir::Value value) const {
    return value ? &get(value) : nullptr;
  }
  int64_t placeIn(dialect::CommGroup group) const {
    return grid.placeOf(rank, group);
  }
  /// The rank's part of `size` elements that ranks divide as the local symbol
  /// `part` does.
  mlir::FailureOr<Part> partOf(llvm::StringRef part, int64_t size) const;
  /// Values of expressions, or an error at `op`.
  mlir::FailureOr<Shape> evaluate(mlir::Operation *op,
                                  llvm::ArrayRef<DimExpr> dims) const;
  mlir::FailureOr<Shape> shapeOf(mlir::Value result) const;
  /// Stores a result; a size that is a data symbol gives it its value, all
  /// others must be as the type says.
  llvm::LogicalResult store(mlir::OpResult result, HostTensor value);
  /// Stores the results of an operation that is skipped, those without
  /// elements; the data symbols that it defines become 0.
  llvm::LogicalResult skip(mlir::Operation *op);
};

/// The type of a value's elements.
DType dtypeOf(mlir::Value value);
/// Rounds floats to f16 or bf16, where that is the type.
void roundElements(HostTensor &tensor);
/// The block of a weight [.., K, N], transposed [.., N, K], for which
/// arithmetic int8 rounds rows: it has codes in blocks of 32 n rows, of which
/// the rank holds whole ones. Else 0.
int64_t int8BlockOf(mlir::Value weight, bool isTransposed, const Frame &frame);
/// Entries [begin, end) along `axis`.
HostTensor takeRange(const HostTensor &x, int64_t axis, Range range);

//===----------------------------------------------------------------------===//
// The meaning of operations, on one rank
//===----------------------------------------------------------------------===//

#define MOE_LOCAL_OP(OP)                                                       \
  mlir::FailureOr<Results> evaluate(dialect::OP op, const Frame &frame);
#include "dialect/interp/Ops.def"

/// The value of a weight, or an error at `op`.
mlir::FailureOr<HostTensor> evaluateParam(mlir::Operation *op,
                                          dialect::ParamAttr value,
                                          const WeightSource &source);

//===----------------------------------------------------------------------===//
// The meaning of collectives, on all ranks
//===----------------------------------------------------------------------===//

using AllResults = mlir::FailureOr<llvm::SmallVector<Results>>;
/// The ranks of one group, in order of their places.
using Group = llvm::ArrayRef<const Frame *>;

/// The results of each rank of the group.
#define MOE_COLLECTIVE_OP(OP)                                                  \
  AllResults evaluateAll(dialect::OP op, Group group);
#include "dialect/interp/Ops.def"

/// Of a gate whose rows ranks divide: tokens of all of them compete.
AllResults evaluateAll(dialect::GateOp op, Group group);

/// The results of each rank; nothing if `op` is no collective.
std::optional<AllResults> evaluateCollective(mlir::Operation *op,
                                             llvm::ArrayRef<Frame> frames);

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_WORLD_H
