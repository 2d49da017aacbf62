//===- Bounds.cpp - How large a number can be at run time -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Bounds.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "frontend/onnx/InputSymbols.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {

/// Every element is at most numerator / denominator.
struct Bound {
  DimExpr numerator;
  int64_t denominator = 1;
  /// No element is negative.
  bool isNonNegative = false;
};
using MaybeBound = std::optional<Bound>;

class BoundFinder {
public:
  MaybeBound find(Value value, unsigned depth = 0);

private:
  MaybeBound compute(Operation *op, Value value, unsigned depth);
  MaybeBound computeUnary(UnaryOp op, unsigned depth);
  MaybeBound computeBinary(BinaryOp op, unsigned depth);
  MaybeBound computeReduce(ReduceOp op, unsigned depth);
  MaybeBound computeCumsum(CumsumOp op, unsigned depth);
  MaybeBound computeScatter(ScatterKind kind, Value data, Value updates,
                            unsigned depth);
  /// The largest of the bounds of all values.
  MaybeBound largest(ValueRange values, unsigned depth);

  llvm::DenseMap<Value, MaybeBound> known;
};

constexpr unsigned kMaxDepth = 64;
/// Denominators grow with products; beyond this the bound is given up.
constexpr int64_t kMaxDenominator = int64_t(1) << 30;

} // namespace

static DimExpr maxOf(const DimExpr &a, const DimExpr &b) {
  if (isAtLeast(a, b))
    return a;
  return isAtLeast(b, a) ? b : DimExpr::max(a, b);
}

// A float as a fraction that is at least as large: exact with a denominator up
// to 1024, or rounded up in 2^-20.
static Bound fromDouble(double value) {
  for (int64_t denominator = 1; denominator <= 1024; denominator *= 2)
    if (double scaled = value * denominator; scaled == std::floor(scaled))
      return {DimExpr(static_cast<int64_t>(scaled)), denominator, value >= 0};
  double scaled = std::ceil(value * (1 << 20)) + (value > 0 ? 1 : 0);
  return {DimExpr(static_cast<int64_t>(scaled)), 1 << 20, value >= 0};
}

static MaybeBound boundOfConstant(ElementsAttr attr) {
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (!dense || dense.empty())
    return std::nullopt;
  double largest = -INFINITY, smallest = INFINITY;
  auto add = [&](double value) {
    largest = std::max(largest, value);
    smallest = std::min(smallest, value);
  };
  Type type = dense.getElementType();
  if (isa<FloatType>(type)) {
    for (APFloat value : dense.getValues<APFloat>()) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
      add(value.convertToDouble());
    }
  } else {
    bool isUnsigned = type.isUnsignedInteger() || type.isInteger(1);
    for (const APInt &value : dense.getValues<APInt>())
      add(isUnsigned ? value.roundToDouble(false) : value.roundToDouble(true));
  }
  if (!(std::abs(largest) < 1e15))
    return std::nullopt;
  Bound bound = fromDouble(largest);
  bound.isNonNegative = smallest >= 0;
  return bound;
}

MaybeBound BoundFinder::largest(ValueRange values, unsigned depth) {
  MaybeBound result;
  for (Value value : values) {
    MaybeBound bound = find(value, depth + 1);
    if (!bound)
      return std::nullopt;
    if (!result) {
      result = bound;
      continue;
    }
    DimExpr a = result->numerator * DimExpr(bound->denominator);
    DimExpr b = bound->numerator * DimExpr(result->denominator);
    result = Bound{maxOf(a, b), result->denominator * bound->denominator,
                   result->isNonNegative && bound->isNonNegative};
    if (result->denominator > kMaxDenominator)
      return std::nullopt;
  }
  return result;
}

MaybeBound BoundFinder::computeUnary(UnaryOp op, unsigned depth) {
  MaybeBound x = find(op.getX(), depth + 1);
  switch (op.getKind()) {
  case UnaryKind::Ceil:
  case UnaryKind::Round:
    if (!x)
      return std::nullopt;
    // The float that was rounded up may lie above the exact quotient.
    if (x->denominator == 1)
      return x;
    return Bound{DimExpr::ceilDiv(x->numerator, DimExpr(x->denominator)) +
                     DimExpr(1),
                 1, x->isNonNegative};
  case UnaryKind::Floor:
  case UnaryKind::Relu:
    return x;
  case UnaryKind::Sigmoid:
    return Bound{DimExpr(1), 1, true};
  case UnaryKind::Sign:
    return Bound{DimExpr(1), 1, x && x->isNonNegative};
  default:
    return std::nullopt;
  }
}

MaybeBound BoundFinder::computeBinary(BinaryOp op, unsigned depth) {
  MaybeBound a = find(op.getLhs(), depth + 1), b = find(op.getRhs(), depth + 1);
  Type type = getTensorType(op.getResult()).getElementType();
  if (type.isInteger(1))
    return Bound{DimExpr(1), 1, true};
  if (op.getKind() == BinaryKind::Min && (!a || !b))
    return a ? a : b;
  if (!a || !b || a->denominator > kMaxDenominator / b->denominator)
    return std::nullopt;
  DimExpr scaledA = a->numerator * DimExpr(b->denominator);
  DimExpr scaledB = b->numerator * DimExpr(a->denominator);
  int64_t denominator = a->denominator * b->denominator;
  bool bothPositive = a->isNonNegative && b->isNonNegative;
  switch (op.getKind()) {
  case BinaryKind::Add:
    return Bound{scaledA + scaledB, denominator, bothPositive};
  case BinaryKind::Sub:
    return b->isNonNegative ? MaybeBound(Bound{a->numerator, a->denominator})
                            : std::nullopt;
  case BinaryKind::Mul:
    if (!bothPositive)
      return std::nullopt;
    return Bound{a->numerator * b->numerator, denominator, true};
  case BinaryKind::Div: {
    // The divisor must be one number: its bound is then its value.
    auto divisor = op.getRhs().getDefiningOp<ConstantOp>();
    std::optional<int64_t> value = b->numerator.constantValue();
    if (!divisor || !cast<DenseElementsAttr>(divisor.getValue()).isSplat() ||
        !value || *value <= 0 || !a->isNonNegative ||
        *value > kMaxDenominator / a->denominator)
      return std::nullopt;
    return Bound{a->numerator * DimExpr(b->denominator),
                 a->denominator * *value, true};
  }
  case BinaryKind::Mod:
    return bothPositive ? b : std::nullopt;
  case BinaryKind::Max:
    return Bound{maxOf(scaledA, scaledB), denominator,
                 a->isNonNegative || b->isNonNegative};
  case BinaryKind::Min:
    return Bound{isAtLeast(scaledB, scaledA) ? scaledA
                                             : DimExpr::min(scaledA, scaledB),
                 denominator, bothPositive};
  default:
    return std::nullopt;
  }
}

MaybeBound BoundFinder::computeReduce(ReduceOp op, unsigned depth) {
  MaybeBound x = find(op.getX(), depth + 1);
  if (!x || op.getKind() == ReduceKind::Prod)
    return std::nullopt;
  if (op.getKind() != ReduceKind::Sum)
    return x;
  if (!x->isNonNegative)
    return std::nullopt;
  for (int64_t axis : op.getAxes())
    x->numerator = x->numerator * getDim(op.getX(), axis);
  return x;
}

MaybeBound BoundFinder::computeScatter(ScatterKind kind, Value data,
                                       Value updates, unsigned depth) {
  MaybeBound x = find(data, depth + 1), y = find(updates, depth + 1);
  if (kind == ScatterKind::None || kind == ScatterKind::Max)
    return largest({data, updates}, depth);
  if (kind != ScatterKind::Add || !x || !y || x->denominator != 1 ||
      y->denominator != 1 || !y->isNonNegative)
    return std::nullopt;
  // All updates may go to one place.
  return Bound{x->numerator + y->numerator * product(getDims(updates)), 1,
               x->isNonNegative};
}

MaybeBound BoundFinder::computeCumsum(CumsumOp op, unsigned depth) {
  MaybeBound x = find(op.getX(), depth + 1);
  if (!x || !x->isNonNegative)
    return std::nullopt;
  // Of a histogram, all counts together are no more than what was counted,
  // which is the bound of one count.
  Value counted = op.getX();
  while (auto cast = counted.getDefiningOp<CastOp>())
    counted = cast.getX();
  if (auto scatter = counted.getDefiningOp<ScatterElementsOp>())
    if (MaybeBound start = find(scatter.getData(), depth + 1);
        start && start->numerator == DimExpr(0) &&
        scatter.getKind() == ScatterKind::Add)
      return x;
  x->numerator = x->numerator * getDim(op.getX(), op.getAxis());
  return x;
}

MaybeBound BoundFinder::compute(Operation *op, Value value, unsigned depth) {
  return TypeSwitch<Operation *, MaybeBound>(op)
      .Case([&](ConstantOp op) { return boundOfConstant(op.getValue()); })
      .Case([&](ShapeOp op) {
        DimExpr bound(0);
        for (const DimExpr &dim : op.getDims().getDims())
          bound = maxOf(bound, dim);
        return Bound{bound, 1, true};
      })
      .Case([&](UnaryOp op) { return computeUnary(op, depth); })
      .Case([&](BinaryOp op) { return computeBinary(op, depth); })
      .Case([&](ReduceOp op) { return computeReduce(op, depth); })
      .Case([&](SelectOp op) {
        return largest({op.getOnTrue(), op.getOnFalse()}, depth);
      })
      .Case([&](ConcatOp op) { return largest(op.getInputs(), depth); })
      .Case([&](OneHotOp op) { return find(op.getValues(), depth + 1); })
      .Case([&](ScatterElementsOp op) {
        return computeScatter(op.getKind(), op.getData(), op.getUpdates(),
                              depth);
      })
      .Case([&](ScatterNdOp op) {
        return computeScatter(op.getKind(), op.getData(), op.getUpdates(),
                              depth);
      })
      .Case([&](ArgReduceOp op) {
        DimExpr size = getDim(op.getX(), op.getAxis());
        return Bound{size, 1, true};
      })
      .Case([&](TopKOp op) -> MaybeBound {
        if (value == op.getIndices())
          return Bound{getDim(op.getX(), op.getAxis()), 1, true};
        return find(op.getX(), depth + 1);
      })
      .Case([&](IotaOp op) -> MaybeBound {
        DimExpr start = op.getStart().getDim(0);
        DimExpr count = getDim(op.getResult(), 0);
        int64_t step = op.getStep();
        if (step < 0)
          return Bound{start, 1, false};
        return Bound{start + count * DimExpr(step), 1, isNonNegative(start)};
      })
      .Case([&](RangeOp op) { return find(op.getLimit(), depth + 1); })
      .Case([&](CumsumOp op) { return computeCumsum(op, depth); })
      .Case([&](ParamOp op) -> MaybeBound {
        if (op.getValue().getKind().getValue() != "fill")
          return std::nullopt;
        auto number = dyn_cast<FloatAttr>(op.getValue().getValue());
        return number ? MaybeBound(fromDouble(number.getValueAsDouble()))
                      : std::nullopt;
      })
      .Case([&](SoftmaxOp op) -> MaybeBound {
        if (op.getLog())
          return std::nullopt;
        return Bound{DimExpr(1), 1, true};
      })
      .Case<CastOp, ReshapeOp, BroadcastOp, TransposeOp, SliceOp, GatherOp,
            GatherNdOp, GatherElementsOp>([&](Operation *op) -> MaybeBound {
        return find(op->getOperand(0), depth + 1);
      })
      .Default([](Operation *) { return std::nullopt; });
}

MaybeBound BoundFinder::find(Value value, unsigned depth) {
  if (getTensorType(value).getElementType().isInteger(1))
    return Bound{DimExpr(1), 1, true};
  Operation *op = value.getDefiningOp();
  if (!op || depth > kMaxDepth)
    return std::nullopt;
  if (auto it = known.find(value); it != known.end())
    return it->second;
  MaybeBound bound = compute(op, value, depth);
  known[value] = bound;
  return bound;
}

bool isNonNegative(Value value) {
  MaybeBound bound = BoundFinder().find(value);
  return bound && bound->isNonNegative;
}

std::optional<DimExpr> upperBound(Value value) {
  MaybeBound bound = BoundFinder().find(value);
  if (!bound)
    return std::nullopt;
  return DimExpr::floorDiv(bound->numerator, DimExpr(bound->denominator));
}

} // namespace moe::onnx_import
