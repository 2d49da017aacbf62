//===- Tensors.cpp - Constant tensors of a model --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Tensors.h"

#include "frontend/onnx/WireScan.h"
#include "runtime/support/CheckedMath.h"

#include <bit>
#include <cstring>
#include <span>

static_assert(std::endian::native == std::endian::little,
              "elements are copied as they lie in the file");

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {
struct ElementType {
  const char *name;
  unsigned bits = 0;
  std::optional<DType> dtype = std::nullopt;
};
} // namespace

// By number, TensorProto.DataType.
static const ElementType kElementTypes[] = {
    {"UNDEFINED"},
    {"FLOAT", 32, DType::F32},
    {"UINT8", 8, DType::U8},
    {"INT8", 8, DType::I8},
    {"UINT16", 16, DType::U16},
    {"INT16", 16, DType::I16},
    {"INT32", 32, DType::I32},
    {"INT64", 64, DType::I64},
    {"STRING"},
    {"BOOL", 8, DType::Bool},
    {"FLOAT16", 16, DType::F16},
    {"DOUBLE", 64, DType::F64},
    {"UINT32", 32, DType::U32},
    {"UINT64", 64, DType::U64},
    {"COMPLEX64", 64},
    {"COMPLEX128", 128},
    {"BFLOAT16", 16, DType::BF16},
    {"FLOAT8E4M3FN", 8},
    {"FLOAT8E4M3FNUZ", 8},
    {"FLOAT8E5M2", 8},
    {"FLOAT8E5M2FNUZ", 8},
    {"UINT4", 4},
    {"INT4", 4},
    {"FLOAT4E2M1", 4},
    {"FLOAT8E8M0", 8},
    {"UINT2", 2},
    {"INT2", 2},
};

static const ElementType *findElementType(int32_t dataType) {
  if (dataType < 0 || static_cast<size_t>(dataType) >= std::size(kElementTypes))
    return nullptr;
  return &kElementTypes[dataType];
}

std::string elementTypeName(int32_t dataType) {
  const ElementType *type = findElementType(dataType);
  return type ? type->name : "data type " + std::to_string(dataType);
}

unsigned elementBits(int32_t dataType) {
  const ElementType *type = findElementType(dataType);
  return type ? type->bits : 0;
}

std::optional<DType> elementDType(int32_t dataType) {
  const ElementType *type = findElementType(dataType);
  return type ? type->dtype : std::nullopt;
}

bool isPackedInteger(int32_t dataType) {
  return dataType == 21 || dataType == 22 || dataType == 25 || dataType == 26;
}

bool isSignedPackedInteger(int32_t dataType) {
  return dataType == 22 || dataType == 26;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static Status wrongCount(const char *field, uint64_t found, uint64_t expected) {
  return {StatusCode::BadModel, std::string(field) + " has " +
                                    std::to_string(found) + ", expected " +
                                    std::to_string(expected)};
}

/// Appends each of `values`, cut to `width` bytes.
template <typename Values>
static void appendCut(const Values &values, size_t width, std::string &bytes) {
  for (auto value : values)
    bytes.append(reinterpret_cast<const char *>(&value), width);
}

// The typed field that holds elements of this type (see onnx.proto), as bytes.
// Types of less than a byte have one packed byte in each number of int32_data.
static std::string typedBytes(const onnx::TensorProto &tensor) {
  std::string bytes;
  unsigned width = std::max(1u, elementBits(tensor.data_type()) / 8);
  switch (tensor.data_type()) {
  case 1:
    appendCut(tensor.float_data(), 4, bytes);
    break;
  case 11:
    appendCut(tensor.double_data(), 8, bytes);
    break;
  case 7:
    appendCut(tensor.int64_data(), 8, bytes);
    break;
  case 12:
  case 13:
    appendCut(tensor.uint64_data(), width, bytes);
    break;
  default:
    appendCut(tensor.int32_data(), width, bytes);
    break;
  }
  return bytes;
}

static Status readExternal(const onnx::TensorProto &tensor, ModelFile &model,
                           TensorData &result) {
  DataRange range;
  std::string location;
  for (const onnx::StringStringEntryProto &entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset") {
      MOE_ASSIGN_OR_RETURN(range.offset,
                           parseDataNumber("offset", entry.value()));
    } else if (entry.key() == "length") {
      MOE_ASSIGN_OR_RETURN(range.length,
                           parseDataNumber("length", entry.value()));
    }
  }
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                       model.data->openFile(location));
  MOE_RETURN_IF_ERROR(checkDataRange(range, result.numBytes, file->size()));
  result.file = location;
  result.offset = range.offset;
  result.length = result.numBytes;
  if (result.numBytes > kInlineBytes)
    return Status::ok();
  result.bytes.emplace(result.numBytes, '\0');
  return file->readAt(range.offset,
                      std::as_writable_bytes(std::span(*result.bytes)));
}

// Elements in the model's own file or message.
static Status readInternal(const onnx::TensorProto &tensor, ModelFile &model,
                           TensorData &result) {
  const onnx::TensorProto::FileRange &range = tensor.file_range();
  if (tensor.has_file_range()) {
    result.file = model.location.name;
    result.offset = range.offset();
    result.length = range.length();
    result.isVarint = range.varint();
    // One number of int32_data holds a byte of packed elements.
    uint64_t numbers =
        elementBits(result.dataType) < 8 ? result.numBytes : result.numElements;
    if (result.isVarint && range.count() != numbers)
      return wrongCount("its number of elements", range.count(), numbers);
    if (!result.isVarint && range.length() != result.numBytes)
      return wrongCount("its size in bytes", range.length(), result.numBytes);
    if (result.numBytes > kInlineBytes)
      return Status::ok();
  }
  result.bytes = tensor.has_raw_data() ? tensor.raw_data() : typedBytes(tensor);
  if (result.bytes->size() != result.numBytes)
    return wrongCount("its size in bytes", result.bytes->size(),
                      result.numBytes);
  return Status::ok();
}

StatusOr<TensorData> readTensor(const onnx::TensorProto &tensor,
                                ModelFile &model) {
  TensorData result;
  result.dataType = tensor.data_type();
  result.dims.assign(tensor.dims().begin(), tensor.dims().end());
  const ElementType *type = findElementType(result.dataType);
  if (!type || result.dataType == 0)
    return Status(StatusCode::BadModel, "has an unknown element type, " +
                                            elementTypeName(result.dataType));
  if (type->bits == 0)
    return Status(StatusCode::Unsupported,
                  std::string("has elements of type ") + type->name +
                      ", which is not supported");
  std::optional<uint64_t> bits = checkedProduct(result.dims, type->bits);
  if (!bits || *bits > INT64_MAX)
    return Status(StatusCode::BadModel,
                  "has a negative dimension or more than 2^60 elements");
  result.numElements = *bits / type->bits;
  result.numBytes = (*bits + 7) / 8;
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    MOE_RETURN_IF_ERROR(readExternal(tensor, model, result));
  } else {
    MOE_RETURN_IF_ERROR(readInternal(tensor, model, result));
  }
  return result;
}

} // namespace moe::onnx_import
