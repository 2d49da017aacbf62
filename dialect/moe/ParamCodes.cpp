//===- ParamCodes.cpp - Codes of weights in other places ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamCodes.h"
#include "dialect/moe/ParamNodes.h"

using namespace mlir;

namespace moe::dialect::param {

/// A number in every element.
static ParamAttr filled(ArrayRef<int64_t> shape, Type type, int64_t number) {
  TypedAttr value;
  if (auto floats = dyn_cast<FloatType>(type))
    value = FloatAttr::get(floats, static_cast<double>(number));
  else
    value = IntegerAttr::get(type, number);
  return fill(RankedTensorType::get(shape, type), value);
}

ParamAttr unpack(ParamAttr q, int64_t size, int64_t bits) {
  RankedTensorType type = q.getType();
  if (bits == 8)
    return q;
  SmallVector<int64_t> rows(type.getShape());
  rows.back() = 1;
  Type f32 = Float32Type::get(q.getContext());
  ParamAttr codes =
      dequantize(q, filled(rows, f32, 1),
                 filled(rows, type.getElementType(), 0), size, bits, 0);
  return cast(codes, type.getElementType());
}

ParamAttr stretch(ParamAttr x, ArrayRef<int64_t> shape) {
  RankedTensorType type = x.getType();
  if (type.getShape() == shape)
    return x;
  if (isKind(x, "fill"))
    return fill(RankedTensorType::get(shape, type.getElementType()),
                llvm::cast<TypedAttr>(x.getValue()));
  bool isFloat = isa<FloatType>(type.getElementType());
  ParamAttr neutral = filled(shape, type.getElementType(), isFloat ? 1 : 0);
  return isFloat ? mul(x, neutral) : add(x, neutral);
}

/// What `x` was before it was stretched along `axis`; null if it was not.
static ParamAttr beforeStretch(ParamAttr x, int64_t axis) {
  SmallVector<int64_t> shape(x.getType().getShape());
  shape[axis] = 1;
  if (x.getType().getDimSize(axis) == 1)
    return x;
  if (isKind(x, "fill"))
    return fill(RankedTensorType::get(shape, x.getType().getElementType()),
                llvm::cast<TypedAttr>(x.getValue()));
  bool isFloat = isa<FloatType>(x.getType().getElementType());
  if (!isKind(x, isFloat ? "mul" : "add"))
    return {};
  ParamAttr source = operandOf(x), neutral = operandOf(x, 1);
  if (source.getType().getRank() != x.getType().getRank() ||
      source.getType().getDimSize(axis) != 1 || !isKind(neutral, "fill") ||
      neutral != filled(x.getType().getShape(), x.getType().getElementType(),
                        isFloat ? 1 : 0))
    return {};
  return stretch(source, shape);
}

ParamAttr codesAlong(ParamAttr weight, int64_t axis) {
  if (isKind(weight, "cast")) {
    ParamAttr x = operandOf(weight), moved = codesAlong(x, axis);
    return moved == x ? weight : cast(moved, weight.getType().getElementType());
  }
  ParamAttr x = isKind(weight, "transpose") ? operandOf(weight) : weight;
  int64_t rank = x.getType().getRank(), last = rank - 1;
  if (!isKind(x, "dequantize"))
    return weight;
  // The dimension of x that becomes `axis`.
  SmallVector<int64_t> toWeight = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (x != weight)
    toWeight.assign(weight.getInts().begin(), weight.getInts().end());
  int64_t from = toWeight[axis];
  if (from == last || operandOf(x, 1).getType().getDimSize(last) != 1)
    return weight;
  SmallVector<int64_t> swap = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(swap[from], swap[last]);
  SmallVector<int64_t> ofBlocks(x.getType().getShape());
  std::swap(ofBlocks[from], ofBlocks[last]);
  ofBlocks[last] = 1;
  // Of scales and zero points, one for each block.
  auto moved = [&](unsigned i) {
    ParamAttr one = beforeStretch(operandOf(x, i), from);
    return one ? stretch(one, ofBlocks) : ParamAttr();
  };
  int64_t size = x.getType().getDimSize(last), bits = x.getInts()[0];
  bool hasZeros = x.getOperands().size() == 3;
  ParamAttr scales = moved(1), zeros = hasZeros ? moved(2) : ParamAttr();
  if (!scales || (hasZeros && !zeros))
    return weight;
  ParamAttr q = operandOf(x);
  if (q.getType().getDimSize(last) != size)
    q = unpack(q, size, bits);
  ParamAttr turned = dequantize(transpose(q, swap), scales, zeros,
                                x.getType().getDimSize(from), bits, 0);
  SmallVector<int64_t> back;
  for (int64_t i : toWeight)
    back.push_back(swap[i]);
  return transpose(turned, back);
}

} // namespace moe::dialect::param
