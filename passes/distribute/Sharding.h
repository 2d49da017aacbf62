//===- Sharding.h - How a value lies on the ranks ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every value of a distributed function is one of three things:
//
//   replicated   every rank has all of it;
//   sharded      one axis is divided: of batch * m elements there, a rank has
//                the batch.local * m of its rows. Row b of the batch is the
//                elements [b * m, (b + 1) * m) of the axis;
//   ragged       rows of tokens grouped by expert, as moe.dispatch and
//                moe.experts give them; each rank has its own number.
//
// A rule looks at one operation and how its operands lie, and says how they
// should lie and how its results then do. What a rule cannot keep apart by rows
// it asks for replicated. Example, with batch over ranks:
//
//   matmul [batch * seq, 112] x [112, 448]   lhs sharded on 0, rhs replicated
//                                            -> result sharded on 0
//   reduce over axis 0 of [batch, 8]         x replicated -> result replicated
//
// Where tensors are sliced, several ranks have the same rows: they divide the
// tokens of an MoE layer between them, a part of a part (Part::outer).
//
// Rules see the types before distribution, so sizes are those of the whole.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_SHARDING_H
#define MOE_PASSES_DISTRIBUTE_SHARDING_H

#include "dialect/moe/MoeAttrs.h"
#include "runtime/support/DimExpr.h"

#include "mlir/IR/Operation.h"

#include <optional>
#include <string>

namespace moe::pass {

using dialect::kMesh;

/// What ranks divide: `symbol` stands for a rank's part of `whole`, or where
/// `outer` is divided first, for its part of what it has of that.
struct Part {
  std::string symbol;
  DimExpr whole;
  dialect::CommGroup group = dialect::CommGroup::Rows;
  const Part *outer = nullptr;

  /// `whole` in the sizes of `outer`: what the ranks of `group` divide.
  DimExpr divided() const {
    if (!outer)
      return whole;
    return *DimExpr::divideExactly(whole, outer->whole) *
           DimExpr::symbol(outer->symbol);
  }
};

struct Sharding {
  const Part *part = nullptr;
  int axis = -1;
  bool ragged = false;

  static Sharding replicated() { return {}; }
  bool isReplicated() const { return !part && !ragged; }
  bool isSharded() const { return part != nullptr; }
  /// Divided as this, on another axis.
  Sharding at(int newAxis) const { return {part, newAxis, false}; }
  bool operator==(const Sharding &other) const {
    return part == other.part && axis == other.axis && ragged == other.ragged;
  }
  bool operator!=(const Sharding &other) const { return !(*this == other); }
};

/// How operands should lie, absent optional ones left out as in
/// Operation::getOperands, and how results do.
struct OpSharding {
  llvm::SmallVector<Sharding> operands;
  llvm::SmallVector<Sharding> results;
};

/// All replicated: always right.
OpSharding replicateAll(mlir::Operation *op);

/// The rule of `op`, whose operands lie as `operands` says.
OpSharding chooseSharding(mlir::Operation *op,
                          llvm::ArrayRef<Sharding> operands);

/// The rules of operations that move elements, or nothing for others.
std::optional<OpSharding>
chooseMovingSharding(mlir::Operation *op, llvm::ArrayRef<Sharding> operands);

/// Operands and results aligned at the right, as broadcasting does; nothing if
/// there is no sharded operand, or none that results can follow.
std::optional<OpSharding>
chooseBroadcastSharding(mlir::Operation *op, llvm::ArrayRef<Sharding> operands);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_SHARDING_H
