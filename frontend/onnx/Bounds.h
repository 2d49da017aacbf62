//===- Bounds.h - How large a number can be at run time ----------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_BOUNDS_H
#define MOE_FRONTEND_ONNX_BOUNDS_H

#include "runtime/support/DimExpr.h"

#include "mlir/IR/Value.h"

#include <optional>

namespace moe::onnx_import {

/// An expression that no element of `value` exceeds, found by following the
/// operations that make it:
///
///   cast(ceil(mul(div(cast(shape<seq>), 4.0), 1.25)))    ceildiv(5 * seq, 16)
///   + 1 reduce max(reduce sum over [seq](one_hot(..)))       seq
///
/// The 1 makes up for the rounding of floats. Nothing if there is none.
std::optional<DimExpr> upperBound(mlir::Value value);
/// True if the operations show that no element is negative.
bool isNonNegative(mlir::Value value);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_BOUNDS_H
