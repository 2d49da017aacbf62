//===- BuildQuantized.cpp - Quantized weights -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamBuilder.h"
#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// DequantizeLinear
//===----------------------------------------------------------------------===//

/// Scale or zero point in the dimensions of x: one number, one along the axis,
/// or one for each block along the axis.
static Value spread(NodeContext &n, Value x, Value scale, int64_t axis,
                    int64_t block) {
  Dims dims = getDims(x), given = getDims(scale);
  if (product(given) == DimExpr(1))
    return n.reshape(scale, {});
  if (block == 0) {
    Dims aligned(dims.size(), DimExpr(1));
    aligned[axis] = dims[axis];
    return n.reshape(scale, aligned);
  }
  // [.., blocks, ..] is [.., blocks, 1, ..], stretched to [.., blocks, b, ..].
  if (given.size() != dims.size() || given[axis] * DimExpr(block) != dims[axis])
    return (void)n.unsupported("its blocks of " + Twine(block) +
                               " do not divide size " + dims[axis].toString()),
           n.placeholder();
  Dims blocked = given;
  blocked.insert(blocked.begin() + axis + 1, DimExpr(1));
  Value stretched = n.reshape(scale, blocked);
  blocked[axis + 1] = DimExpr(block);
  return n.reshape(n.stretch(stretched, blocked), dims);
}

// (x - zero_point) * scale
LogicalResult buildDequantizeLinear(NodeContext &n) {
  int64_t block = n.intAttr("block_size", 0);
  int64_t axis = n.intAttr("axis", 1);
  int64_t output = n.intAttr("output_dtype", 0);
  if (output != 0 && output != 1)
    return n.unsupported("attribute 'output_dtype' = " + Twine(output) +
                         " is not supported");
  bool isPerTensor = product(n.dims(1)) == DimExpr(1);
  if (!isPerTensor) {
    FailureOr<int64_t> counted = n.axisIn(axis, n.rank(0));
    if (failed(counted) || block < 0)
      return n.invalid("has a negative block size or no such axis");
    axis = *counted;
  }
  Type type = n.elementType(1);
  Value x = n.value(0);
  Value scale = spread(n, x, n.value(1), axis, block);
  Value number = n.cast(x, type);
  if (n.has(2)) {
    Value zero = n.cast(spread(n, x, n.value(2), axis, block), type);
    number = n.binary(BinaryKind::Sub, number, zero);
  }
  n.set(0, n.binary(BinaryKind::Mul, number, scale));
  return success();
}

//===----------------------------------------------------------------------===//
// Weights of blocks of few bits
//===----------------------------------------------------------------------===//

/// The expression of an input that must be a weight.
static FailureOr<ParamAttr> weightInput(NodeContext &n, unsigned i,
                                        StringRef what) {
  if (ParamAttr attr = n.asParam(n.value(i)))
    return attr;
  return n.unsupported(what + " is not a weight");
}

static bool hasElements(ParamAttr param, int64_t count) {
  return param.getType().getNumElements() == count;
}

// B [N, ceil(K / block), block * bits / 8], scales [N, ceil(K / block)], zero
// points packed likewise. The result is [K, N].
static FailureOr<ParamAttr> nbitsWeight(NodeContext &n, int64_t k, int64_t size,
                                        int64_t bits, int64_t block) {
  FailureOr<ParamAttr> q = weightInput(n, 1, "input 'B'");
  FailureOr<ParamAttr> scales = weightInput(n, 2, "input 'scales'");
  if (failed(q) || failed(scales))
    return failure();
  int64_t blocks = llvm::divideCeil(k, block);
  int64_t packedBytes = blocks * block * bits / 8;
  if (!q->getType().getElementType().isUnsignedInteger(8) ||
      !hasElements(*q, size * packedBytes) ||
      !hasElements(*scales, size * blocks) ||
      !isa<FloatType>(scales->getType().getElementType()))
    return n.invalid("has B or scales that do not fit K, N and block_size");
  // The last block may hold more than K needs.
  int64_t usedBytes = llvm::divideCeil(k * bits, 8);
  ParamAttr packed = param::slice(param::reshape(*q, {size, packedBytes}),
                                  {0, 0}, {1, 1}, {size, usedBytes});
  ParamAttr zeroPoints;
  if (n.has(3)) {
    FailureOr<ParamAttr> zero = weightInput(n, 3, "input 'zero_points'");
    int64_t zeroBytes = llvm::divideCeil(blocks * bits, 8);
    if (failed(zero))
      return failure();
    if (!zero->getType().getElementType().isUnsignedInteger(8) ||
        !hasElements(*zero, size * zeroBytes))
      return n.unsupported("input 'zero_points' is not of packed integers");
    zeroPoints = param::reshape(*zero, {size, zeroBytes});
  }
  ParamAttr weight =
      param::dequantize(packed, param::reshape(*scales, {size, blocks}),
                        zeroPoints, k, bits, block);
  return param::transpose(weight, {1, 0});
}

static LogicalResult checkBits(NodeContext &n, int64_t bits, int64_t block) {
  if (bits != 2 && bits != 4 && bits != 8)
    return n.unsupported("attribute 'bits' = " + Twine(bits) +
                         " is not supported");
  if (block < 16 || !llvm::isPowerOf2_64(block) || block > (1 << 20))
    return n.invalid("attribute 'block_size' is " + Twine(block));
  return success();
}

LogicalResult buildMatMulNBits(NodeContext &n) {
  int64_t k = n.requiredInt("K"), size = n.requiredInt("N");
  int64_t bits = n.intAttr("bits", 4), block = n.requiredInt("block_size");
  // How ONNX Runtime may round; the weights are exact here.
  n.ignoreAttr("accuracy_level");
  if (n.hasFailed() || failed(checkBits(n, bits, block)) ||
      failed(n.expectInt("weight_prepacked", 0, 0)))
    return failure();
  if (k < 1 || size < 1 || k > INT32_MAX || size > INT32_MAX)
    return n.invalid("attributes 'K' and 'N' are " + Twine(k) + " and " +
                     Twine(size));
  if (n.has(4))
    return n.unsupported("input 'g_idx' is not supported");
  FailureOr<ParamAttr> weight = nbitsWeight(n, k, size, bits, block);
  if (failed(weight))
    return failure();
  Value b = n.param(*weight, paramNameOf(n.value(1)));
  b = n.cast(b, n.elementType(0));
  Value result = n.matmul(n.value(0), b);
  if (n.has(5))
    result = n.binary(BinaryKind::Add, result, n.value(5));
  n.set(0, result);
  return success();
}

// data [.., K * bits / 8] of bytes, quantized along the last axis.
LogicalResult buildGatherBlockQuantized(NodeContext &n) {
  int64_t bits = n.intAttr("bits", 4), block = n.intAttr("block_size", 128);
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("gather_axis", 0), n.rank(0));
  FailureOr<int64_t> along = n.axisIn(n.intAttr("quantize_axis", 1), n.rank(0));
  if (failed(axis) || failed(along) || failed(checkBits(n, bits, block)))
    return failure();
  if (*along != n.rank(0) - 1 || *axis == *along)
    return n.unsupported("is not quantized along the last axis");
  FailureOr<ParamAttr> q = weightInput(n, 0, "input 'data'");
  FailureOr<ParamAttr> scales = weightInput(n, 2, "input 'scales'");
  if (failed(q) || failed(scales))
    return failure();
  if (!q->getType().getElementType().isUnsignedInteger(8))
    return n.unsupported("input 'data' is not of packed bytes");
  int64_t size = q->getType().getShape().back() * 8 / bits;
  SmallVector<int64_t> blocks(q->getType().getShape());
  blocks.back() = llvm::divideCeil(size, block);
  if (scales->getType().getShape() != ArrayRef(blocks) ||
      !isa<FloatType>(scales->getType().getElementType()))
    return n.invalid("has scales that do not fit the data");
  ParamAttr zeroPoints;
  if (n.has(3)) {
    FailureOr<ParamAttr> zero = weightInput(n, 3, "input 'zero_points'");
    if (failed(zero))
      return failure();
    blocks.back() = llvm::divideCeil(blocks.back() * bits, 8);
    if (!zero->getType().getElementType().isUnsignedInteger(8) ||
        zero->getType().getShape() != ArrayRef(blocks))
      return n.unsupported("input 'zero_points' is not of packed integers");
    zeroPoints = *zero;
  }
  ParamAttr table =
      param::dequantize(*q, *scales, zeroPoints, size, bits, block);
  n.set(0,
        n.gather(n.param(table, paramNameOf(n.value(0))), n.value(1), *axis));
  return success();
}

} // namespace moe::onnx_import
