//===- Shapes.cpp - Arithmetic of constant shapes -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Shapes.h"

#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/MathExtras.h"

namespace moe::dialect {

std::optional<int64_t> numElementsOf(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  bool overflow = false;
  for (int64_t size : shape) {
    // A size of 0 later on does not excuse an overflow before it.
    if (size < 0)
      return std::nullopt;
    overflow |= llvm::MulOverflow(count, size, count);
  }
  if (overflow)
    return std::nullopt;
  return count;
}

bool isPermutation(llvm::ArrayRef<int64_t> permutation, int64_t rank) {
  llvm::SmallBitVector seen(rank);
  for (int64_t i : permutation) {
    if (i < 0 || i >= rank || seen[i])
      return false;
    seen.set(i);
  }
  return seen.all();
}

bool isValidSlice(int64_t size, int64_t start, int64_t step, int64_t count) {
  if (step == 0 || count < 0)
    return false;
  if (count == 0)
    return true;
  int64_t span, last;
  if (llvm::MulOverflow(count - 1, step, span) ||
      llvm::AddOverflow(start, span, last))
    return false;
  return start >= 0 && start < size && last >= 0 && last < size;
}

llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> shape) {
  llvm::SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

} // namespace moe::dialect
