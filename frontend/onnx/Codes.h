//===- Codes.h - Weights of integers in the forms of files ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_CODES_H
#define MOE_FRONTEND_ONNX_CODES_H

#include "frontend/onnx/NodeContext.h"

namespace moe::onnx_import {

/// The number of elements; the reader of tensors checked that there are not
/// too many.
int64_t countOf(llvm::ArrayRef<int64_t> dims);

/// A weight with the same number in all elements as a fill.
dialect::ParamAttr asFill(dialect::ParamAttr x);

/// A weight of integers of 2, 4 or 8 bits, in the form that the file has.
struct Codes {
  /// ui8 or i8 with `dims`; of fewer bits, packed bytes.
  dialect::ParamAttr data;
  llvm::SmallVector<int64_t> dims;
  unsigned bits = 8;
  bool isSigned = false;

  int64_t rank() const { return dims.size(); }
  /// As unsigned bytes [dims], of which the low bits count.
  dialect::ParamAttr asBytes() const;
  /// As the codes of `dequantize` if blocks lie along the last dimension.
  dialect::ParamAttr asRows() const;
  /// All are what `dequantize` takes where no zero points are given.
  bool isMiddle() const;
};

/// Input i, if it is a weight of integers with codes.
std::optional<Codes> codesOf(NodeContext &n, unsigned i);

/// As many bytes of 0 as there are scales.
dialect::ParamAttr zeroBytes(mlir::RankedTensorType scales);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_CODES_H
