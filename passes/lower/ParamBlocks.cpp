//===- ParamBlocks.cpp - Parts of weights as expressions ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/ParamBlocks.h"

#include "llvm/ADT/SmallVector.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

static ParamAttr make(StringRef kind, ArrayRef<int64_t> ints,
                      ArrayRef<Attribute> operands, RankedTensorType type,
                      Attribute value = {}, StringAttr file = {}) {
  MLIRContext *context = type.getContext();
  return ParamAttr::get(context, StringAttr::get(context, kind), file, value,
                        ints, operands, type);
}

static ParamAttr operand(ParamAttr param, size_t i) {
  return cast<ParamAttr>(param.getOperands()[i]);
}

static RankedTensorType withoutFirst(RankedTensorType type) {
  return RankedTensorType::get(type.getShape().drop_front(),
                               type.getElementType());
}

/// What always works: cut the piece out, then drop its dimension of size 1.
static ParamAttr cutOut(ParamAttr param, int64_t index) {
  RankedTensorType type = param.getType();
  size_t rank = type.getRank();
  SmallVector<int64_t> ints(2 * rank, 0), shape(type.getShape());
  ints[0] = index;
  std::fill(ints.begin() + rank, ints.end(), 1);
  shape[0] = 1;
  ParamAttr piece = make("slice", ints, {param},
                         RankedTensorType::get(shape, type.getElementType()));
  return make("reshape", {}, {piece}, withoutFirst(type));
}

/// The same node over the elements of its operands.
static ParamAttr mapOperands(ParamAttr param, int64_t index,
                             ArrayRef<int64_t> ints) {
  SmallVector<Attribute> operands;
  for (Attribute attr : param.getOperands())
    operands.push_back(moe::pass::elementOfParam(cast<ParamAttr>(attr), index));
  return make(param.getKind(), ints, operands, withoutFirst(param.getType()),
              param.getValue());
}

static ParamAttr elementOfFile(ParamAttr param, int64_t index) {
  int64_t bytes = param.getInts()[1] / param.getType().getDimSize(0);
  return make("file", {param.getInts()[0] + index * bytes, bytes}, {},
              withoutFirst(param.getType()), {}, param.getFile());
}

static ParamAttr elementOfConcat(ParamAttr param, int64_t index) {
  int64_t axis = param.getInts()[0];
  if (axis > 0)
    return mapOperands(param, index, {axis - 1});
  for (size_t i = 0;; ++i) {
    int64_t size = operand(param, i).getType().getDimSize(0);
    if (index < size)
      return moe::pass::elementOfParam(operand(param, i), index);
    index -= size;
  }
}

static ParamAttr elementOfTranspose(ParamAttr param, int64_t index) {
  ArrayRef<int64_t> permutation = param.getInts();
  if (permutation[0] != 0)
    return cutOut(param, index);
  SmallVector<int64_t> rest;
  for (int64_t i : permutation.drop_front())
    rest.push_back(i - 1);
  if (llvm::is_sorted(rest))
    return moe::pass::elementOfParam(operand(param, 0), index);
  return mapOperands(param, index, rest);
}

static ParamAttr elementOfSlice(ParamAttr param, int64_t index) {
  ArrayRef<int64_t> ints = param.getInts();
  size_t rank = ints.size() / 2;
  ParamAttr element = moe::pass::elementOfParam(operand(param, 0),
                                                ints[0] + index * ints[rank]);
  RankedTensorType type = withoutFirst(param.getType());
  if (element.getType() == type)
    return element;
  SmallVector<int64_t> rest(ints.slice(1, rank - 1));
  llvm::append_range(rest, ints.slice(rank + 1, rank - 1));
  return make("slice", rest, {element}, type);
}

/// Operands of add and mul broadcast: some have no such dimension.
static ParamAttr elementOfBroadcast(ParamAttr param, int64_t index) {
  SmallVector<Attribute> operands;
  for (Attribute attr : param.getOperands()) {
    auto each = cast<ParamAttr>(attr);
    RankedTensorType type = each.getType();
    if (type.getRank() == param.getType().getRank())
      each =
          moe::pass::elementOfParam(each, type.getDimSize(0) == 1 ? 0 : index);
    operands.push_back(each);
  }
  return make(param.getKind(), {}, operands, withoutFirst(param.getType()));
}

ParamAttr moe::pass::elementOfParam(ParamAttr param, int64_t index) {
  StringRef kind = param.getKind();
  RankedTensorType type = param.getType();
  if (kind == "file")
    return elementOfFile(param, index);
  if (kind == "fill")
    return make(kind, {}, {}, withoutFirst(type), param.getValue());
  if (kind == "stack")
    return operand(param, index);
  if (kind == "concat")
    return elementOfConcat(param, index);
  if (kind == "cast" || kind == "scale")
    return mapOperands(param, index, {});
  if (kind == "transpose")
    return elementOfTranspose(param, index);
  if (kind == "slice")
    return elementOfSlice(param, index);
  if (kind == "add" || kind == "mul")
    return elementOfBroadcast(param, index);
  bool keepsKind = (kind == "dequantize" && type.getRank() > 1) ||
                   (kind == "quantize" && type.getRank() > 2);
  if (keepsKind)
    return mapOperands(param, index, param.getInts());
  if (kind == "reshape" && operand(param, 0).getType().getRank() > 0 &&
      operand(param, 0).getType().getDimSize(0) == type.getDimSize(0))
    return mapOperands(param, index, {});
  return cutOut(param, index);
}

ParamAttr moe::pass::transposeParam(ParamAttr param) {
  ArrayRef<int64_t> shape = param.getType().getShape();
  if (param.getKind() == "transpose" &&
      param.getInts() == ArrayRef<int64_t>{1, 0})
    return operand(param, 0);
  return make("transpose", {1, 0}, {param},
              RankedTensorType::get({shape[1], shape[0]},
                                    param.getType().getElementType()));
}
