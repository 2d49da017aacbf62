//===- CheckedMath.h - Sizes that do not overflow ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_CHECKEDMATH_H
#define MOE_RUNTIME_SUPPORT_CHECKEDMATH_H

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

namespace moe {

/// Alignment of buffers in arenas and of blocks in plans, in bytes.
inline constexpr uint64_t kAlignment = 64;

/// a + b, or nothing if the sum does not fit the type.
template <std::integral T> std::optional<T> checkedAdd(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// a * b, or nothing if the product does not fit the type.
template <std::integral T> std::optional<T> checkedMul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// The smallest multiple of `alignment` (a power of two) that is >= value.
inline std::optional<uint64_t> checkedAlignUp(uint64_t value,
                                              uint64_t alignment = kAlignment) {
  std::optional<uint64_t> sum = checkedAdd(value, alignment - 1);
  if (!sum)
    return std::nullopt;
  return *sum & ~(alignment - 1);
}

/// scale * dims[0] * dims[1] ..., or nothing if a dimension is negative or a
/// product of the non-zero factors overflows.
inline std::optional<uint64_t> checkedProduct(std::span<const int64_t> dims,
                                              uint64_t scale = 1) {
  uint64_t product = scale;
  bool isZero = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0) {
      isZero = true;
      continue;
    }
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(dim), &product))
      return std::nullopt;
  }
  return isZero ? 0 : product;
}

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_CHECKEDMATH_H
