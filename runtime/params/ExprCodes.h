//===- ExprCodes.h - Codes, scales and zero points of weights ---*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An expression of codes that were moved (runtime/plan/QuantExprs.h) becomes
// three expressions with the same movements, whose windows are read instead of
// floats:
//
//   transpose(dequantize(q, scales, zeros))
//     codes    transpose(unpack(q))         a byte each
//     scales   transpose(scales)            blocks instead of numbers
//     zeros    transpose(unpack(zeros))
//
// Of `quantize` it is one, the numbers that are rounded.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_EXPRCODES_H
#define MOE_RUNTIME_PARAMS_EXPRCODES_H

#include "runtime/params/QuantSource.h"
#include "runtime/params/WeightFiles.h"
#include "runtime/plan/QuantExprs.h"

namespace moe {

/// The codes of an expression that has `format`. `tables`, `files` and `quants`
/// must outlive the source; quants knows all expressions.
QuantSource codesOfExpr(const plan::ProgramT &tables, WeightFiles &files,
                        QuantExprs &quants, uint32_t expr,
                        const QuantFormat &format);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_EXPRCODES_H
