//===- Masks.cpp - Masks of attention -------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/Masks.h"

#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

static bool isBool(Value value) {
  return getTensorType(value).getElementType().isInteger(1);
}

Value invertMask(OpBuilder &builder, Location loc, Value mask) {
  if (Value inner = matchUnary(mask, UnaryKind::Not))
    return inner;
  return UnaryOp::create(builder, loc, UnaryKind::Not, mask);
}

/// select(c, 0, fill) or select(c, fill, 0).
static std::optional<VisibleMask>
visibleOfSelect(OpBuilder &builder, Location loc, SelectOp select) {
  auto onTrue = getScalar(select.getOnTrue());
  auto onFalse = getScalar(select.getOnFalse());
  if (!onTrue || !onFalse ||
      getDims(select.getCondition()) != getDims(select.getResult()))
    return std::nullopt;
  if (*onTrue == 0 && isHidingFill(*onFalse))
    return VisibleMask{select.getCondition(), *onFalse};
  if (*onFalse == 0 && isHidingFill(*onTrue))
    return VisibleMask{invertMask(builder, loc, select.getCondition()),
                       *onTrue};
  return std::nullopt;
}

/// cast(hidden) * fill.
static std::optional<VisibleMask> visibleOfProduct(OpBuilder &builder,
                                                   Location loc, Value value) {
  auto product = matchWithScalar(value, BinaryKind::Mul);
  // Minus infinity times 0 would not be 0.
  if (!product || !isHidingFill(product->scalar) ||
      std::isinf(product->scalar) ||
      product->value.getType() != value.getType())
    return std::nullopt;
  Value hidden = stripCasts(product->value);
  if (!isBool(hidden))
    return std::nullopt;
  return VisibleMask{invertMask(builder, loc, hidden), product->scalar};
}

std::optional<VisibleMask> buildVisible(OpBuilder &builder, Location loc,
                                        Value mask) {
  Operation *op = mask.getDefiningOp();
  if (auto select = dyn_cast_or_null<SelectOp>(op))
    return visibleOfSelect(builder, loc, select);
  if (isa_and_nonnull<BinaryOp>(op))
    return visibleOfProduct(builder, loc, mask);
  if (auto cast = dyn_cast_or_null<CastOp>(op))
    return buildVisible(builder, loc, cast.getX());
  if (!isa_and_nonnull<ReshapeOp, BroadcastOp, TransposeOp, SliceOp>(op))
    return std::nullopt;
  // Moves elements: move those of the mask of i1 in the same way.
  auto inner = buildVisible(builder, loc, op->getOperand(0));
  if (!inner)
    return std::nullopt;
  Operation *moved = builder.clone(*op);
  moved->setOperand(0, inner->mask);
  moved->getResult(0).setType(
      withElementType(getTensorType(mask), builder.getI1Type()));
  return VisibleMask{moved->getResult(0), inner->fill};
}

/// True if `value` is the number of visible keys of each row, or whether there
/// is one.
static bool countsRows(Value value, Value visible) {
  value = stripCasts(value);
  auto reduce = value.getDefiningOp<ReduceOp>();
  if (!reduce || (reduce.getKind() != ReduceKind::Sum &&
                  reduce.getKind() != ReduceKind::Max))
    return false;
  int64_t last = getTensorType(reduce.getX()).getRank() - 1;
  return reduce.getKeepdims() && reduce.getAxes() == ArrayRef<int64_t>{last} &&
         stripCasts(reduce.getX()) == visible;
}

bool isAllHidden(Value condition, Value visible) {
  if (Value inner = matchUnary(condition, UnaryKind::Not))
    return isAnyVisible(inner, visible);
  auto compare = condition.getDefiningOp<CompareOp>();
  if (!compare || !countsRows(compare.getLhs(), visible))
    return false;
  switch (compare.getKind()) {
  case CompareKind::Eq:
  case CompareKind::Le:
    return isScalar(compare.getRhs(), 0);
  case CompareKind::Lt:
    return isScalar(compare.getRhs(), 1);
  default:
    return false;
  }
}

bool isAnyVisible(Value condition, Value visible) {
  if (Value inner = matchUnary(condition, UnaryKind::Not))
    return isAllHidden(inner, visible);
  if (isBool(condition) && countsRows(condition, visible))
    return true;
  auto compare = condition.getDefiningOp<CompareOp>();
  if (!compare || !countsRows(compare.getLhs(), visible))
    return false;
  switch (compare.getKind()) {
  case CompareKind::Ne:
  case CompareKind::Gt:
    return isScalar(compare.getRhs(), 0);
  case CompareKind::Ge:
    return isScalar(compare.getRhs(), 1);
  default:
    return false;
  }
}

} // namespace moe::pass
