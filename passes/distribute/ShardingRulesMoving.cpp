//===- ShardingRulesMoving.cpp - Rules of operations that move ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/Sharding.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

using Rule = std::optional<OpSharding>;

static int rankOf(Value value) { return getTensorType(value).getRank(); }

/// First operand on its axis, result on `resultAxis`, the rest replicated.
static OpSharding moveFirst(Operation *op, Sharding first, int resultAxis) {
  OpSharding rule = replicateAll(op);
  rule.operands[0] = first;
  rule.results[0] = first.at(resultAxis);
  return rule;
}

/// Every operand and the result on one axis, where all have equal sizes.
static Rule allOn(Operation *op, ArrayRef<Sharding> in, int mixedAxis) {
  const auto *first = llvm::find_if(in, [](auto &s) { return s.isSharded(); });
  if (first == in.end() || first->axis == mixedAxis)
    return std::nullopt;
  DimExpr size = getDim(op->getResult(0), first->axis);
  for (Value operand : op->getOperands())
    if (getDim(operand, first->axis) != size)
      return std::nullopt;
  OpSharding rule;
  rule.operands.assign(op->getNumOperands(), *first);
  rule.results.assign(1, *first);
  return rule;
}

/// Rows stay together if what stands before them is the same product, and if
/// their dimension begins with them: [b, s, 12] -> [b * s, 12] keeps b, and
/// [b, s, 12] -> [b, 12 * s] too, but [s, b] -> [s * b] does not.
static Rule chooseReshape(ReshapeOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded())
    return std::nullopt;
  Dims from = getDims(op.getX()), to = getDims(op.getResult());
  DimExpr before = product(ArrayRef(from).take_front(in[0].axis));
  DimExpr prefix(1);
  for (auto [axis, size] : llvm::enumerate(to)) {
    if (prefix == before && DimExpr::divideExactly(size, in[0].part->whole))
      return moveFirst(op, in[0], axis);
    prefix = prefix * size;
  }
  return std::nullopt;
}

static Rule chooseTranspose(TransposeOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded())
    return std::nullopt;
  ArrayRef<int64_t> permutation = op.getPermutation();
  const auto *at = llvm::find(permutation, in[0].axis);
  return moveFirst(op, in[0], at - permutation.begin());
}

static Rule chooseSlice(SliceOp op, ArrayRef<Sharding> in) {
  int axis = in[0].axis;
  if (!in[0].isSharded() || op.getSteps()[axis] != 1 ||
      op.getStarts().getDim(axis) != DimExpr(0) ||
      getDim(op.getX(), axis) != getDim(op.getResult(), axis))
    return std::nullopt;
  return moveFirst(op, in[0], axis);
}

static Rule choosePad(PadOp op, ArrayRef<Sharding> in) {
  int axis = in[0].axis;
  if (!in[0].isSharded() || op.getLow().getDim(axis) != DimExpr(0) ||
      getDim(op.getX(), axis) != getDim(op.getResult(), axis))
    return std::nullopt;
  return moveFirst(op, in[0], axis);
}

static Rule chooseTrilu(TriluOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded() || in[0].axis >= rankOf(op.getX()) - 2)
    return std::nullopt;
  return moveFirst(op, in[0], in[0].axis);
}

static Rule chooseOneHot(OneHotOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded())
    return std::nullopt;
  int axis = in[0].axis;
  return moveFirst(op, in[0],
                   axis >= static_cast<int>(op.getAxis()) ? axis + 1 : axis);
}

/// Indices choose whole rows of a replicated table, or data have the rows and
/// the indices are inside of them.
static Rule chooseGather(GatherOp op, ArrayRef<Sharding> in) {
  int axis = op.getAxis(), batchDims = op.getBatchDims();
  int numIndexDims = rankOf(op.getIndices()) - batchDims;
  Sharding data = in[0], indices = in[1];
  OpSharding rule = replicateAll(op);
  bool ofRows = (data.isSharded() && data.axis < batchDims) ||
                (indices.isSharded() && indices.axis < batchDims);
  if (ofRows) {
    Sharding rows = data.isSharded() && data.axis < batchDims ? data : indices;
    rule.operands = {rows, rows};
    rule.results[0] = rows;
    return rule;
  }
  if (data.isSharded() && data.axis != axis) {
    int shift = data.axis > axis ? numIndexDims - 1 : 0;
    return moveFirst(op, data, data.axis + shift);
  }
  if (!indices.isSharded())
    return std::nullopt;
  rule.operands[1] = indices;
  rule.results[0] = indices.at(axis + indices.axis - batchDims);
  return rule;
}

static Rule chooseGatherNd(GatherNdOp op, ArrayRef<Sharding> in) {
  int batchDims = op.getBatchDims();
  int last = rankOf(op.getIndices()) - 1;
  Sharding data = in[0], indices = in[1];
  OpSharding rule = replicateAll(op);
  if (data.isSharded() && data.axis < batchDims) {
    rule.operands = {data, data};
    rule.results[0] = data;
    return rule;
  }
  if (!indices.isSharded() || indices.axis == last)
    return std::nullopt;
  rule.operands[1] = rule.results[0] = indices;
  if (indices.axis < batchDims)
    rule.operands[0] = indices;
  return rule;
}

/// Index tuples address the first dimensions of data; slices behind them keep
/// what ranks divide.
static Rule chooseScatterNd(ScatterNdOp op, ArrayRef<Sharding> in) {
  int indexRank = rankOf(op.getIndices());
  std::optional<int64_t> depth =
      getDim(op.getIndices(), indexRank - 1).constantValue();
  if (!depth)
    return std::nullopt;
  // From an axis of updates to that of data.
  int shift = *depth - (indexRank - 1);
  Sharding data = in[0], updates = in[2];
  bool follows = updates.isSharded() && updates.axis >= indexRank - 1;
  if (!data.isSharded() && follows)
    data = updates.at(updates.axis + shift);
  if (!data.isSharded() || data.axis < *depth)
    return std::nullopt;
  OpSharding rule = replicateAll(op);
  rule.operands[0] = rule.results[0] = data;
  rule.operands[2] = data.at(data.axis - shift);
  return rule;
}

Rule moe::pass::chooseMovingSharding(Operation *op, ArrayRef<Sharding> in) {
  return llvm::TypeSwitch<Operation *, Rule>(op)
      .Case([&](ReshapeOp op) { return chooseReshape(op, in); })
      .Case([&](TransposeOp op) { return chooseTranspose(op, in); })
      .Case([&](SliceOp op) { return chooseSlice(op, in); })
      .Case([&](PadOp op) { return choosePad(op, in); })
      .Case([&](TriluOp op) { return chooseTrilu(op, in); })
      .Case([&](OneHotOp op) { return chooseOneHot(op, in); })
      .Case([&](GatherOp op) { return chooseGather(op, in); })
      .Case([&](GatherNdOp op) { return chooseGatherNd(op, in); })
      .Case([&](ScatterNdOp op) { return chooseScatterNd(op, in); })
      .Case<ConcatOp, CacheAppendOp, GatherElementsOp, ScatterElementsOp>(
          [&](auto op) { return allOn(op, in, op.getAxis()); })
      .Default([](Operation *) { return std::nullopt; });
}
