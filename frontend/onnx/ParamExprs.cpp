//===- ParamExprs.cpp - Making #moe.param expressions ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ParamExprs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

static ParamAttr make(StringRef kind, RankedTensorType type,
                      ArrayRef<Attribute> operands, ArrayRef<int64_t> ints = {},
                      StringAttr file = {}, Attribute value = {}) {
  MLIRContext *context = type.getContext();
  return ParamAttr::get(context, StringAttr::get(context, kind), file, value,
                        ints, operands, type);
}

static RankedTensorType withShape(ParamAttr x, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, x.getType().getElementType());
}

ParamAttr paramFile(StringRef file, uint64_t offset, uint64_t length,
                    bool isVarint, RankedTensorType type) {
  return make(isVarint ? "varint" : "file", type, {},
              {static_cast<int64_t>(offset), static_cast<int64_t>(length)},
              StringAttr::get(type.getContext(), file));
}

ParamAttr paramZeros(RankedTensorType type) {
  return make("fill", type, {}, {}, {},
              FloatAttr::get(type.getElementType(), 0.0));
}

ParamAttr paramInline(DenseElementsAttr value) {
  return make("inline", cast<RankedTensorType>(value.getType()), {}, {}, {},
              value);
}

ParamAttr paramSlice(ParamAttr x, ArrayRef<int64_t> starts,
                     ArrayRef<int64_t> sizes, ArrayRef<int64_t> steps) {
  if (x.getType().getShape() == sizes &&
      llvm::all_of(steps, [](int64_t step) { return step == 1; }))
    return x;
  SmallVector<int64_t> ints(starts);
  ints.append(steps.begin(), steps.end());
  return make("slice", withShape(x, sizes), {x}, ints);
}

ParamAttr paramTranspose(ParamAttr x, ArrayRef<int64_t> permutation) {
  // transpose(transpose(x, p), q) is transpose(x, p . q).
  SmallVector<int64_t> combined(permutation);
  if (x.getKind().getValue() == "transpose") {
    for (int64_t &axis : combined)
      axis = x.getInts()[axis];
    x = cast<ParamAttr>(x.getOperands().front());
  }
  if (llvm::equal(combined, llvm::seq<int64_t>(0, combined.size())))
    return x;
  SmallVector<int64_t> shape;
  for (int64_t axis : combined)
    shape.push_back(x.getType().getDimSize(axis));
  return make("transpose", withShape(x, shape), {x}, combined);
}

ParamAttr paramReshape(ParamAttr x, ArrayRef<int64_t> shape) {
  if (x.getKind().getValue() == "reshape")
    x = cast<ParamAttr>(x.getOperands().front());
  if (x.getType().getShape() == shape)
    return x;
  return make("reshape", withShape(x, shape), {x});
}

ParamAttr paramConcat(ArrayRef<ParamAttr> parts, int64_t axis) {
  SmallVector<int64_t> shape(parts.front().getType().getShape());
  SmallVector<Attribute> operands;
  shape[axis] = 0;
  for (ParamAttr part : parts) {
    shape[axis] += part.getType().getDimSize(axis);
    operands.push_back(part);
  }
  return make("concat", withShape(parts.front(), shape), operands, {axis});
}

ParamAttr paramCast(ParamAttr x, Type elementType) {
  if (x.getType().getElementType() == elementType)
    return x;
  return make("cast",
              RankedTensorType::get(x.getType().getShape(), elementType), {x});
}

ParamAttr paramBinary(StringRef kind, ParamAttr a, ParamAttr b,
                      RankedTensorType type) {
  return make(kind, type, {a, b});
}

ParamAttr paramDequantize(ParamAttr q, ParamAttr scales, ParamAttr zeroPoints,
                          int64_t bits, int64_t block, int64_t size,
                          Type elementType) {
  SmallVector<int64_t> shape(q.getType().getShape());
  shape.back() = size;
  SmallVector<Attribute> operands = {q, scales};
  if (zeroPoints)
    operands.push_back(zeroPoints);
  return make("dequantize", RankedTensorType::get(shape, elementType), operands,
              {bits, block});
}

} // namespace moe::onnx_import
