//===- OpTable.h - Which builder makes which operator ------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A new operator is one row here and one builder in a Build*.cpp file.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_OPTABLE_H
#define MOE_FRONTEND_ONNX_OPTABLE_H

#include "frontend/onnx/NodeContext.h"

namespace moe::onnx_import {

inline constexpr int64_t kMinOpset = 13;
inline constexpr int64_t kMaxOpset = 27;
inline constexpr llvm::StringLiteral kMicrosoftDomain = "com.microsoft";

using BuildFn = llvm::LogicalResult (*)(NodeContext &);

struct OpRow {
  llvm::StringLiteral domain;
  llvm::StringLiteral name;
  /// The first opset that this row describes, up to the next row's.
  int64_t since;
  unsigned minInputs;
  unsigned maxInputs;
  unsigned maxOutputs;
  BuildFn build;
};

/// Any number of inputs or outputs.
inline constexpr unsigned kAnyNumber = ~0u;

/// The row of an operator at an opset, or null.
const OpRow *findOp(llvm::StringRef domain, llvm::StringRef name,
                    int64_t opset);
/// True if some opset has the operator.
bool isKnownOp(llvm::StringRef domain, llvm::StringRef name);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_OPTABLE_H
