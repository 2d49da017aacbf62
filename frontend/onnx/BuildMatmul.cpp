//===- BuildMatmul.cpp - Matrix products ----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// The last two dimensions swapped.
static Value transposeLast(NodeContext &n, Value x) {
  int64_t rank = getTensorType(x).getRank();
  if (rank < 2)
    return (void)n.invalid("transposes a tensor of rank " + Twine(rank)),
           n.placeholder();
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return n.transpose(x, permutation);
}

/// numpy's product: a vector is a row on the left and a column on the right.
static Value product2(NodeContext &n, Value a, Value b) {
  bool isRow = getTensorType(a).getRank() == 1;
  bool isColumn = getTensorType(b).getRank() == 1;
  if (isRow)
    a = n.unsqueeze(a, {0});
  if (isColumn)
    b = n.unsqueeze(b, {1});
  Value result = n.matmul(a, b);
  int64_t rank = getTensorType(result).getRank();
  if (isColumn)
    result = n.squeeze(result, {rank - 1});
  if (isRow)
    result = n.squeeze(result, {rank - 2});
  return result;
}

LogicalResult buildMatMul(NodeContext &n) {
  if (n.elementType(0) != n.elementType(1))
    return n.invalid("multiplies tensors of different element types");
  n.set(0, product2(n, n.value(0), n.value(1)));
  return success();
}

LogicalResult buildFusedMatMul(NodeContext &n) {
  float alpha = n.floatAttr("alpha", 1.0f);
  Value a = n.value(0), b = n.value(1);
  if (n.intAttr("transA", 0) != 0)
    a = transposeLast(n, a);
  if (n.intAttr("transB", 0) != 0)
    b = transposeLast(n, b);
  if (failed(n.expectInt("transBatchA", 0, 0)) ||
      failed(n.expectInt("transBatchB", 0, 0)))
    return failure();
  Value result = product2(n, a, b);
  if (alpha != 1.0f)
    result = n.binary(BinaryKind::Mul, result, alpha);
  n.set(0, result);
  return success();
}

// alpha * A B + beta * C, where C broadcasts.
LogicalResult buildGemm(NodeContext &n) {
  float alpha = n.floatAttr("alpha", 1.0f), beta = n.floatAttr("beta", 1.0f);
  bool transA = n.intAttr("transA", 0) != 0;
  bool transB = n.intAttr("transB", 0) != 0;
  if (n.rank(0) != 2 || n.rank(1) != 2)
    return n.invalid("has matrices of ranks " + Twine(n.rank(0)) + " and " +
                     Twine(n.rank(1)));
  Value a = n.value(0), b = n.value(1);
  if (transA)
    a = transposeLast(n, a);
  // Of a weight, the transpose is part of its expression.
  if (transB && paramOf(b)) {
    b = transposeLast(n, b);
    transB = false;
  }
  Value c = n.valueOrNull(2);
  bool isBias = c && alpha == 1.0f && beta == 1.0f &&
                getTensorType(c).getRank() == 1 &&
                getDim(c, 0) == getDim(b, transB ? 0 : 1);
  Value result = n.matmul(a, b, isBias ? c : Value(), transB);
  if (alpha != 1.0f)
    result = n.binary(BinaryKind::Mul, result, alpha);
  if (c && !isBias && beta != 0.0f) {
    if (beta != 1.0f)
      c = n.binary(BinaryKind::Mul, c, beta);
    result = n.binary(BinaryKind::Add, result, c);
  }
  n.set(0, result);
  return success();
}

} // namespace moe::onnx_import
