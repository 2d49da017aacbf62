//===- AttentionScores.cpp - Masks and scores of attention ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/AttentionParts.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

Value joinMasks(NodeContext &n, Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  auto isBool = [](Value mask) {
    return getTensorType(mask).getElementType().isInteger(1);
  };
  if (isBool(a) && isBool(b))
    return n.binary(BinaryKind::And, a, b);
  if (isBool(b))
    std::swap(a, b);
  if (!isBool(a))
    return n.binary(BinaryKind::Add, a, b);
  Type type = getTensorType(b).getElementType();
  return n.select(a, b, n.scalar(type, -INFINITY));
}

Value positionMask(NodeContext &n, const AttentionParts &p) {
  DimExpr queries = getDim(p.q, 2), keys = getDim(p.k, 2);
  Value i =
      n.reshape(n.iota(p.offset, queries, n.i64()), {queries, DimExpr(1)});
  Value j = n.iota(DimExpr(0), keys, n.i64());
  auto bound = [&](CompareKind kind, double distance) {
    return n.compare(kind, j, n.binary(BinaryKind::Add, i, distance));
  };
  Value mask;
  if (p.isCausal)
    mask = bound(CompareKind::Le, 0);
  else if (p.right >= 0)
    mask = bound(CompareKind::Le, static_cast<double>(p.right));
  if (p.left >= 0)
    mask = joinMasks(n, mask,
                     bound(CompareKind::Ge, -static_cast<double>(p.left)));
  return mask;
}

/// The keys of each query head: head h reads h / (H / KV).
static Value repeatHeads(NodeContext &n, Value x, const DimExpr &numHeads) {
  Dims dims = getDims(x);
  if (dims[1] == numHeads)
    return x;
  std::optional<DimExpr> group = DimExpr::divideExactly(numHeads, dims[1]);
  if (!group)
    return (void)n.invalid("has " + numHeads.toString() + " heads for " +
                           dims[1].toString() + " heads of keys"),
           n.placeholder();
  Value split = n.unsqueeze(x, {2});
  Value wide = n.stretch(split, {dims[0], dims[1], *group, dims[2], dims[3]});
  return n.reshape(wide, {dims[0], numHeads, dims[2], dims[3]});
}

/// The softmax of masked scores; a row that sees nothing is zero.
static Value maskedSoftmax(NodeContext &n, Value scores, Value bias) {
  Value softmax = n.softmax(scores, 3);
  if (!bias)
    return softmax;
  int64_t last = getTensorType(bias).getRank() - 1;
  Value largest = n.reduce(ReduceKind::Max, bias, {last}, true);
  Type type = getTensorType(bias).getElementType();
  Value seesNothing =
      n.compare(CompareKind::Eq, largest, n.scalar(type, -INFINITY));
  return n.select(seesNothing,
                  n.scalar(getTensorType(scores).getElementType(), 0), softmax);
}

LogicalResult setScores(NodeContext &n, const AttentionParts &p, int64_t mode) {
  if (mode < 0 || mode > 3)
    return n.invalid("attribute 'qk_matmul_output_mode' is " + Twine(mode));
  if (p.lengths && mode > 1)
    return n.unsupported("an output of scores with lengths");
  Value k = repeatHeads(n, p.k, getDim(p.q, 1));
  Value scores = n.binary(BinaryKind::Mul,
                          n.matmul(p.q, k, {}, /*transposeB=*/true), p.scale);
  if (mode > 0 && p.softcap > 0) {
    scores = n.binary(BinaryKind::Div, scores, p.softcap);
    scores =
        n.binary(BinaryKind::Mul, n.unary(UnaryKind::Tanh, scores), p.softcap);
  }
  Value bias = joinMasks(n, p.mask, positionMask(n, p));
  Type type = getTensorType(scores).getElementType();
  if (bias && getTensorType(bias).getElementType().isInteger(1))
    bias = n.select(bias, n.scalar(type, 0), n.scalar(type, -INFINITY));
  if (mode > 1 && bias)
    scores = n.binary(BinaryKind::Add, scores, n.cast(bias, type));
  n.set(3, mode == 3 ? maskedSoftmax(n, scores, bias) : scores);
  return success();
}

} // namespace moe::onnx_import
