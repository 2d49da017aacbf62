//===- BuildDequantize.cpp - DequantizeLinear -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// y = (x - zero_point) * scale, with one scale for all, one along an axis, or
// one for each block along it. Of a weight, y is a weight that keeps its codes:
//
//   x [K, N], int4, axis 0 in blocks of 32, scale [K / 32, N]
//     -> transpose (dequantize [4, 32] (codes [N, K], scale [N, K / 32]))
//
// Blocks lie along the axis; without blocks, along the one of the last two
// dimensions that has no scales of its own. Codes of signed integers are moved
// by 2^(bits - 1), and zero points with them.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamCodes.h"
#include "frontend/onnx/Builders.h"
#include "frontend/onnx/Codes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {
/// How scales lie over a weight.
struct Grid {
  /// Of scales and zero points in the dimensions of the weight, before those of
  /// 1 are stretched.
  SmallVector<int64_t> given;
  /// The dimension with the blocks, and their size; 0 for all of it.
  int64_t along = 0, block = 0;

  /// Of scales and zero points, stretched.
  SmallVector<int64_t> shape(ArrayRef<int64_t> dims) const {
    SmallVector<int64_t> result(dims);
    result[along] = given[along];
    return result;
  }
};
} // namespace

/// The grid of scales [given] on a weight; nothing if no grid of `dequantize`
/// is like it.
static std::optional<Grid> gridOf(ArrayRef<int64_t> dims,
                                  ArrayRef<int64_t> given, int64_t axis,
                                  int64_t block) {
  int64_t rank = dims.size();
  Grid grid;
  grid.given.assign(rank, 1);
  if (rank == 0 || countOf(dims) == 0)
    return std::nullopt;
  if (countOf(given) == 1) {
    grid.along = std::max<int64_t>(rank - 2, 0);
    return grid;
  }
  if (block == 0) {
    if (rank < 2 || countOf(given) != dims[axis])
      return std::nullopt;
    grid.along = axis == rank - 2 ? rank - 1 : rank - 2;
    grid.given[axis] = dims[axis];
    return grid;
  }
  grid.along = axis;
  grid.block = block;
  grid.given.assign(dims.begin(), dims.end());
  grid.given[axis] = llvm::divideCeil(dims[axis], block);
  return ArrayRef(grid.given) == given ? std::optional(grid) : std::nullopt;
}

/// The weight that x [..] is with scales and zero points, whose numbers have
/// `type`; null if it is none, or has no such grid.
static ParamAttr dequantizedWeight(NodeContext &n, FloatType type, int64_t axis,
                                   int64_t block) {
  std::optional<Codes> codes = codesOf(n, 0);
  ParamAttr scales = codes ? n.asParam(n.value(1)) : ParamAttr();
  scales = scales ? asFill(scales) : scales;
  if (!scales || !isa<FloatType>(scales.getType().getElementType()))
    return {};
  std::optional<Grid> grid =
      gridOf(codes->dims, scales.getType().getShape(), axis, block);
  std::optional<Codes> zeros;
  if (n.has(2) && !(zeros = codesOf(n, 2)))
    return {};
  bool fits =
      !zeros ||
      (zeros->bits == codes->bits && zeros->isSigned == codes->isSigned &&
       countOf(zeros->dims) == scales.getType().getNumElements());
  if (!grid || !fits)
    return {};
  // Without zero points ONNX counts from 0, which is the middle of signed codes
  // and the least of unsigned ones.
  ParamAttr zero;
  if (zeros && !zeros->isMiddle())
    zero = zeros->asBytes();
  else if (!zeros && !codes->isSigned)
    zero = zeroBytes(scales.getType());
  SmallVector<int64_t> toLast, back(codes->rank());
  for (int64_t i = 0; i < codes->rank(); ++i)
    if (i != grid->along)
      toLast.push_back(i);
  toLast.push_back(grid->along);
  for (auto [i, from] : llvm::enumerate(toLast))
    back[from] = i;
  auto spread = [&](ParamAttr x) {
    x = param::stretch(param::reshape(x, grid->given),
                       grid->shape(codes->dims));
    return param::transpose(x, toLast);
  };
  bool isLast = grid->along == codes->rank() - 1;
  ParamAttr q =
      isLast ? codes->asRows() : param::transpose(codes->asBytes(), toLast);
  ParamAttr weight = param::dequantize(
      q, param::cast(spread(scales), type), zero ? spread(zero) : ParamAttr(),
      codes->dims[grid->along], codes->bits, grid->block);
  return param::transpose(weight, back);
}

//===----------------------------------------------------------------------===//
// The operator
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

/// What the operator says in operations, for an x that is no weight.
static Value dequantized(NodeContext &n, Type type, int64_t axis,
                         int64_t block) {
  Value x = n.value(0);
  Value scale = n.cast(spread(n, x, n.value(1), axis, block), type);
  Value number = n.cast(x, type);
  if (n.has(2)) {
    Value zero = n.cast(spread(n, x, n.value(2), axis, block), type);
    number = n.binary(BinaryKind::Sub, number, zero);
  }
  return n.binary(BinaryKind::Mul, number, scale);
}

LogicalResult buildDequantizeLinear(NodeContext &n) {
  int64_t block = n.intAttr("block_size", 0);
  int64_t axis = n.intAttr("axis", 1);
  int64_t output = n.intAttr("output_dtype", 0);
  if (output != 0 && output != 1)
    return n.unsupported("attribute 'output_dtype' = " + Twine(output) +
                         " is not supported");
  const std::optional<PackedTensor> &packed = n.input(0).packed;
  int64_t rank = packed ? packed->dims.size() : n.rank(0);
  if (product(n.dims(1)) != DimExpr(1)) {
    FailureOr<int64_t> counted = n.axisIn(axis, rank);
    if (failed(counted) || block < 0)
      return n.invalid("has a negative block size or no such axis");
    axis = *counted;
  }
  auto type = dyn_cast<FloatType>(output == 1 ? n.f32() : n.elementType(1));
  if (!type)
    return n.invalid("has scales that are no floats");
  if (ParamAttr weight = dequantizedWeight(n, type, axis, block)) {
    n.set(0, n.param(weight, n.input(0).paramName));
    return success();
  }
  if (packed || (n.has(2) && n.input(2).packed))
    return n.unsupported("scales or zero points do not fit integers of " +
                         Twine(packed ? packed->bits : 4) +
                         " bits, or are no weights");
  n.set(0, dequantized(n, type, axis, block));
  return success();
}

} // namespace moe::onnx_import
