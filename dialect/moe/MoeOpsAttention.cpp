//===- MoeOpsAttention.cpp - Attention and its caches ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

LogicalResult RotaryOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: x has rank 4.
  if (failed(check.expectRank("x", x, 4)))
    return failure();
  // C3: rotary_dim is even, positive and at most D.
  int64_t rotary = adaptor.getRotaryDim();
  std::optional<int64_t> depth = getDim(x, 3).constantValue();
  if (rotary <= 0 || rotary % 2 != 0 || (depth && rotary > *depth))
    return check.error("rotates " + Twine(rotary) + " of " +
                       getDim(x, 3).toString() + " elements");
  // C2: cos and sin are [B or 1, S, R/2].
  Dims expected = {getDim(x, 0), getDim(x, 2), DimExpr(rotary / 2)};
  for (Value table : {adaptor.getCos(), adaptor.getSin()})
    if (rankOf(table) != 3 || getDim(table, 1) != expected[1] ||
        getDim(table, 2) != expected[2] ||
        !broadcastsTo(getDims(table), expected))
      return check.error("has cos or sin of " + toString(getDims(table)) +
                         ", expected " + toString(expected) + " or 1 in front");
  // C4: floats of one type.
  for (Value operand : adaptor.getOperands())
    if (failed(check.expectFloat("an operand", operand)) ||
        failed(check.expectSameElementType("an operand", operand,
                                           elementTypeOf(x))))
      return failure();
  types.push_back(x.getType());
  return success();
}

/// The optional operands of moe.attention: C4 to C6.
static LogicalResult verifyMaskSinkLengths(const Inference &check,
                                           AttentionOp::Adaptor adaptor) {
  Value q = adaptor.getQ();
  // C4: the mask is i1 or floats and broadcasts to [B, H, S, T].
  if (Value mask = adaptor.getMask()) {
    Dims scores = {getDim(q, 0), getDim(q, 1), getDim(q, 2),
                   getDim(adaptor.getK(), 2)};
    if (!elementTypeOf(mask).isInteger(1) &&
        failed(check.expectFloat("a mask", mask)))
      return failure();
    if (!broadcastsTo(getDims(mask), scores))
      return check.error("has a mask of " + toString(getDims(mask)) +
                         ", which does not broadcast to " + toString(scores));
  }
  // C5: sink is floats [H].
  if (Value sink = adaptor.getSink())
    if (failed(check.expectFloat("sink", sink)) ||
        failed(check.expectDims("sink", sink, {getDim(q, 1)})))
      return failure();
  // C6: lengths is i64 [B].
  if (Value lengths = adaptor.getLengths())
    if (failed(check.expectInteger("lengths", lengths, 64)) ||
        failed(check.expectDims("lengths", lengths, {getDim(q, 0)})))
      return failure();
  return success();
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value q = adaptor.getQ(), k = adaptor.getK(), v = adaptor.getV();
  // C1: floats of one type and rank 4.
  for (Value operand : {q, k, v})
    if (failed(check.expectFloat("an operand", operand)) ||
        failed(check.expectRank("an operand", operand, 4)) ||
        failed(check.expectSameElementType("an operand", operand,
                                           elementTypeOf(q))))
      return failure();
  // C2: B, T, D and KV agree.
  DimExpr batch = getDim(q, 0), keys = getDim(k, 2);
  if (failed(check.expectDims("k", k,
                              {batch, getDim(k, 1), keys, getDim(q, 3)})) ||
      failed(
          check.expectDims("v", v, {batch, getDim(k, 1), keys, getDim(v, 3)})))
    return failure();
  // C3: KV divides H, for all values of symbols.
  DimExpr heads = getDim(q, 1), kvHeads = getDim(k, 1);
  if (kvHeads == DimExpr(0) || !DimExpr::divideExactly(heads, kvHeads))
    return check.error("has " + heads.toString() + " heads for " +
                       kvHeads.toString() + " heads of keys");
  if (failed(verifyMaskSinkLengths(check, adaptor)))
    return failure();
  // C7: window and softcap are not negative.
  float softcap = adaptor.getSoftcap().convertToFloat();
  if (static_cast<int64_t>(adaptor.getWindow()) < 0 || !(softcap >= 0.0f))
    return check.error("has a negative window or softcap");
  types.push_back(getTensorType(
      elementTypeOf(q), Dims{batch, getDim(q, 1), getDim(q, 2), getDim(v, 3)}));
  return success();
}

LogicalResult CacheAppendOp::inferReturnTypes(MLIRContext *context,
                                              std::optional<Location> location,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value past = adaptor.getPast(), added = adaptor.getNewEntries();
  int64_t axis = adaptor.getAxis();
  // C1: the axis is below the rank.
  if (failed(check.expectAxis(axis, rankOf(past))))
    return failure();
  // C2: ranks, element types and the other dimensions are equal.
  if (failed(check.expectRank("new entries", added, rankOf(past))) ||
      failed(check.expectSameElementType("new entries", added,
                                         elementTypeOf(past))))
    return failure();
  Dims dims = getDims(past);
  DimExpr length = dims[axis];
  dims[axis] = getDim(added, axis);
  if (failed(check.expectDims("new entries", added, dims)))
    return failure();
  dims[axis] = length + dims[axis];
  // C3: lengths is i64 [B].
  if (Value lengths = adaptor.getLengths())
    if (failed(check.expectInteger("lengths", lengths, 64)) ||
        failed(check.expectDims("lengths", lengths, {dims[0]})) ||
        failed(check.expect(axis != 0, "has lengths along axis 0")))
      return failure();
  types.push_back(getTensorType(elementTypeOf(past), dims));
  return success();
}
