//===- Tensors.h - Constant tensors of a model -------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_TENSORS_H
#define MOE_FRONTEND_ONNX_TENSORS_H

#include "frontend/onnx/ModelFile.h"
#include "runtime/support/DType.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::onnx_import {

/// The name of a TensorProto.DataType, such as "FLOAT8E4M3FN", or "data type
/// 99".
std::string elementTypeName(int32_t dataType);
/// Bits of one element; 0 if it has no fixed size or is unknown.
unsigned elementBits(int32_t dataType);
/// The plan format's element type; types of two or four bits and small floats
/// have none.
std::optional<DType> elementDType(int32_t dataType);
/// True for what can be stored, but only be dequantized: UINT4, INT2 ...
bool isPackedInteger(int32_t dataType);
bool isSignedPackedInteger(int32_t dataType);

/// Where the elements of a tensor are.
struct TensorData {
  int32_t dataType = 0;
  std::vector<int64_t> dims;
  uint64_t numElements = 0;
  /// Bytes of all elements, little endian; packed types from the low bits of
  /// each byte on.
  uint64_t numBytes = 0;
  /// The file and the range in it, if the tensor lies in a file.
  std::string file;
  uint64_t offset = 0;
  uint64_t length = 0;
  /// The range holds protobuf varints.
  bool isVarint = false;
  bool inFile() const { return !file.empty(); }
  /// The elements, if they are at most 1 KiB or lie in no file.
  std::optional<std::string> bytes;
};

/// Reads what `tensor` says about itself, and its elements if they are few.
/// Errors: BadModel, Unsupported (element type), IoError.
StatusOr<TensorData> readTensor(const onnx::TensorProto &tensor,
                                ModelFile &model);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_TENSORS_H
