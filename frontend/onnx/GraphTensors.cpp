//===- GraphTensors.cpp - Constants and weights of a graph ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphImporter.h"

#include "dialect/moe/ParamBuilder.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

// Integers and single numbers are constants, all else are weights.
static bool isConstantLeaf(const TensorData &data, Type elementType) {
  return data.bytes && data.numBytes <= 1024 &&
         (isa<IntegerType>(elementType) || data.numElements == 1);
}

// Counters that start at zero say how large they can get; weights do not.
static bool isZeros(const TensorData &data) {
  return data.bytes && !data.bytes->empty() &&
         llvm::all_of(*data.bytes, [](char byte) { return byte == 0; });
}

static DenseElementsAttr denseOf(const TensorData &data,
                                 RankedTensorType type) {
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : *data.bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, values);
  }
  if (data.bytes->empty())
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef(data.bytes->data(), data.bytes->size()));
}

/// The expression of a weight; null if nothing can name its bytes.
static ParamAttr leafOf(const TensorData &data, RankedTensorType type) {
  if (isZeros(data))
    return param::fill(
        type, Builder(type.getContext()).getZeroAttr(type.getElementType()));
  if (data.inFile())
    return data.isVarint
               ? param::varint(type, data.file, data.offset, data.length)
               : param::file(type, data.file, data.offset);
  return data.numBytes <= 1024 ? param::inlined(denseOf(data, type))
                               : ParamAttr();
}

ImportValue *GraphImporter::importTensor(const onnx::TensorProto &tensor,
                                         const std::string &what,
                                         Location loc) {
  auto it = job.tensors.find(&tensor);
  if (it == job.tensors.end())
    it = job.tensors.emplace(&tensor, readTensor(tensor, job.model)).first;
  const StatusOr<TensorData> &data = it->second;
  ImportValue &value = state.newValue(loc);
  // A tensor of an unsupported type is an error where it is used.
  auto poison = [&](StatusCode code, const std::string &message) {
    std::string text = what + ": " + message;
    value.isPoisoned = true;
    if (code == StatusCode::Unsupported) {
      value.pendingError = text;
      return &value;
    }
    state.error(code, text);
    return static_cast<ImportValue *>(nullptr);
  };
  if (!data.isOk())
    return poison(data.status().code(), data.status().message());
  if (data->dims.size() > kMaxRank)
    return poison(StatusCode::BadModel, "has rank " +
                                            std::to_string(data->dims.size()) +
                                            ", expected at most 8");
  value.paramName = builder.getStringAttr(tensor.name());
  bool isPacked = isPackedInteger(data->dataType);
  std::optional<DType> dtype =
      isPacked ? std::optional(DType::U8) : elementDType(data->dataType);
  if (!dtype)
    return poison(StatusCode::Unsupported, "has elements of type " +
                                               elementTypeName(data->dataType) +
                                               ", which is not supported here");
  Type elementType = fromDType(state.context, *dtype);
  value.type = RankedTensorType::get(data->dims, elementType);
  if (isPacked)
    value.type = RankedTensorType::get({static_cast<int64_t>(data->numBytes)},
                                       elementType);
  if (!isPacked && isConstantLeaf(*data, elementType)) {
    value.leaf = denseOf(*data, value.type);
    return &value;
  }
  ParamAttr leaf = leafOf(*data, value.type);
  if (!leaf)
    return poison(StatusCode::Unsupported,
                  "has more than 1 KiB in a form that is not read in place; "
                  "use raw_data or external data");
  value.leaf = leaf;
  if (!isPacked)
    return &value;
  value.packed =
      PackedTensor{llvm::to_vector(data->dims), elementBits(data->dataType),
                   isSignedPackedInteger(data->dataType), leaf};
  return poison(StatusCode::Unsupported, "has elements of type " +
                                             elementTypeName(data->dataType) +
                                             ", which is not supported here");
}

LogicalResult GraphImporter::importInitializers(const onnx::GraphProto &graph,
                                                Scope &scope) {
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    const std::string &name = tensor.name();
    if (scope.names.count(name))
      return badModel("initializer \"" + name + "\" is defined twice");
    Location loc = NameLoc::get(builder.getStringAttr(name));
    ImportValue *value =
        importTensor(tensor, "initializer \"" + name + "\"", loc);
    if (!value)
      return failure();
    scope.names[name] = value;
  }
  for (const onnx::SparseTensorProto &sparse : graph.sparse_initializer()) {
    ImportValue &value = state.newValue(builder.getUnknownLoc());
    value.isPoisoned = true;
    value.pendingError = "sparse initializer \"" + sparse.values().name() +
                         "\" is not supported";
    scope.names[sparse.values().name()] = &value;
  }
  return success();
}

} // namespace moe::onnx_import
