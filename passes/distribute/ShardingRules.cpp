//===- ShardingRules.cpp - Rules of operations that compute ---------------===//
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

static bool isOne(Value value, int axis) {
  return getDim(value, axis) == DimExpr(1);
}

/// Position of the operand with number `ods` in the .td, or -1 if absent.
template <typename OpT> static int positionOf(OpT op, unsigned ods) {
  auto [start, length] = op.getODSOperandIndexAndLength(ods);
  return length == 0 ? -1 : static_cast<int>(start);
}

OpSharding moe::pass::replicateAll(Operation *op) {
  OpSharding all;
  all.operands.resize(op->getNumOperands());
  all.results.resize(op->getNumResults());
  return all;
}

/// Ragged rows pass through elementwise operations; what goes with them is
/// ragged too or has one row.
static OpSharding keepRagged(Operation *op, ArrayRef<Sharding> in) {
  OpSharding rule = replicateAll(op);
  for (auto [want, have] : llvm::zip_equal(rule.operands, in))
    if (have.ragged)
      want = have;
  for (Sharding &result : rule.results)
    result.ragged = true;
  return rule;
}

Rule moe::pass::chooseBroadcastSharding(Operation *op, ArrayRef<Sharding> in) {
  if (llvm::any_of(in, [](const Sharding &s) { return s.ragged; }))
    return keepRagged(op, in);
  const auto *first = llvm::find_if(in, [](auto &s) { return s.isSharded(); });
  if (first == in.end())
    return std::nullopt;
  int resultRank = rankOf(op->getResult(0));
  int axis =
      first->axis + resultRank - rankOf(op->getOperand(first - in.begin()));
  OpSharding rule = replicateAll(op);
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    int ownAxis = axis - (resultRank - rankOf(operand));
    if (ownAxis >= 0 && !isOne(operand, ownAxis))
      rule.operands[i] = first->at(ownAxis);
  }
  for (Sharding &result : rule.results)
    result = first->at(axis);
  return rule;
}

/// The first operand keeps its axis through the operation unless it is one of
/// those that the operation mixes; other operands are replicated.
static Rule keepAxis(Operation *op, ArrayRef<Sharding> in,
                     llvm::function_ref<std::optional<int>(int)> resultAxis) {
  if (!in[0].isSharded())
    return std::nullopt;
  std::optional<int> axis = resultAxis(in[0].axis);
  if (!axis)
    return std::nullopt;
  OpSharding rule = replicateAll(op);
  rule.operands[0] = in[0];
  for (Sharding &result : rule.results)
    result = in[0].at(*axis);
  return rule;
}

/// keepAxis for an operation that mixes the elements along `mixed` only.
static Rule keepOtherAxes(Operation *op, ArrayRef<Sharding> in, int mixed,
                          bool dropped) {
  return keepAxis(op, in, [&](int axis) -> std::optional<int> {
    if (axis == mixed)
      return std::nullopt;
    return dropped && axis > mixed ? axis - 1 : axis;
  });
}

static Rule chooseReduce(ReduceOp op, ArrayRef<Sharding> in) {
  return keepAxis(op, in, [&](int axis) -> std::optional<int> {
    int before = 0;
    for (int64_t reduced : op.getAxes()) {
      if (reduced == axis)
        return std::nullopt;
      before += reduced < axis;
    }
    return op.getKeepdims() ? axis : axis - before;
  });
}

/// Rows of lhs, columns of rhs, or dimensions that count products.
static Rule chooseMatmul(MatmulOp op, ArrayRef<Sharding> in) {
  int lhsRank = rankOf(op.getLhs()), rhsRank = rankOf(op.getRhs());
  int rank = rankOf(op.getResult());
  OpSharding rule = replicateAll(op);
  if (in[0].isSharded() && in[0].axis == lhsRank - 2) {
    rule.operands[0] = in[0];
    rule.results[0] = in[0].at(rank - 2);
    return rule;
  }
  int columns = op.getTransposeRhs() ? rhsRank - 2 : rhsRank - 1;
  if (in[0].isReplicated() && in[1].isSharded() && in[1].axis == columns) {
    rule.operands[1] = in[1];
    if (op.getBias())
      rule.operands[2] = in[1].at(0);
    rule.results[0] = in[1].at(rank - 1);
    return rule;
  }
  // The axis of the result among its leading dimensions.
  Sharding sharding;
  if (in[0].isSharded() && in[0].axis < lhsRank - 2)
    sharding = in[0].at(in[0].axis + rank - lhsRank);
  else if (in[1].isSharded() && in[1].axis < rhsRank - 2)
    sharding = in[1].at(in[1].axis + rank - rhsRank);
  else
    return std::nullopt;
  for (auto [i, value] : {std::pair(0, op.getLhs()), {1, op.getRhs()}}) {
    int axis = sharding.axis - (rank - rankOf(value));
    if (axis >= 0 && !isOne(value, axis))
      rule.operands[i] = sharding.at(axis);
  }
  rule.results[0] = sharding;
  return rule;
}

/// Rows of the batch: axis 0 of q, k, v and of what goes with rows.
static OpSharding chooseAttentionRows(AttentionOp op, Sharding rows) {
  OpSharding rule = replicateAll(op);
  for (int i = 0; i < 3; ++i)
    rule.operands[i] = rows;
  int mask = positionOf(op, 3), lengths = positionOf(op, 5);
  if (mask >= 0 && rankOf(op.getMask()) == 4 && !isOne(op.getMask(), 0))
    rule.operands[mask] = rows;
  if (lengths >= 0)
    rule.operands[lengths] = rows;
  rule.results[0] = rows;
  return rule;
}

/// Heads: axis 1 of q, and of k and v unless they have one head for all.
static Rule chooseAttentionHeads(AttentionOp op, Sharding heads) {
  OpSharding rule = replicateAll(op);
  rule.operands[0] = rule.results[0] = heads;
  if (!isOne(op.getK(), 1)) {
    if (!DimExpr::divideExactly(getDim(op.getK(), 1), heads.part->whole))
      return std::nullopt;
    rule.operands[1] = rule.operands[2] = heads;
  }
  int mask = positionOf(op, 3), sink = positionOf(op, 4);
  int maskAxis = mask >= 0 ? rankOf(op.getMask()) - 3 : -1;
  if (maskAxis >= 0 && !isOne(op.getMask(), maskAxis))
    rule.operands[mask] = heads.at(maskAxis);
  if (sink >= 0)
    rule.operands[sink] = heads.at(0);
  return rule;
}

static Rule chooseAttention(AttentionOp op, ArrayRef<Sharding> in) {
  for (const Sharding &sharding : in.take_front(3))
    if (sharding.isSharded() && sharding.axis == 0)
      return chooseAttentionRows(op, sharding);
  for (const Sharding &sharding : in.take_front(3))
    if (sharding.isSharded() && sharding.axis == 1)
      return chooseAttentionHeads(op, sharding);
  return std::nullopt;
}

/// Rows, heads, or positions, which tables have on axis 1.
static Rule chooseRotary(RotaryOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded() || in[0].axis == rankOf(op.getX()) - 1)
    return std::nullopt;
  OpSharding rule = replicateAll(op);
  rule.operands[0] = rule.results[0] = in[0];
  if (in[0].axis == 1)
    return rule;
  int tableAxis = in[0].axis == 0 ? 0 : 1;
  for (auto [i, table] : {std::pair(1, op.getCos()), {2, op.getSin()}})
    if (!isOne(table, tableAxis))
      rule.operands[i] = in[0].at(tableAxis);
  return rule;
}

/// A gate is free to work on any rows of tokens. With a capacity, it has those
/// that the outermost group divides: of ranks inside, each has all rows that
/// compete.
static Rule chooseGate(GateOp op, ArrayRef<Sharding> in) {
  if (!in[0].isSharded() || in[0].axis != 0)
    return std::nullopt;
  Sharding rows = in[0];
  while (op.getDropPolicy() != DropPolicy::None && rows.part->outer)
    rows.part = rows.part->outer;
  OpSharding rule = replicateAll(op);
  rule.operands[0] = rows;
  for (unsigned ods : {3u, 4u}) // mix_scores and used_token
    if (int i = positionOf(op, ods); i >= 0)
      rule.operands[i] = rows;
  rule.results.assign(2, rows);
  return rule;
}

/// The tokens as experts have them if they are sharded, else as x is.
static Rule chooseDispatch(DispatchOp op, ArrayRef<Sharding> in) {
  const auto *first =
      llvm::find_if(in, [](auto &s) { return s.isSharded() && s.axis == 0; });
  if (first == in.end())
    return std::nullopt;
  OpSharding rule;
  rule.operands.assign(op->getNumOperands(), *first);
  Sharding ragged;
  ragged.ragged = true;
  rule.results = {ragged, ragged, *first};
  return rule;
}

static Rule chooseExperts(ExpertsOp op, ArrayRef<Sharding> in) {
  if (!in[0].ragged)
    return std::nullopt;
  OpSharding rule = replicateAll(op);
  rule.operands[0] = rule.operands[1] = rule.results[0] = in[0];
  return rule;
}

static Rule chooseCombine(CombineOp op, ArrayRef<Sharding> in) {
  if (!in[0].ragged || !in[1].isSharded())
    return std::nullopt;
  OpSharding rule;
  rule.operands.assign(op->getNumOperands(), in[1]);
  rule.operands[0] = in[0];
  rule.results = {in[1]};
  return rule;
}

OpSharding moe::pass::chooseSharding(Operation *op, ArrayRef<Sharding> in) {
  if (llvm::all_of(in, [](const Sharding &s) { return s.isReplicated(); }))
    return replicateAll(op);
  Rule rule =
      llvm::TypeSwitch<Operation *, Rule>(op)
          .Case<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, ElementwiseOp,
                BroadcastOp>(
              [&](auto op) { return chooseBroadcastSharding(op, in); })
          .Case([&](MixOp op) -> Rule {
            // The gate's last dimension is not that of the others.
            int last = rankOf(op.getResult()) - 1;
            Rule rule = chooseBroadcastSharding(op, in);
            return rule && rule->results[0].axis == last ? std::nullopt : rule;
          })
          .Case([&](ReduceOp op) { return chooseReduce(op, in); })
          .Case([&](ArgReduceOp op) {
            return keepOtherAxes(op, in, op.getAxis(), !op.getKeepdims());
          })
          .Case<CumsumOp, TopKOp, SoftmaxOp>([&](auto op) {
            return keepOtherAxes(op, in, op.getAxis(), false);
          })
          .Case([&](NormOp op) {
            return keepAxis(op, in, [&](int axis) -> std::optional<int> {
              if (axis >= static_cast<int>(op.getAxis()))
                return std::nullopt;
              return axis;
            });
          })
          .Case([&](FfnOp op) {
            return keepOtherAxes(op, in, rankOf(op.getX()) - 1, false);
          })
          .Case([&](MatmulOp op) { return chooseMatmul(op, in); })
          .Case([&](AttentionOp op) { return chooseAttention(op, in); })
          .Case([&](RotaryOp op) { return chooseRotary(op, in); })
          .Case([&](GateOp op) { return chooseGate(op, in); })
          .Case([&](DispatchOp op) { return chooseDispatch(op, in); })
          .Case([&](ExpertsOp op) { return chooseExperts(op, in); })
          .Case([&](CombineOp op) { return chooseCombine(op, in); })
          .Default([&](Operation *op) { return chooseMovingSharding(op, in); });
  return rule ? *rule : replicateAll(op);
}
