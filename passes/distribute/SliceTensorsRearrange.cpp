//===- SliceTensorsRearrange.cpp - Parts of what products interleave ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slicing::take where no rule says which part of an operand is needed, because
// units of the result are spread over it: slices of fused products, columns in
// another order, heads and positions in one dimension.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "dialect/moe/ParamBuilder.h"

#include <numeric>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static int rankOf(Value value) { return getTensorType(value).getRank(); }

//===----------------------------------------------------------------------===//
// Fused products
//===----------------------------------------------------------------------===//

/// Of the operand of a slice the units that it has, or that `cut` picks of it.
/// Nothing if not all is constant.
const Cut *Slicing::cutOfSlice(SliceOp op, int axis, const Cut *cut) {
  std::optional<int64_t> start = op.getStarts().getDim(axis).constantValue();
  std::optional<int64_t> size = getDim(op.getResult(), axis).constantValue();
  std::optional<int64_t> whole = getDim(op.getX(), axis).constantValue();
  if (!start || !size || !whole || *size == 0 || op.getSteps()[axis] != 1)
    return nullptr;
  int64_t unit = *size;
  SmallVector<int64_t> picks = {0};
  if (cut) {
    unit = *size / *cut->units.whole.constantValue();
    picks = cut->picks;
  }
  // Units of the slice in smaller ones, which those of the operand are as well.
  int64_t common = std::gcd(std::gcd(*start, unit), *whole);
  SmallVector<int64_t> units;
  for (int64_t pick : picks)
    for (int64_t i = 0; i < unit / common; ++i)
      units.push_back((*start + pick * unit) / common + i);
  return &pickCut(*whole / common, units);
}

/// The slice of `type` from the units `picked` of its operand.
Value Slicing::sliceOfUnits(SliceOp op, int axis, const Cut &picked,
                            RankedTensorType type) {
  Value x = take(op.getX(), axis, picked);
  if (x.getType() == type)
    return x;
  // The slice of other axes.
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfter(op);
  Dims starts = op.getStarts().getDims();
  starts[axis] = DimExpr(0);
  return SliceOp::create(builder, op.getLoc(), type, x,
                         DimsAttr::get(builder.getContext(), starts),
                         op.getSteps());
}

// Pattern: part(slice(matmul(x, w))) -> part(matmul(x, slice(w)))
Value Slicing::takeOfSlice(SliceOp op, int axis, const Cut &cut) {
  const Cut *picked = cutOfSlice(op, axis, cut.isOfRank() ? nullptr : &cut);
  unsigned numProducts = 0;
  if (!picked || !isOfWeights(op.getX(), axis, *picked, numProducts) ||
      numProducts == 0)
    return {};
  if (!cut.isOfRank())
    return sliceOfUnits(op, axis, *picked, cutType(op.getResult(), axis, cut));
  Value slice = sliceOfUnits(op, axis, *picked, getTensorType(op.getResult()));
  return take(slice, axis, cut);
}

/// A product whose columns are of a weight.
static bool hasColumns(MatmulOp op) {
  return op && op.getRhs().getDefiningOp<ParamOp>() &&
         rankOf(op.getRhs()) == 2 &&
         (!op.getBias() || op.getBias().getDefiningOp<ParamOp>());
}

/// The columns (axis `axis`) of a weight, which are the product of `sizes`,
/// with dimension `front` of these before the others.
static ParamAttr bringColumnsForward(ParamAttr weight, int axis,
                                     ArrayRef<int64_t> sizes, int front) {
  // Columns are rounded one by one.
  if (weight.getKind() == "quantize" && axis == 1)
    return param::quantize(
        bringColumnsForward(cast<ParamAttr>(weight.getOperands()[0]), axis,
                            sizes, front),
        weight.getInts()[0], weight.getInts()[1], weight.getInts()[2] != 0);
  SmallVector<int64_t> shape(weight.getType().getShape()), unfolded;
  for (auto [i, size] : llvm::enumerate(shape)) {
    if (static_cast<int>(i) == axis)
      llvm::append_range(unfolded, sizes);
    else
      unfolded.push_back(size);
  }
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, unfolded.size()));
  auto *begin = permutation.begin() + axis;
  std::rotate(begin, begin + front, begin + front + 1);
  return param::reshape(
      param::transpose(param::reshape(weight, unfolded), permutation), shape);
}

// Pattern: part(reshape(matmul(x, w)) to [.., 3, H, D]) of H -> the product
// with the columns in the order [H, 3, D], transposed afterwards
Value Slicing::takeOfUnfolded(ReshapeOp op, int axis, const Cut &cut) {
  auto product = op.getX().getDefiningOp<MatmulOp>();
  if (!hasColumns(product))
    return {};
  Dims from = getDims(op.getX()), to = getDims(op.getResult());
  int last = from.size() - 1, front = axis - last;
  if (front <= 0 || ArrayRef(from).drop_back() != ArrayRef(to).take_front(last))
    return {};
  auto sizes = constantDims(ArrayRef(to).drop_front(last));
  if (!sizes)
    return {};
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfter(product);
  auto reordered = [&](Value weight, int columns) -> Value {
    if (!weight)
      return {};
    auto param = weight.getDefiningOp<ParamOp>();
    return ParamOp::create(
        builder, param.getLoc(),
        bringColumnsForward(param.getValue(), columns, *sizes, front),
        param.getNameAttr());
  };
  Value rhs = reordered(product.getRhs(), product.getTransposeRhs() ? 0 : 1);
  Value bias = reordered(product.getBias(), 0);
  Value all =
      MatmulOp::create(builder, product.getLoc(), product.getLhs(), rhs, bias,
                       product.getTransposeRhs(), product.getArithmetic());
  Value part = take(all, last, cut);
  builder.setInsertionPointAfter(op);
  Dims dims = cutDims(to, axis, cut);
  std::rotate(dims.begin() + last, dims.begin() + axis,
              dims.begin() + axis + 1);
  Type elementType = getTensorType(part).getElementType();
  Value unfolded = ReshapeOp::create(builder, op.getLoc(),
                                     getTensorType(elementType, dims), part);
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
  std::rotate(permutation.begin() + last, permutation.begin() + last + 1,
              permutation.begin() + axis + 1);
  return TransposeOp::create(builder, op.getLoc(), unfolded, permutation);
}

//===----------------------------------------------------------------------===//
// Regrouped dimensions
//===----------------------------------------------------------------------===//

/// Heads and positions may be one dimension where each head is normalized; they
/// are apart before and behind.
// Pattern: part(reshape(reshape(x))) -> part(reshape(x))
// Pattern: part(reshape(norm(x))) -> part(norm(reshape(x)))
Value Slicing::takeOfRegrouped(ReshapeOp op, int axis, const Cut &cut) {
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfter(op);
  if (auto inner = op.getX().getDefiningOp<ReshapeOp>())
    return take(
        ReshapeOp::create(builder, op.getLoc(), op.getType(), inner.getX()),
        axis, cut);
  auto norm = op.getX().getDefiningOp<NormOp>();
  if (!norm)
    return {};
  Dims from = getDims(op.getX()), to = getDims(op.getResult());
  size_t normalized = from.size() - norm.getAxis();
  if (to.size() <= normalized ||
      axis >= static_cast<int>(to.size() - normalized) ||
      ArrayRef(from).take_back(normalized) !=
          ArrayRef(to).take_back(normalized))
    return {};
  Value x = ReshapeOp::create(builder, op.getLoc(), op.getType(), norm.getX());
  auto moved = cast<NormOp>(builder.clone(*norm));
  moved.getXMutable().assign(x);
  moved.setAxis(to.size() - normalized);
  moved.getResult().setType(op.getType());
  return take(moved.getResult(), axis, cut);
}
