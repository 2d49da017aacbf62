//===- RowCounts.h - Rows of tiles as constants -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How rows are cut into tiles, and how a number of rows or panels becomes a
// constant that tiles are unrolled by.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_ROWCOUNTS_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_ROWCOUNTS_H

#include "runtime/kernels/cpu/isa/Columns.h"

#include <cstdint>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

/// Calls f with Min, Min + 1 .. or Max as a constant, whichever `rows` is.
template <int Min, int Max, typename F>
static MOE_INLINE void withRows(int64_t rows, F f) {
  if (rows == Min)
    return f(std::integral_constant<int, Min>());
  if constexpr (Min < Max)
    withRows<Min + 1, Max>(rows, f);
}

/// Rows of the next tile, at most `most`: as even as it goes, so that no thin
/// tile remains.
static inline int64_t nextRows(int64_t remaining, int64_t most) {
  if (remaining <= most)
    return remaining;
  return remaining < 2 * most ? (remaining + 1) / 2 : most;
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_ROWCOUNTS_H
