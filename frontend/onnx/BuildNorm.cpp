//===- BuildNorm.cpp - Normalizations -------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// stash_type 1: statistics in f32, which moe.norm has anyway.
static LogicalResult expectStash(NodeContext &n) {
  return n.expectInt("stash_type", 1, 1);
}

/// The statistics of a layer norm as outputs: mean, 1 / sqrt(var + epsilon).
static void setStatistics(NodeContext &n, Value x, int64_t axis,
                          float epsilon) {
  if (!n.wants(1) && !n.wants(2))
    return;
  x = n.cast(x, n.f32());
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(axis, getTensorType(x).getRank()));
  Value mean = n.reduce(ReduceKind::Mean, x, axes, true);
  Value centered = n.binary(BinaryKind::Sub, x, mean);
  Value square = n.binary(BinaryKind::Mul, centered, centered);
  Value variance = n.reduce(ReduceKind::Mean, square, axes, true);
  Value shifted = n.binary(BinaryKind::Add, variance, epsilon);
  n.set(1, mean);
  n.set(2, n.unary(UnaryKind::Rsqrt, shifted));
}

LogicalResult buildLayerNorm(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0));
  float epsilon = n.floatAttr("epsilon", 1e-5f);
  if (failed(expectStash(n)) || failed(axis))
    return failure();
  n.set(0, n.norm(NormKind::Layer, n.value(0), n.value(1), n.valueOrNull(2),
                  *axis, epsilon));
  setStatistics(n, n.value(0), *axis, epsilon);
  return success();
}

LogicalResult buildRmsNorm(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0));
  float epsilon = n.floatAttr("epsilon", 1e-5f);
  if (failed(expectStash(n)) || failed(axis))
    return failure();
  n.set(0, n.norm(NormKind::Rms, n.value(0), n.value(1), {}, *axis, epsilon));
  return success();
}

/// x + skip (+ bias), which the node may also give as output 3.
static Value addSkip(NodeContext &n, unsigned biasIndex) {
  Value sum = n.binary(BinaryKind::Add, n.value(0), n.value(1));
  if (n.has(biasIndex))
    sum = n.binary(BinaryKind::Add, sum, n.value(biasIndex));
  n.set(3, sum);
  return sum;
}

// Inputs: x, skip, gamma, beta, bias.
LogicalResult buildSkipLayerNorm(NodeContext &n) {
  float epsilon = n.floatAttr("epsilon", 1e-12f);
  if (n.rank(0) < 1)
    return n.invalid("has an input of rank 0");
  Value sum = addSkip(n, 4);
  n.set(0, n.norm(NormKind::Layer, sum, n.value(2), n.valueOrNull(3),
                  n.rank(0) - 1, epsilon));
  setStatistics(n, sum, n.rank(0) - 1, epsilon);
  return success();
}

// Inputs: x, skip, gamma, bias.
LogicalResult buildSkipRmsNorm(NodeContext &n) {
  float epsilon = n.floatAttr("epsilon", 1e-12f);
  if (n.rank(0) < 1)
    return n.invalid("has an input of rank 0");
  Value sum = addSkip(n, 3);
  n.set(0, n.norm(NormKind::Rms, sum, n.value(2), {}, n.rank(0) - 1, epsilon));
  return success();
}

LogicalResult buildLpNorm(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0));
  int64_t p = n.intAttr("p", 2);
  if (failed(axis))
    return failure();
  if (p != 1 && p != 2)
    return n.invalid("attribute 'p' is " + Twine(p) + ", expected 1 or 2");
  Value x = n.value(0);
  Value power =
      p == 1 ? n.unary(UnaryKind::Abs, x) : n.binary(BinaryKind::Mul, x, x);
  Value length = n.reduce(ReduceKind::Sum, power, {*axis}, true);
  if (p == 2)
    length = n.unary(UnaryKind::Sqrt, length);
  n.set(0, n.binary(BinaryKind::Div, x, length));
  return success();
}

} // namespace moe::onnx_import
