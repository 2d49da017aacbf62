//===- ParamBuilder.cpp - Expressions of weights --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/ParamNodes.h"

#include "dialect/moe/HostTensor.h"

using namespace mlir;

namespace moe::dialect::param {

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

ParamAttr file(RankedTensorType type, StringRef path, int64_t offset) {
  return make("file", type, {offset, bytesOf(type)}, {}, {},
              StringAttr::get(type.getContext(), path));
}

ParamAttr varint(RankedTensorType type, StringRef path, int64_t offset,
                 int64_t bytes) {
  return make("varint", type, {offset, bytes}, {}, {},
              StringAttr::get(type.getContext(), path));
}

ParamAttr fill(RankedTensorType type, TypedAttr value) {
  return make("fill", type, {}, {}, value);
}

ParamAttr inlined(DenseElementsAttr value) {
  return make("inline", llvm::cast<RankedTensorType>(value.getType()), {}, {},
              value);
}

//===----------------------------------------------------------------------===//
// Transpose, reshape
//===----------------------------------------------------------------------===//

ParamAttr transpose(ParamAttr x, ArrayRef<int64_t> permutation) {
  // Identity -> x
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, permutation.size())))
    return x;
  // transpose(transpose(x)) -> transpose(x)
  if (isKind(x, "transpose")) {
    SmallVector<int64_t> composed;
    for (int64_t i : permutation)
      composed.push_back(x.getInts()[i]);
    return transpose(operandOf(x), composed);
  }
  SmallVector<int64_t> shape;
  for (int64_t i : permutation)
    shape.push_back(x.getType().getDimSize(i));
  // transpose(fill) -> fill
  if (isKind(x, "fill"))
    return make("fill", withShape(x, shape), {}, {}, x.getValue());
  // Only dimensions of size 1 change places -> reshape(x)
  SmallVector<int64_t> moved;
  for (int64_t i : permutation)
    if (x.getType().getDimSize(i) != 1)
      moved.push_back(i);
  if (llvm::is_sorted(moved))
    return reshape(x, shape);
  // transpose(quantize(x)) -> quantize(transpose(x)) [matrices stay]
  int64_t rank = permutation.size();
  if (isKind(x, "quantize") && permutation[rank - 1] == rank - 1 &&
      permutation[rank - 2] == rank - 2)
    return quantizeAs(x, transpose(operandOf(x), permutation));
  return make("transpose", withShape(x, shape), permutation, {x});
}

ParamAttr reshape(ParamAttr x, ArrayRef<int64_t> shape) {
  RankedTensorType type = withShape(x, shape);
  if (type == x.getType())
    return x;
  // reshape(reshape(x)) -> reshape(x)
  if (isKind(x, "reshape"))
    return reshape(operandOf(x), shape);
  // reshape(file) -> file; reshape(fill) -> fill
  if (isKind(x, "file") || isKind(x, "varint") || isKind(x, "fill"))
    return make(x.getKind(), type, x.getInts(), {}, x.getValue(), x.getFile());
  // reshape(stack(x)) -> reshape(x)
  if (isKind(x, "stack") && x.getOperands().size() == 1)
    return reshape(operandOf(x), shape);
  // reshape(quantize(x)) -> quantize(reshape(x)) [matrices stay]
  if (isKind(x, "quantize") && shape.size() >= 2 &&
      shape.take_back(2) == x.getType().getShape().take_back(2))
    return quantizeAs(x, reshape(operandOf(x), shape));
  return make("reshape", type, {}, {x});
}

ParamAttr take(ParamAttr x, ArrayRef<int64_t> entries, int64_t axis) {
  SmallVector<int64_t> shape(x.getType().getShape());
  shape[axis] = entries.size();
  RankedTensorType type = withShape(x, shape);
  if (isKind(x, "fill"))
    return make("fill", type, {}, {}, x.getValue());
  SmallVector<int64_t> ints = {axis};
  llvm::append_range(ints, entries);
  return make("take", type, ints, {x});
}

//===----------------------------------------------------------------------===//
// Joins
//===----------------------------------------------------------------------===//

/// True if all are fills by one value of equal element type.
static bool areEqualFills(ArrayRef<ParamAttr> inputs) {
  return llvm::all_of(inputs, [&](ParamAttr input) {
    return isKind(input, "fill") &&
           input.getValue() == inputs.front().getValue();
  });
}

/// The operands of weights that are all rounded alike; empty if they are not.
static SmallVector<ParamAttr> beforeQuantize(ArrayRef<ParamAttr> inputs) {
  SmallVector<ParamAttr> operands;
  for (ParamAttr input : inputs) {
    if (!isKind(input, "quantize") ||
        input.getInts() != inputs.front().getInts())
      return {};
    operands.push_back(operandOf(input));
  }
  return operands;
}

ParamAttr concat(ArrayRef<ParamAttr> inputs, int64_t axis) {
  if (inputs.size() == 1)
    return inputs.front();
  // concat(concat(a, b), c) -> concat(a, b, c)
  SmallVector<ParamAttr> flat;
  SmallVector<int64_t> shape(inputs.front().getType().getShape());
  shape[axis] = 0;
  for (ParamAttr input : inputs) {
    shape[axis] += input.getType().getDimSize(axis);
    if (isKind(input, "concat") && input.getInts()[0] == axis)
      for (Attribute operand : input.getOperands())
        flat.push_back(llvm::cast<ParamAttr>(operand));
    else
      flat.push_back(input);
  }
  RankedTensorType type = withShape(inputs.front(), shape);
  // concat(fill, fill) -> fill
  if (areEqualFills(inputs))
    return make("fill", type, {}, {}, inputs.front().getValue());
  // concat(quantize(a), quantize(b)) -> quantize(concat(a, b)) [not along K]
  if (SmallVector<ParamAttr> wide = beforeQuantize(flat);
      !wide.empty() && axis != type.getRank() - 2)
    return quantizeAs(flat.front(), concat(wide, axis));
  return make("concat", type, {axis}, flat);
}

ParamAttr stack(ArrayRef<ParamAttr> inputs) {
  SmallVector<int64_t> shape(inputs.front().getType().getShape());
  shape.insert(shape.begin(), inputs.size());
  RankedTensorType type = withShape(inputs.front(), shape);
  // stack(fill, fill) -> fill
  if (areEqualFills(inputs))
    return make("fill", type, {}, {}, inputs.front().getValue());
  // stack(x) -> reshape(x)
  if (inputs.size() == 1 && !isKind(inputs.front(), "transpose"))
    return reshape(inputs.front(), shape);
  // stack(transpose(a), transpose(b)) -> transpose(stack(a, b))
  bool areTransposed = llvm::all_of(inputs, [&](ParamAttr input) {
    return isKind(input, "transpose") &&
           input.getInts() == inputs.front().getInts();
  });
  if (areTransposed) {
    SmallVector<ParamAttr> operands;
    for (ParamAttr input : inputs)
      operands.push_back(operandOf(input));
    SmallVector<int64_t> permutation = {0};
    for (int64_t i : inputs.front().getInts())
      permutation.push_back(i + 1);
    return transpose(stack(operands), permutation);
  }
  // stack(quantize(a), quantize(b)) -> quantize(stack(a, b))
  if (SmallVector<ParamAttr> wide = beforeQuantize(inputs); !wide.empty())
    return quantizeAs(inputs.front(), stack(wide));
  return make("stack", type, {}, inputs);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

ParamAttr cast(ParamAttr x, Type elementType) {
  RankedTensorType type = withElementType(x.getType(), elementType);
  if (type == x.getType())
    return x;
  if (!isKind(x, "fill"))
    return make("cast", type, {}, {x});
  // cast(fill) -> fill
  auto scalar = RankedTensorType::get({}, x.getType().getElementType());
  HostTensor value =
      *readConstant(DenseElementsAttr::get(scalar, x.getValue()));
  auto converted = llvm::cast<DenseElementsAttr>(
      writeConstant(type.getContext(), hostCast(value, *toDType(elementType))));
  return make("fill", type, {}, {}, converted.getSplatValue<Attribute>());
}

ParamAttr scale(ParamAttr x, double factor) {
  if (factor == 1.0)
    return x;
  auto value = FloatAttr::get(Float64Type::get(x.getContext()), factor);
  return make("scale", x.getType(), {}, {x}, value);
}

static ParamAttr binary(StringRef kind, ParamAttr a, ParamAttr b) {
  Shape shape = broadcastShapes(a.getType().getShape(), b.getType().getShape());
  return make(kind, withShape(a, shape), {}, {a, b});
}

ParamAttr add(ParamAttr a, ParamAttr b) { return binary("add", a, b); }
ParamAttr mul(ParamAttr a, ParamAttr b) { return binary("mul", a, b); }

ParamAttr dequantize(ParamAttr q, ParamAttr scales, ParamAttr zeroPoints,
                     int64_t size, int64_t bits, int64_t block) {
  SmallVector<int64_t> shape(q.getType().getShape());
  shape.back() = size;
  SmallVector<ParamAttr> operands = {q, scales};
  if (zeroPoints)
    operands.push_back(zeroPoints);
  return make("dequantize", withShape(scales, shape), {bits, block}, operands);
}

ParamAttr quantize(ParamAttr x, int64_t bits, int64_t block,
                   bool hasZeroPoints) {
  return make("quantize", x.getType(), {bits, block, hasZeroPoints ? 1 : 0},
              {x});
}

} // namespace moe::dialect::param
