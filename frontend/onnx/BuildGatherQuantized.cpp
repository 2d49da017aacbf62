//===- BuildGatherQuantized.cpp - Rows of tables of integers --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GatherBlockQuantized looks rows up in a table of codes, with blocks along
// `quantize_axis`. The table becomes a `dequantize`, which keeps its codes:
// what is looked up is made floats when it is.
//
// Bytes hold 8 / bits codes of neighbours along the last axis, and count from
// 2^(bits - 1) without zero points; elements of types of 4 bits, from 0.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamCodes.h"
#include "frontend/onnx/Builders.h"
#include "frontend/onnx/Codes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Codes of `bits` bits in input i.
static FailureOr<Codes> readCodes(NodeContext &n, unsigned i, StringRef what,
                                  int64_t bits) {
  std::optional<Codes> codes = codesOf(n, i);
  if (!codes || codes->dims.empty())
    return n.unsupported(what + " is not a weight of integers");
  if (!n.input(i).packed) {
    if (codes->isSigned)
      return n.unsupported(what + " has elements of 8 bits with a sign");
    codes->dims.back() *= 8 / bits;
    codes->bits = bits;
  }
  if (codes->bits != bits)
    return n.invalid(what + " has elements of " + Twine(codes->bits) +
                     " bits, attribute 'bits' is " + Twine(bits));
  return *codes;
}

/// Zero points as bytes in the shape of the scales, or packed if the file has
/// them so along the blocks; null where `dequantize` needs none.
static FailureOr<ParamAttr> readZeros(NodeContext &n, const Codes &codes,
                                      RankedTensorType scales, bool isLast) {
  bool areBytes = !n.input(0).packed;
  if (!n.has(3))
    return areBytes || codes.isSigned ? ParamAttr() : zeroBytes(scales);
  FailureOr<Codes> zeros = readCodes(n, 3, "input 'zero_points'", codes.bits);
  if (failed(zeros))
    return failure();
  // Bytes may end with a code that belongs to no scale.
  SmallVector<int64_t> expected(scales.getShape());
  if (areBytes)
    expected.back() = llvm::alignTo(expected.back(), 8 / codes.bits);
  if (areBytes == n.input(3).packed.has_value() ||
      zeros->isSigned != codes.isSigned || zeros->dims != expected)
    return n.invalid("has zero points that do not fit the scales");
  if (isLast && areBytes)
    return zeros->data;
  SmallVector<int64_t> starts(expected.size(), 0), steps(expected.size(), 1);
  return param::slice(zeros->asBytes(), starts, steps, scales.getShape());
}

LogicalResult buildGatherBlockQuantized(NodeContext &n) {
  int64_t bits = n.intAttr("bits", 4), block = n.intAttr("block_size", 128);
  if (failed(checkBits(n, bits, block)))
    return failure();
  FailureOr<Codes> codes = readCodes(n, 0, "input 'data'", bits);
  if (failed(codes))
    return failure();
  int64_t last = codes->rank() - 1;
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("gather_axis", 0), last + 1);
  FailureOr<int64_t> along = n.axisIn(n.intAttr("quantize_axis", 1), last + 1);
  if (failed(axis) || failed(along))
    return failure();
  ParamAttr scales = n.asParam(n.value(2));
  if (!scales || !isa<FloatType>(scales.getType().getElementType()))
    return n.unsupported("input 'scales' is not a weight of floats");
  SmallVector<int64_t> blocks(codes->dims);
  blocks[*along] = llvm::divideCeil(blocks[*along], block);
  if (scales.getType().getShape() != ArrayRef(blocks))
    return n.invalid("has scales that do not fit the data");
  bool isLast = *along == last;
  FailureOr<ParamAttr> zeros = readZeros(n, *codes, scales.getType(), isLast);
  if (failed(zeros))
    return failure();
  // The axis of the blocks comes last, and goes back.
  SmallVector<int64_t> swap =
      llvm::to_vector(llvm::seq<int64_t>(0, codes->rank()));
  std::swap(swap[*along], swap[last]);
  auto moved = [&](ParamAttr x) {
    return isLast || !x ? x : param::transpose(x, swap);
  };
  ParamAttr q = isLast ? codes->asRows() : moved(codes->asBytes());
  ParamAttr table = moved(param::dequantize(q, moved(scales), moved(*zeros),
                                            codes->dims[*along], bits, block));
  n.set(0, n.gather(n.param(table, n.input(0).paramName), n.value(1), *axis));
  return success();
}

} // namespace moe::onnx_import
