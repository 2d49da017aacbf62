//===- BuildShape.cpp - Constants and sizes -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/Shapes.h"
#include "frontend/onnx/Bounds.h"
#include "frontend/onnx/Builders.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// The numbers of a Constant's attribute that is no tensor.
static DenseElementsAttr readNumbers(NodeContext &n) {
  auto vector = [](int64_t size, Type type) {
    return RankedTensorType::get({size}, type);
  };
  if (const auto *value = n.findAttr("value_int"))
    return DenseElementsAttr::get(RankedTensorType::get({}, n.i64()),
                                  ArrayRef<int64_t>(value->i()));
  if (const auto *value = n.findAttr("value_ints"))
    return DenseElementsAttr::get(
        vector(value->ints_size(), n.i64()),
        ArrayRef<int64_t>(value->ints().data(), value->ints_size()));
  if (const auto *value = n.findAttr("value_float"))
    return DenseElementsAttr::get(RankedTensorType::get({}, n.f32()),
                                  ArrayRef<float>(value->f()));
  if (const auto *value = n.findAttr("value_floats"))
    return DenseElementsAttr::get(
        vector(value->floats_size(), n.f32()),
        ArrayRef<float>(value->floats().data(), value->floats_size()));
  return {};
}

LogicalResult buildConstant(NodeContext &n) {
  if (const auto *value = n.findAttr("value")) {
    ImportValue *tensor = n.graph().importTensor(value->t());
    if (!tensor)
      return failure();
    n.set(0, *tensor);
    return success();
  }
  DenseElementsAttr numbers = readNumbers(n);
  if (!numbers)
    return n.unsupported("has no value of numbers");
  int64_t width = numbers.getElementType().getIntOrFloatBitWidth() / 8;
  if (numbers.getNumElements() * width > kMaxConstantBytes)
    return n.unsupported("has more than 1 KiB of numbers in an attribute");
  if (isa<FloatType>(numbers.getElementType()) && numbers.getNumElements() > 1)
    n.set(0, n.param(param::inlined(numbers), {}));
  else
    n.set(0, n.constant(numbers));
  return success();
}

LogicalResult buildConstantOfShape(NodeContext &n) {
  FailureOr<Dims> dims = n.sizesOf(0, "input 'shape'");
  if (failed(dims))
    return failure();
  for (const DimExpr &dim : *dims)
    if (dim.constantValue().value_or(0) < 0)
      return n.invalid("makes a tensor of size " + dim.toString());
  Value value = n.scalar(n.f32(), 0);
  if (const auto *attribute = n.findAttr("value")) {
    ImportValue *tensor = n.graph().importTensor(attribute->t());
    if (!tensor)
      return failure();
    if (tensor->isPoisoned || product(getDims(tensor->type)) != DimExpr(1))
      return n.invalid("attribute 'value' is not one number");
    value = n.reshape(n.materialize(*tensor), {});
  }
  RankedTensorType type =
      getTensorType(getTensorType(value).getElementType(), *dims);
  ImportValue scalar(n.location());
  scalar.type = getTensorType(value);
  scalar.ir = value;
  std::optional<SizeElements> number = knownElements(scalar);
  int64_t count = numFollowedElements(type);
  if (number && count >= 0) {
    n.setElements(0, type, SizeElements(count, SizeElement(number->front())));
    return success();
  }
  n.set(0, n.stretch(value, *dims));
  return success();
}

LogicalResult buildRandomLike(NodeContext &n) {
  // DeepSpeed breaks ties among tokens at random; the lowest tokens are as good
  // a choice, and the same one in every run.
  float low = n.floatAttr("low", 0.0f), high = n.floatAttr("high", 1.0f);
  n.ignoreAttr("seed");
  n.ignoreAttr("dtype");
  n.warn("random numbers are replaced by their mean");
  n.set(0, n.filled(n.dims(0), n.f32(), (low + high) / 2));
  return success();
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

LogicalResult buildShape(NodeContext &n) {
  int64_t rank = n.rank(0);
  int64_t start = n.intAttr("start", 0), end = n.intAttr("end", rank);
  auto clamp = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
  };
  SizeElements sizes;
  for (int64_t i = clamp(start); i < clamp(end); ++i)
    sizes.push_back(n.dim(0, i));
  auto type =
      RankedTensorType::get({static_cast<int64_t>(sizes.size())}, n.i64());
  n.setElements(0, type, sizes);
  return success();
}

LogicalResult buildSize(NodeContext &n) {
  SizeElements size = {product(n.dims(0))};
  n.setElements(0, RankedTensorType::get({}, n.i64()), size);
  return success();
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

/// Number of elements of [start, limit) in steps of `delta`, not 0.
static DimExpr countSteps(const DimExpr &start, const DimExpr &limit,
                          int64_t delta) {
  DimExpr distance = delta > 0 ? limit - start : start - limit;
  if (auto value = distance.constantValue(); value && *value <= 0)
    return DimExpr(0);
  if (!isNonNegative(distance))
    distance = DimExpr::max(distance, DimExpr(0));
  return DimExpr::ceilDiv(distance, DimExpr(delta > 0 ? delta : -delta));
}

/// A float that is a constant integer or a size.
static std::optional<DimExpr> wholeFloat(NodeContext &n, unsigned i) {
  if (std::optional<double> number = n.constantNumber(i)) {
    bool isWhole = std::abs(*number) < 1e15 && *number == std::floor(*number);
    return isWhole ? std::optional(DimExpr(static_cast<int64_t>(*number)))
                   : std::nullopt;
  }
  auto cast = n.value(i).getDefiningOp<CastOp>();
  auto shape = cast ? cast.getX().getDefiningOp<ShapeOp>() : ShapeOp();
  return shape ? std::optional(shape.getDims().getDim(0)) : std::nullopt;
}

static LogicalResult setIota(NodeContext &n, const DimExpr &start,
                             const DimExpr &limit, const DimExpr &delta) {
  std::optional<int64_t> step = delta.constantValue();
  if (!step || *step == 0 || *step == INT64_MIN)
    return n.unsupported("delta is " + delta.toString() +
                         ", expected a constant other than 0");
  n.set(0, n.iota(start, countSteps(start, limit, *step), n.elementType(0),
                  *step));
  return success();
}

/// A range of floats: of whole numbers, or of any constants.
static LogicalResult buildFloatRange(NodeContext &n) {
  std::optional<DimExpr> first = wholeFloat(n, 0), last = wholeFloat(n, 1),
                         by = wholeFloat(n, 2);
  if (first && last && by)
    return setIota(n, *first, *last, *by);
  std::optional<double> start = n.constantNumber(0),
                        limit = n.constantNumber(1),
                        delta = n.constantNumber(2);
  if (!start || !limit || !delta || *delta == 0)
    return n.unsupported("bounds of floats are neither constants nor sizes");
  double count = std::max(std::ceil((*limit - *start) / *delta), 0.0);
  if (!(count < 1e9))
    return n.invalid("has too many elements");
  Value steps =
      n.cast(n.iota(DimExpr(0), DimExpr(static_cast<int64_t>(count)), n.i64()),
             n.elementType(0));
  Value scaled = n.binary(BinaryKind::Mul, steps, *delta);
  n.set(0, n.binary(BinaryKind::Add, scaled, *start));
  return success();
}

/// A range whose bounds only a run can tell.
static LogicalResult buildDataRange(NodeContext &n) {
  std::optional<double> delta = n.constantNumber(2);
  std::optional<DimExpr> bound = upperBound(n.value(1));
  if (!delta || *delta < 1 || !isNonNegative(n.value(0)) || !bound)
    return n.unsupported("its length is known only at run time and has no "
                         "bound");
  DimExpr symbol = n.newDataSymbol(*bound);
  n.set(0, n.createTyped<RangeOp>(getTensorType(n.elementType(0), {symbol}),
                                  n.value(0), n.value(1), n.value(2)));
  return success();
}

LogicalResult buildRange(NodeContext &n) {
  // How floats are rounded; integers are not.
  n.ignoreAttr("stash_type");
  for (unsigned i = 0; i < 3; ++i)
    if (product(n.dims(i)) != DimExpr(1))
      return n.invalid("a bound is not one number");
  if (isa<FloatType>(n.elementType(0)))
    return buildFloatRange(n);
  SmallVector<DimExpr> bounds;
  for (unsigned i = 0; i < 3; ++i) {
    std::optional<DimExpr> size = n.knownSize(i);
    if (!size)
      return buildDataRange(n);
    bounds.push_back(*size);
  }
  return setIota(n, bounds[0], bounds[1], bounds[2]);
}

} // namespace moe::onnx_import
