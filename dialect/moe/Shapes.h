//===- Shapes.h - Arithmetic of constant shapes -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_SHAPES_H
#define MOE_DIALECT_MOE_SHAPES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>

namespace moe::dialect {

/// The largest constant that the IR holds; more is a weight.
inline constexpr int64_t kMaxConstantBytes = 1024;

/// The product of the sizes, or nothing if it overflows.
std::optional<int64_t> numElementsOf(llvm::ArrayRef<int64_t> shape);

/// True if each of 0 .. rank - 1 is there once.
bool isPermutation(llvm::ArrayRef<int64_t> permutation, int64_t rank);

/// True if `count` elements from `start` in steps of `step` exist among `size`.
bool isValidSlice(int64_t size, int64_t start, int64_t step, int64_t count);

/// Row-major strides, in elements.
llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> shape);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_SHAPES_H
