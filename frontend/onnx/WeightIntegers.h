//===- WeightIntegers.h - Integers that the import must know ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_WEIGHTINTEGERS_H
#define MOE_FRONTEND_ONNX_WEIGHTINTEGERS_H

#include "frontend/onnx/ImportState.h"

namespace moe::onnx_import {

/// The elements of a tensor of i32 or i64 that the model has, read from its
/// file if they are many. Unsupported for tensors that are computed; errors of
/// the file.
StatusOr<std::vector<int64_t>> readIntegers(const ImportValue &value,
                                            ModelFile &model);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_WEIGHTINTEGERS_H
