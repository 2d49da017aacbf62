//===- SliceTensorsGive.cpp - Parts for those who read them ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slicing::give. A part travels forwards only if there is somebody who wants
// it: else it would be gathered later instead of now.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

bool Slicing::isLive(Operation *op) {
  return isa<func::ReturnOp>(op) || llvm::any_of(op->getUsers(), isLive);
}

/// True if `op` sums over the last axis of its left operand `value` alone.
static bool isSummedBy(MatmulOp op, Value value, int axis) {
  return op && op.getLhs() == value && op.getRhs() != value &&
         axis == getTensorType(value).getRank() - 1;
}

/// True if results of the function may be slices of `value`.
static bool isPort(func::ReturnOp op, Value value, int axis) {
  if (!getDim(value, axis).isConstant())
    return false;
  auto func = cast<func::FuncOp>(op->getParentOp());
  // The past of a state would have to be divided as well.
  return llvm::none_of(op->getOpOperands(), [&](OpOperand &operand) {
    return operand.get() == value &&
           func.getResultAttr(operand.getOperandNumber(), kState);
  });
}

static bool isSameShard(ShardOp op, int axis, const Cut &cut) {
  return op && static_cast<int>(op.getAxis()) == axis &&
         op.getPart() == cut.units.symbol;
}

/// How `user` works on the part of `whole`, if it can.
std::optional<OpSharding> Slicing::ruleOfUser(Operation *user, Value whole,
                                              int axis, const Cut &cut) {
  // A cache is divided by those who read it.
  if (isFixed(user) || isa<CacheAppendOp, func::ReturnOp>(user))
    return std::nullopt;
  Sharding have{&cut.units, axis};
  SmallVector<Sharding> in(user->getNumOperands());
  for (auto [i, operand] : llvm::enumerate(user->getOperands()))
    if (operand == whole)
      in[i] = have;
  OpSharding rule = chooseSharding(user, in);
  for (auto [i, operand] : llvm::enumerate(user->getOperands()))
    if (operand == whole && rule.operands[i] != have)
      return std::nullopt;
  bool areParts = llvm::all_of(
      rule.results, [](const Sharding &result) { return result.isSharded(); });
  if (!areParts || !fits(user, rule))
    return std::nullopt;
  return rule;
}

bool Slicing::isWantedBy(Operation *user, Value whole, int axis, const Cut &cut,
                         std::set<Key> &seen) {
  if (auto op = dyn_cast<func::ReturnOp>(user))
    return isPort(op, whole, axis);
  if (isSummedBy(dyn_cast<MatmulOp>(user), whole, axis) ||
      isSameShard(dyn_cast<ShardOp>(user), axis, cut))
    return true;
  std::optional<OpSharding> rule = ruleOfUser(user, whole, axis, cut);
  if (!rule)
    return false;
  for (auto [result, have] : llvm::zip_equal(user->getResults(), rule->results))
    if (seen.insert(keyOf(result, have.axis, cut)).second)
      for (Operation *next : result.getUsers())
        if (isWantedBy(next, result, have.axis, cut, seen))
          return true;
  return false;
}

bool Slicing::isWanted(Value value, int axis, const Cut &cut) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    std::set<Key> seen;
    return !isLive(user) || isWantedBy(user, value, axis, cut, seen);
  });
}

Value Slicing::sum(OpBuilder &builder, Location loc, Value partial,
                   Value bias) {
  Value all = AllReduceOp::create(builder, loc, CollectiveReduce::Sum, partial,
                                  CommGroup::Tp);
  return bias ? BinaryOp::create(builder, loc, BinaryKind::Add, all, bias)
                    .getResult()
              : all;
}

// Pattern: matmul(all_gather(x), w) -> all_reduce(matmul(x, part(w)))
void Slicing::contract(MatmulOp op, Value part, const Cut &cut) {
  int rank = getTensorType(op.getRhs()).getRank();
  Value rhs =
      take(op.getRhs(), op.getTransposeRhs() ? rank - 1 : rank - 2, cut);
  OpBuilder builder(op.getContext());
  builder.setInsertionPointAfter(op);
  Value partial = MatmulOp::create(builder, op.getLoc(), part, rhs,
                                   /*bias=*/Value(), op.getTransposeRhs(),
                                   op.getArithmetic());
  op.getResult().replaceAllUsesWith(
      sum(builder, op.getLoc(), partial, op.getBias()));
}

void Slicing::giveTo(Operation *user, Value whole, Value part, int axis,
                     const Cut &cut) {
  if (isa<func::ReturnOp>(user))
    return user->replaceUsesOfWith(whole, part);
  if (isa<ShardOp>(user))
    return user->getResult(0).replaceAllUsesWith(part);
  if (auto op = dyn_cast<MatmulOp>(user); isSummedBy(op, whole, axis))
    return contract(op, part, cut);
  // Pattern: op(all_gather(x)) -> all_gather(op(x)) [a rule for op]
  OpSharding rule = *ruleOfUser(user, whole, axis, cut);
  // Another operand may have led here before.
  Value first = user->getResult(0);
  if (!taken.count(keyOf(first, rule.results[0].axis, cut)))
    cloneOnParts(user, rule, cut);
  for (auto [result, have] : llvm::zip_equal(user->getResults(), rule.results))
    give(result, take(result, have.axis, cut), have.axis, cut);
}

void Slicing::give(Value whole, Value part, int axis, const Cut &cut) {
  taken[keyOf(whole, axis, cut)] = part;
  llvm::SetVector<Operation *> users(whole.user_begin(), whole.user_end());
  Value gathered;
  for (Operation *user : users) {
    std::set<Key> seen;
    if (!isLive(user) || user == part.getDefiningOp())
      continue;
    if (isWantedBy(user, whole, axis, cut, seen)) {
      giveTo(user, whole, part, axis, cut);
      continue;
    }
    if (!gathered) {
      OpBuilder builder(func.getContext());
      builder.setInsertionPointAfterValue(part);
      mlir::remark::analysis(
          whole.getLoc(),
          mlir::remark::RemarkOpts::name("gather").category(kSliceTensors))
          << "slices meet here: gathers " + toString(getDims(whole));
      gathered = AllGatherOp::create(builder, whole.getLoc(), whole.getType(),
                                     part, axis, cut.units.symbol);
      taken[keyOf(gathered, axis, cut)] = part;
    }
    user->replaceUsesOfWith(whole, gathered);
  }
}
