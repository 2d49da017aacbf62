//===- BuildQuantized.cpp - Quantized weights -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamCodes.h"
#include "dialect/moe/Shapes.h"
#include "frontend/onnx/Builders.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

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

ParamAttr widenedScales(ParamAttr scales, Type type) {
  unsigned bits = scales.getType().getElementTypeBitWidth();
  return bits < type.getIntOrFloatBitWidth() ? param::cast(scales, type)
                                             : scales;
}

// Zero points z [N, blocks] that are floats: (q - z) s = (q - d) s + (d - z) s,
// d = 2^(bits - 1). The first term is `weight`, the second one repeats in each
// block.
static ParamAttr shiftBlocks(ParamAttr weight, ParamAttr zero, ParamAttr scales,
                             int64_t bits, int64_t block) {
  int64_t size = scales.getType().getDimSize(0);
  int64_t blocks = scales.getType().getDimSize(1);
  int64_t k = weight.getType().getDimSize(1);
  Type type = scales.getType().getElementType();
  ParamAttr middle = param::fill(
      scales.getType(),
      FloatAttr::get(type, static_cast<double>(int64_t(1) << (bits - 1))));
  ParamAttr shift = param::mul(
      param::add(middle, param::scale(param::cast(zero, type), -1)), scales);
  shift = param::stretch(param::reshape(shift, {size, blocks, 1}),
                         {size, blocks, block});
  shift = param::slice(param::reshape(shift, {size, blocks * block}), {0, 0},
                       {1, 1}, {size, k});
  return param::add(weight, shift);
}

// B [N, ceil(K / block), block * bits / 8], scales [N, ceil(K / block)], zero
// points packed likewise, or floats like the scales. The result is [K, N].
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
  ParamAttr scale =
      param::reshape(widenedScales(*scales, n.elementType(0)), {size, blocks});
  ParamAttr integers, floats;
  if (n.has(3)) {
    FailureOr<ParamAttr> zero = weightInput(n, 3, "input 'zero_points'");
    int64_t zeroBytes = llvm::divideCeil(blocks * bits, 8);
    if (failed(zero))
      return failure();
    Type type = zero->getType().getElementType();
    bool isFloat = isa<FloatType>(type);
    if ((!isFloat && !type.isUnsignedInteger(8)) ||
        !hasElements(*zero, size * (isFloat ? blocks : zeroBytes)))
      return n.invalid("has zero points that do not fit K, N and block_size");
    (isFloat ? floats : integers) =
        param::reshape(*zero, {size, isFloat ? blocks : zeroBytes});
  }
  ParamAttr weight = param::dequantize(packed, scale, integers, k, bits, block);
  if (floats)
    weight = shiftBlocks(weight, floats, scale, bits, block);
  return param::transpose(weight, {1, 0});
}

LogicalResult checkBits(NodeContext &n, int64_t bits, int64_t block) {
  if (bits != 2 && bits != 4 && bits != 8)
    return n.unsupported("attribute 'bits' = " + Twine(bits) +
                         " is not supported");
  if (block < 16 || !llvm::isPowerOf2_64(block) || block > (1 << 20))
    return n.invalid("attribute 'block_size' is " + Twine(block));
  return success();
}

/// How a product reads its rows at an accuracy level. 4 asks for 8 bits; what
/// the others allow is no more than exact.
static Arithmetic arithmeticAt(NodeContext &n, int64_t level, int64_t block) {
  if (level != 4)
    return Arithmetic::Float;
  bool hasFloatZeros = n.has(3) && isa<FloatType>(n.elementType(3));
  if (block % 32 == 0 && !hasFloatZeros)
    return Arithmetic::Int8;
  mlir::remark::missed(
      n.location(),
      mlir::remark::RemarkOpts::name("arithmetic").category("moe-import"))
      << (hasFloatZeros ? "computes in float: its zero points are floats"
                        : "computes in float: its blocks are no multiples of "
                          "32");
  return Arithmetic::Float;
}

// g_idx [K], perhaps padded to whole blocks: the block whose scale and zero
// point row k has. Files mostly say what holds without it.
static LogicalResult checkGroups(NodeContext &n, int64_t k, int64_t block) {
  int64_t padded = llvm::divideCeil(k, block) * block;
  // Before they are read: how many there are is up to the file.
  std::optional<int64_t> size = n.type(4).hasStaticShape()
                                    ? numElementsOf(n.type(4).getShape())
                                    : std::nullopt;
  if (size && *size != k && *size != padded)
    return n.invalid("input 'g_idx' has " + Twine(*size) +
                     " elements, expected " + Twine(k));
  FailureOr<std::vector<int64_t>> groups = n.weightInts(4, "input 'g_idx'");
  if (failed(groups))
    return failure();
  for (int64_t row = 0; row < k; ++row)
    if ((*groups)[row] != row / block)
      return n.unsupported("input 'g_idx' puts row " + Twine(row) +
                           " in group " + Twine((*groups)[row]) +
                           ", and only groups of " + Twine(block) +
                           " rows in order are supported");
  return success();
}

LogicalResult buildMatMulNBits(NodeContext &n) {
  int64_t k = n.requiredInt("K"), size = n.requiredInt("N");
  int64_t bits = n.intAttr("bits", 4), block = n.requiredInt("block_size");
  int64_t accuracy = n.intAttr("accuracy_level", 0);
  if (n.hasFailed() || failed(checkBits(n, bits, block)) ||
      failed(n.expectInt("weight_prepacked", 0, 0)))
    return failure();
  if (k < 1 || size < 1 || k > INT32_MAX || size > INT32_MAX)
    return n.invalid("attributes 'K' and 'N' are " + Twine(k) + " and " +
                     Twine(size));
  if (accuracy < 0 || accuracy > 4)
    return n.invalid("attribute 'accuracy_level' is " + Twine(accuracy));
  FailureOr<ParamAttr> weight = nbitsWeight(n, k, size, bits, block);
  if (failed(weight))
    return failure();
  if (n.has(4) && failed(checkGroups(n, k, block)))
    return failure();
  Value b = n.param(*weight, paramNameOf(n.value(1)));
  b = n.cast(b, n.elementType(0));
  Value result = n.matmul(n.value(0), b, Value(), /*transposeB=*/false,
                          arithmeticAt(n, accuracy, block));
  if (n.has(5))
    result = n.binary(BinaryKind::Add, result, n.value(5));
  n.set(0, result);
  return success();
}

} // namespace moe::onnx_import
