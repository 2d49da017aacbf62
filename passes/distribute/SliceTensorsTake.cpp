//===- SliceTensorsTake.cpp - Parts of what operations make ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slicing::take. The rules of Sharding.h go from operands to results; asked for
// each axis of each operand in turn, they also say which operands a part of a
// result needs.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static int rankOf(Value value) { return getTensorType(value).getRank(); }

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

bool moe::pass::isFixed(Operation *op) {
  return isa<GateOp, DispatchOp, ExpertsOp, CombineOp, AllToAllOp,
             AllToAllBackOp, AllGatherOp, ShardOp, AllReduceOp,
             ReduceScatterOp>(op);
}

static bool fits(Value value, const Sharding &sharding) {
  return !sharding.isSharded() ||
         DimExpr::divideExactly(getDim(value, sharding.axis),
                                sharding.part->whole);
}

bool moe::pass::fits(Operation *op, const OpSharding &rule) {
  auto fit = [](auto pair) {
    auto [value, sharding] = pair;
    return ::fits(value, sharding);
  };
  return llvm::all_of(llvm::zip_equal(op->getOperands(), rule.operands), fit) &&
         llvm::all_of(llvm::zip_equal(op->getResults(), rule.results), fit);
}

/// How operands must lie so that `result` lies as wanted.
static std::optional<OpSharding> findRule(OpResult result, Sharding want) {
  Operation *op = result.getOwner();
  if (isFixed(op))
    return std::nullopt;
  SmallVector<Sharding> in(op->getNumOperands());
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    for (int axis = 0; axis < rankOf(operand); ++axis) {
      in[i] = want.at(axis);
      if (!fits(operand, in[i]))
        continue;
      OpSharding rule = chooseSharding(op, in);
      if (rule.operands[i] == in[i] &&
          rule.results[result.getResultNumber()] == want && fits(op, rule))
        return rule;
    }
    in[i] = Sharding::replicated();
  }
  return std::nullopt;
}

/// True for what divides or gathers rows, if rows are not on `axis`.
static bool movesOtherAxis(Operation *op, int axis) {
  if (auto shard = dyn_cast<ShardOp>(op))
    return static_cast<int>(shard.getAxis()) != axis;
  auto gather = dyn_cast<AllGatherOp>(op);
  return gather && static_cast<int>(gather.getAxis()) != axis;
}

/// True if each element along `axis` of the result is the same.
static bool isStretched(BroadcastOp op, int axis) {
  int ownAxis = axis - (rankOf(op.getResult()) - rankOf(op.getX()));
  return ownAxis < 0 || getDim(op.getX(), ownAxis) == DimExpr(1);
}

Operation *Slicing::cloneOnParts(Operation *op, const OpSharding &rule,
                                 const Cut &cut) {
  SmallVector<Value> operands;
  for (auto [operand, want] : llvm::zip_equal(op->getOperands(), rule.operands))
    operands.push_back(want.isSharded() ? take(operand, want.axis, cut)
                                        : operand);
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Operation *clone = builder.clone(*op);
  clone->setOperands(operands);
  for (auto [whole, part, have] :
       llvm::zip_equal(op->getResults(), clone->getResults(), rule.results)) {
    if (!have.isSharded())
      continue;
    part.setType(cutType(whole, have.axis, cut));
    taken[keyOf(whole, have.axis, cut)] = part;
    moved.push_back({whole, have.axis, &cut, part});
  }
  return clone;
}

//===----------------------------------------------------------------------===//
// Where no rule helps
//===----------------------------------------------------------------------===//

/// `count` units from `first` on, cut out of `value`.
static Value sliceUnits(OpBuilder &builder, Value value, int axis,
                        const Cut &cut, int64_t first, int64_t count) {
  RankedTensorType type = getTensorType(value);
  Dims sizes = getDims(type), starts(sizes.size(), DimExpr(0));
  DimExpr unit = *DimExpr::divideExactly(sizes[axis], cut.units.whole);
  starts[axis] = unit * DimExpr(first);
  sizes[axis] = unit * DimExpr(count);
  SmallVector<int64_t> steps(sizes.size(), 1);
  return SliceOp::create(builder, value.getLoc(),
                         getTensorType(type.getElementType(), sizes), value,
                         DimsAttr::get(builder.getContext(), starts), steps);
}

/// The part cut out of `value` itself.
Value Slicing::takeHere(Value value, int axis, const Cut &cut) {
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfterValue(value);
  Location loc = value.getLoc();
  if (cut.isOfRank())
    return ShardOp::create(builder, loc, cutType(value, axis, cut), value, axis,
                           cut.units.symbol);
  if (auto param = value.getDefiningOp<ParamOp>())
    return ParamOp::create(builder, loc, pickUnits(param.getValue(), axis, cut),
                           param.getNameAttr());
  SmallVector<Value> pieces;
  for (auto [first, count] : runsOf(cut.picks))
    pieces.push_back(sliceUnits(builder, value, axis, cut, first, count));
  if (pieces.size() == 1)
    return pieces.front();
  return ConcatOp::create(builder, loc, pieces, axis);
}

//===----------------------------------------------------------------------===//
// Take
//===----------------------------------------------------------------------===//

Value Slicing::takeFromProducer(OpResult value, int axis, const Cut &cut) {
  Operation *op = value.getOwner();
  if (auto broadcast = dyn_cast<BroadcastOp>(op);
      broadcast && isStretched(broadcast, axis)) {
    OpBuilder builder(func.getContext());
    builder.setInsertionPointAfter(op);
    return BroadcastOp::create(builder, op->getLoc(), cutType(value, axis, cut),
                               broadcast.getX());
  }
  // Pattern: part(op(x)) -> op(part(x)) [op moves another axis between ranks]
  Sharding want{&cut.units, axis};
  if (movesOtherAxis(op, axis))
    return cloneOnParts(op, OpSharding{{want}, {want}}, cut)->getResult(0);
  // Pattern: part(op(x)) -> op(part(x)) [a rule for op]
  if (auto rule = findRule(value, want))
    return cloneOnParts(op, *rule, cut)->getResult(value.getResultNumber());
  if (auto slice = dyn_cast<SliceOp>(op))
    return takeOfSlice(slice, axis, cut);
  if (auto reshape = dyn_cast<ReshapeOp>(op); reshape && cut.isOfRank()) {
    if (Value part = takeOfUnfolded(reshape, axis, cut))
      return part;
    return takeOfRegrouped(reshape, axis, cut);
  }
  return {};
}

Value Slicing::take(Value value, int axis, const Cut &cut) {
  if (auto it = taken.find(keyOf(value, axis, cut)); it != taken.end())
    return it->second;
  Value part;
  if (auto result = dyn_cast<OpResult>(value))
    part = takeFromProducer(result, axis, cut);
  if (!part)
    part = takeHere(value, axis, cut);
  return taken[keyOf(value, axis, cut)] = part;
}

bool Slicing::isOfWeights(Value value, int axis, const Cut &cut,
                          unsigned &numProducts, std::map<Key, bool> &seen) {
  auto [it, isNew] = seen.try_emplace(keyOf(value, axis, cut), true);
  bool &answer = it->second;
  if (!isNew || value.getDefiningOp<ParamOp>())
    return answer;
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return answer = false;
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (broadcast && isStretched(broadcast, axis))
    return answer;
  Operation *op = result.getOwner();
  auto rule = findRule(result, {&cut.units, axis});
  if (!rule) {
    auto slice = dyn_cast<SliceOp>(op);
    const Cut *picked =
        slice ? cutOfSlice(slice, axis, cut.isOfRank() ? nullptr : &cut)
              : nullptr;
    return answer = picked &&
                    isOfWeights(slice.getX(), axis, *picked, numProducts, seen);
  }
  numProducts += isa<MatmulOp>(op);
  for (auto [operand, want] :
       llvm::zip_equal(op->getOperands(), rule->operands))
    if (want.isSharded() &&
        !isOfWeights(operand, want.axis, cut, numProducts, seen))
      return answer = false;
  return answer;
}

bool Slicing::isOfWeights(Value value, int axis, const Cut &cut,
                          unsigned &numProducts) {
  std::map<Key, bool> seen;
  return isOfWeights(value, axis, cut, numProducts, seen);
}
