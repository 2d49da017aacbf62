//===- WeightStorage.h - What weights are kept as ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight keeps its float type, whatever is left of its numbers; how few bytes
// they need is seen from the expression:
//
//   quantize [4, 32, 0] (w)               codes of 4 bits, a scale for 32 rows
//   transpose [1, 0] (dequantize (q, s))  the codes that the file has
//   cast f32 (cast f16 (w))               f16
//   transpose [1, 0] (cast f32 (w16))     transpose [1, 0] (w16), f16
//
// Whoever decides how a weight is stored, or counts its bytes, asks here.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_WEIGHTSTORAGE_H
#define MOE_DIALECT_MOE_WEIGHTSTORAGE_H

#include "dialect/moe/MoeAttrs.h"
#include "runtime/params/QuantFormat.h"

#include <optional>

namespace moe::dialect {

class ExpertsOp;

/// The codes that matrices [.., K, N] are made of, if kernels can read such.
std::optional<QuantFormat> codeFormat(ParamAttr weight);

/// The same numbers with elements of f16 or bf16, where a cast is all that
/// makes them wider; null if there is no such expression.
ParamAttr narrowed(ParamAttr weight);

/// What was there before the compiler rounded it: the operand of `quantize`, or
/// of a cast to f16 or bf16 and back; else the weight itself.
ParamAttr beforeRounding(ParamAttr weight);

/// How a weight is stored, in words: "int4 in blocks of 32", "f16".
std::string describeStorage(ParamAttr weight);

/// Bytes of a weight as it is stored.
double storedBytes(ParamAttr weight);

/// Rows of a matrix [.., K, N] that stay together where K is divided in
/// `numParts` parts: a block of its codes if there is one for each part, so
/// that parts stay codes; else 16.
int64_t rowUnit(ParamAttr weight, int64_t numParts);

/// Intermediate columns that stay together where experts are sliced: the
/// rowUnit of w2.
int64_t sliceUnit(ExpertsOp op);

/// Rounds a row to 8 bits in blocks of 32, each with a scale of its own, and
/// back: what arithmetic int8 does with the rows of a product.
void roundRow(llvm::MutableArrayRef<double> row);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_WEIGHTSTORAGE_H
