//===- WeightIntegers.cpp - Integers that the import must know ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/WeightIntegers.h"

#include <cstring>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Bytes [offset, offset + count) of a file of the model, both checked when the
/// tensor was read.
static StatusOr<std::string> readRange(StringRef name, int64_t offset,
                                       int64_t count, ModelFile &model) {
  std::shared_ptr<const InputFile> file = model.file;
  if (!file || name != model.location.name) {
    MOE_ASSIGN_OR_RETURN(file, model.data->openFile(name.str()));
  }
  if (offset < 0 || count < 0 || static_cast<uint64_t>(count) > file->size())
    return Status(StatusCode::BadModel, "lies outside of its file");
  std::string bytes(count, '\0');
  MOE_RETURN_IF_ERROR(
      file->readAt(offset, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

/// `count` numbers of seven bits a byte, low bits first.
static StatusOr<std::vector<int64_t>> parseVarints(StringRef bytes,
                                                   int64_t count) {
  std::vector<int64_t> numbers;
  uint64_t number = 0;
  unsigned shift = 0;
  for (unsigned char byte : bytes) {
    if (shift < 64)
      number |= static_cast<uint64_t>(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80)
      continue;
    numbers.push_back(static_cast<int64_t>(number));
    number = shift = 0;
  }
  if (static_cast<int64_t>(numbers.size()) != count)
    return Status(StatusCode::BadModel,
                  "has " + std::to_string(numbers.size()) +
                      " numbers, expected " + std::to_string(count));
  return numbers;
}

template <typename T>
static std::vector<int64_t> parseNumbers(StringRef bytes) {
  std::vector<int64_t> numbers(bytes.size() / sizeof(T));
  for (size_t i = 0; i < numbers.size(); ++i) {
    T number;
    std::memcpy(&number, bytes.data() + i * sizeof(T), sizeof(T));
    numbers[i] = number;
  }
  return numbers;
}

StatusOr<std::vector<int64_t>> readIntegers(const ImportValue &value,
                                            ModelFile &model) {
  Type element = value.type.getElementType();
  if (!element.isSignlessInteger(32) && !element.isSignlessInteger(64))
    return Status(StatusCode::BadModel, "has elements that are no i32 or i64");
  if (DenseElementsAttr dense = constantOf(value)) {
    std::vector<int64_t> numbers;
    for (const APInt &number : dense.getValues<APInt>())
      numbers.push_back(number.getSExtValue());
    return numbers;
  }
  auto param = dyn_cast_or_null<ParamAttr>(value.leaf);
  StringRef kind = param ? param.getKind().getValue() : StringRef();
  if (kind == "fill") {
    int64_t number = llvm::cast<IntegerAttr>(param.getValue()).getInt();
    return std::vector<int64_t>(param.getType().getNumElements(), number);
  }
  if (kind != "file" && kind != "varint")
    return Status(StatusCode::Unsupported, "is not known before a run");
  MOE_ASSIGN_OR_RETURN(std::string bytes,
                       readRange(param.getFile().getValue(), param.getInts()[0],
                                 param.getInts()[1], model));
  if (kind == "varint")
    return parseVarints(bytes, param.getType().getNumElements());
  return element.isInteger(32) ? parseNumbers<int32_t>(bytes)
                               : parseNumbers<int64_t>(bytes);
}

} // namespace moe::onnx_import
