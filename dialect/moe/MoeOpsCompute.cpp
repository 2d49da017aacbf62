//===- MoeOpsCompute.cpp - Reductions, products, normalizations -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  ArrayRef<int64_t> axes = adaptor.getAxes();
  // C1: axes are sorted, unique and below the rank.
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (failed(check.expectAxis(axis, rankOf(x))) ||
        failed(check.expect(i == 0 || axes[i - 1] < axis,
                            "has axes that are not sorted and unique")))
      return failure();
  }
  // C2: only max and min take i1.
  ReduceKind kind = adaptor.getKind();
  if (kind != ReduceKind::Max && kind != ReduceKind::Min &&
      failed(check.expectNumber("x", x)))
    return failure();
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(getDims(x))) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      dims.push_back(dim);
    else if (adaptor.getKeepdims())
      dims.push_back(DimExpr(1));
  }
  types.push_back(getTensorType(elementTypeOf(x), dims));
  return success();
}

LogicalResult ArgReduceOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  int64_t axis = adaptor.getAxis();
  // C1: the axis is below the rank; C2: not i1.
  if (failed(check.expectAxis(axis, rankOf(x))) ||
      failed(check.expectNumber("x", x)))
    return failure();
  Dims dims = getDims(x);
  if (adaptor.getKeepdims())
    dims[axis] = DimExpr(1);
  else
    dims.erase(dims.begin() + axis);
  types.push_back(getTensorType(IntegerType::get(context, 64), dims));
  return success();
}

LogicalResult CumsumOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: the axis is below the rank; C2: not i1.
  if (failed(check.expectAxis(adaptor.getAxis(), rankOf(x))) ||
      failed(check.expectNumber("x", x)))
    return failure();
  types.push_back(x.getType());
  return success();
}

LogicalResult TopKOp::verify() {
  Inference check(*this);
  int64_t axis = getAxis();
  // C1: the axis is below the rank.
  if (failed(check.expectAxis(axis, rankOf(getX()))))
    return failure();
  // C2: values has x's type but along the axis, indices its dimensions and i64.
  if (failed(check.expectSameElementType("values", getValues(),
                                         elementTypeOf(getX()))) ||
      failed(check.expectInteger("indices", getIndices(), 64)) ||
      failed(check.expectRank("values", getValues(), rankOf(getX()))))
    return failure();
  Dims dims = getDims(getX());
  DimExpr size = dims[axis];
  dims[axis] = getDim(getValues(), axis);
  if (failed(check.expectDims("values", getValues(), dims)) ||
      failed(check.expectDims("indices", getIndices(), dims)))
    return failure();
  // C3: k is at most the size.
  std::optional<int64_t> k = dims[axis].constantValue();
  std::optional<int64_t> limit = size.constantValue();
  if (k && limit && *k > *limit)
    return check.error("takes " + Twine(*k) + " of " + Twine(*limit) +
                       " elements");
  // C4: the operand k is one integer.
  if (!getK())
    return success();
  if (failed(check.expectInteger("k", getK())))
    return failure();
  return check.expect(product(getDims(getK())) == DimExpr(1),
                      "has k of " + toString(getDims(getK())) +
                          ", expected one element");
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Type type = elementTypeOf(adaptor.getLhs());
  // C1: the element types are equal and not i1.
  if (failed(check.expectNumber("lhs", adaptor.getLhs())))
    return failure();
  for (Value operand : adaptor.getOperands())
    if (failed(check.expectSameElementType("an operand", operand, type)))
      return failure();
  // C2: both have rank >= 2.
  Dims lhs = getDims(adaptor.getLhs()), rhs = getDims(adaptor.getRhs());
  if (lhs.size() < 2 || rhs.size() < 2)
    return check.error("multiplies " + toString(lhs) + " and " + toString(rhs) +
                       ", expected ranks of at least 2");
  if (adaptor.getTransposeRhs())
    std::swap(rhs[rhs.size() - 1], rhs[rhs.size() - 2]);
  DimExpr n = rhs.pop_back_val(), kRhs = rhs.pop_back_val();
  DimExpr kLhs = lhs.pop_back_val(), m = lhs.pop_back_val();
  // C3: K is equal.
  if (kLhs != kRhs)
    return check.error("has K of " + kLhs.toString() + " in lhs and of " +
                       kRhs.toString() + " in rhs");
  // C4: the leading dimensions broadcast.
  FailureOr<Dims> dims = broadcastDims(lhs, rhs);
  if (failed(dims))
    return check.error("has leading dimensions " + toString(lhs) + " and " +
                       toString(rhs) + ", which do not broadcast");
  // C5: bias is [N].
  if (adaptor.getBias() &&
      failed(check.expectDims("bias", adaptor.getBias(), {n})))
    return failure();
  dims->append({m, n});
  types.push_back(getTensorType(type, *dims));
  return success();
}

//===----------------------------------------------------------------------===//
// Normalizations
//===----------------------------------------------------------------------===//

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: the axis is below the rank; C2: floats.
  if (failed(check.expectAxis(adaptor.getAxis(), rankOf(x))) ||
      failed(check.expectFloat("x", x)))
    return failure();
  types.push_back(x.getType());
  return success();
}

LogicalResult NormOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: the axis is below the rank.
  if (failed(check.expectAxis(adaptor.getAxis(), rankOf(x))))
    return failure();
  Dims dims = getDims(x);
  ArrayRef<DimExpr> normalized =
      ArrayRef<DimExpr>(dims).drop_front(adaptor.getAxis());
  for (Value operand : adaptor.getOperands()) {
    // C2: floats.
    if (failed(check.expectFloat("an operand", operand)))
      return failure();
    // C3: scale and bias broadcast to the normalized dimensions.
    if (operand != x && !broadcastsTo(getDims(operand), normalized))
      return check.error("has scale or bias of " + toString(getDims(operand)) +
                         ", which does not broadcast to " +
                         toString(normalized));
  }
  // C4: rms has no bias.
  if (adaptor.getKind() == NormKind::Rms && adaptor.getBias())
    return check.error("is an rms norm with a bias");
  types.push_back(x.getType());
  return success();
}
