//===- Match.cpp - Small questions that patterns ask about values ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/Match.h"

#include "mlir/IR/Iterators.h"
#include "llvm/ADT/SetVector.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static std::optional<double> numberOf(Attribute attribute) {
  if (auto number = dyn_cast_or_null<FloatAttr>(attribute))
    return number.getValueAsDouble();
  if (auto number = dyn_cast_or_null<IntegerAttr>(attribute))
    return number.getType().isInteger(1)
               ? static_cast<double>(number.getValue().getBoolValue())
               : static_cast<double>(number.getValue().getSExtValue());
  if (auto number = dyn_cast_or_null<BoolAttr>(attribute))
    return number.getValue() ? 1.0 : 0.0;
  return std::nullopt;
}

std::optional<double> getScalar(Value value) {
  Operation *op = stripViewsAndCasts(value).getDefiningOp();
  if (auto constant = dyn_cast_or_null<ConstantOp>(op)) {
    auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (elements && elements.isSplat())
      return numberOf(elements.getSplatValue<Attribute>());
  }
  if (auto param = dyn_cast_or_null<ParamOp>(op))
    if (param.getValue().getKind() == "fill")
      return numberOf(param.getValue().getValue());
  return std::nullopt;
}

bool isAbout(double value, double expected) {
  return value == expected ||
         std::abs(value - expected) <= 1e-5 * std::abs(expected);
}

bool isScalar(Value value, double expected) {
  std::optional<double> scalar = getScalar(value);
  return scalar && isAbout(*scalar, expected);
}

std::optional<SmallVector<int64_t>> getIntegers(Value value) {
  auto constant = stripReshapes(value).getDefiningOp<ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> integers;
  for (const APInt &element : elements.getValues<APInt>())
    integers.push_back(element.getBitWidth() == 1 ? element.getZExtValue()
                                                  : element.getSExtValue());
  return integers;
}

bool isHidingFill(double value) { return value <= -1e30; }

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

std::optional<ValuePair> matchBinary(Value value, BinaryKind kind) {
  auto op = value.getDefiningOp<BinaryOp>();
  if (!op || op.getKind() != kind)
    return std::nullopt;
  return ValuePair{op.getLhs(), op.getRhs()};
}

static bool isCommutative(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::Add:
  case BinaryKind::Mul:
  case BinaryKind::Min:
  case BinaryKind::Max:
  case BinaryKind::And:
  case BinaryKind::Or:
  case BinaryKind::Xor:
    return true;
  default:
    return false;
  }
}

std::optional<ValueAndScalar> matchWithScalar(Value value, BinaryKind kind) {
  auto pair = matchBinary(value, kind);
  if (!pair)
    return std::nullopt;
  if (auto scalar = getScalar(pair->b))
    return ValueAndScalar{pair->a, *scalar};
  if (isCommutative(kind))
    if (auto scalar = getScalar(pair->a))
      return ValueAndScalar{pair->b, *scalar};
  return std::nullopt;
}

std::optional<ValueAndScalar> matchScaled(Value value) {
  if (auto product = matchWithScalar(value, BinaryKind::Mul))
    return product;
  if (auto quotient = matchWithScalar(value, BinaryKind::Div))
    if (quotient->scalar != 0)
      return ValueAndScalar{quotient->value, 1.0 / quotient->scalar};
  return std::nullopt;
}

Value matchUnary(Value value, UnaryKind kind) {
  auto op = value.getDefiningOp<UnaryOp>();
  return op && op.getKind() == kind ? op.getX() : Value();
}

Value matchReduceLast(Value value, ReduceKind kind) {
  auto op = stripReshapes(value).getDefiningOp<ReduceOp>();
  if (!op || op.getKind() != kind)
    return Value();
  int64_t last = getTensorType(op.getX()).getRank() - 1;
  return op.getAxes() == ArrayRef<int64_t>{last} ? op.getX() : Value();
}

Value matchOther(Value value, BinaryKind kind, Value known) {
  auto pair = matchBinary(value, kind);
  if (!pair)
    return Value();
  if (pair->a == known)
    return pair->b;
  return pair->b == known && isCommutative(kind) ? pair->a : Value();
}

//===----------------------------------------------------------------------===//
// Chains
//===----------------------------------------------------------------------===//

template <typename... Ops> static Value stripOps(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<Ops...>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

Value stripReshapes(Value value) { return stripOps<ReshapeOp>(value); }
Value stripCasts(Value value) { return stripOps<CastOp>(value); }
Value stripReshapesAndCasts(Value value) {
  return stripOps<ReshapeOp, CastOp>(value);
}
Value stripViewsAndCasts(Value value) {
  return stripOps<ReshapeOp, BroadcastOp, CastOp>(value);
}

Value stripMask(Value value) {
  while (true) {
    value = stripOps<ReshapeOp, BroadcastOp, CastOp>(value);
    auto compare = value.getDefiningOp<CompareOp>();
    bool isOneTest =
        compare &&
        ((compare.getKind() == CompareKind::Ne &&
          isScalar(compare.getRhs(), 0)) ||
         (compare.getKind() == CompareKind::Eq &&
          isScalar(compare.getRhs(), 1) &&
          getTensorType(compare.getLhs()).getElementType().isInteger(1)));
    if (!isOneTest)
      return value;
    value = compare.getLhs();
  }
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Value reshapeTo(OpBuilder &builder, Location loc, Value value,
                ArrayRef<DimExpr> dims) {
  RankedTensorType from = getTensorType(value);
  RankedTensorType to = getTensorType(from.getElementType(), dims);
  return from == to ? value : ReshapeOp::create(builder, loc, to, value);
}

Value castTo(OpBuilder &builder, Location loc, Value value, Type elementType) {
  RankedTensorType from = getTensorType(value);
  RankedTensorType to = withElementType(from, elementType);
  return from == to ? value : CastOp::create(builder, loc, to, value);
}

Value convertTo(OpBuilder &builder, Location loc, Value value,
                RankedTensorType type) {
  value = castTo(builder, loc, value, type.getElementType());
  return reshapeTo(builder, loc, value, getDims(type));
}

void eraseDeadOps(Operation *root) {
  root->walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (op != root && isOpTriviallyDead(op))
      op->erase();
  });
}

static void collectLeaves(Location loc, llvm::SetVector<Location> &leaves) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location inner : fused.getLocations())
      collectLeaves(inner, leaves);
    return;
  }
  if (!isa<UnknownLoc>(loc))
    leaves.insert(loc);
}

Location fuseLocations(MLIRContext *context, ArrayRef<Operation *> ops) {
  llvm::SetVector<Location> leaves;
  for (Operation *op : ops)
    collectLeaves(op->getLoc(), leaves);
  return FusedLoc::get(context, leaves.getArrayRef());
}

} // namespace moe::pass
