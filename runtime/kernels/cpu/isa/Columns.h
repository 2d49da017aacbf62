//===- Columns.h - The columns of a panel in registers ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products take the 16 columns of a panel in the widest registers of the
// instruction set, others than the functions of Vec.h: no result is a sum over
// lanes, so the width cannot be seen in it. Weights of two bytes are widened
// on their way into a register, which is exact.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_COLUMNS_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_COLUMNS_H

#include "runtime/kernels/cpu/isa/Convert.h"

namespace moe::cpu::MOE_ISA {

#if MOE_ISA_HAS_AVX512
inline constexpr int kColumns = 16;
#else
inline constexpr int kColumns = 8;
#endif
/// Registers of the 16 columns of a panel.
inline constexpr int kParts = 16 / kColumns;

typedef float Columns __attribute__((vector_size(4 * kColumns)));
typedef uint16_t Columns16 __attribute__((vector_size(2 * kColumns)));
typedef uint32_t Columns32 __attribute__((vector_size(4 * kColumns)));

/// The numbers at `p`, which need not be aligned.
template <typename V> MOE_INLINE V readVector(const void *p) {
  V x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

MOE_INLINE Columns loadColumns(const float *p) {
  return readVector<Columns>(p);
}
MOE_INLINE Columns loadColumns(const BFloat16 *p) {
#if MOE_ISA_HAS_AVX512
  // Number i to word 2 i + 1, the upper half of a lane: one instruction, where
  // widening and shifting are two.
  typedef int16_t Words __attribute__((vector_size(64)));
  const Words from = {0, 0, 0, 1, 0, 2,  0, 3,  0, 4,  0, 5,  0, 6,  0, 7,
                      0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
  return reinterpret_cast<Columns>(_mm512_maskz_permutexvar_epi16(
      0xaaaaaaaa, reinterpret_cast<__m512i>(from),
      _mm512_castsi256_si512(readVector<__m256i>(p))));
#else
  auto wide = __builtin_convertvector(readVector<Columns16>(p), Columns32);
  return reinterpret_cast<Columns>(wide << 16);
#endif
}
MOE_INLINE Columns loadColumns(const Half *p) {
#if MOE_ISA_HAS_AVX512
  // GCC 12 warns of the operand that the form without a mask leaves open.
  return _mm512_maskz_cvtph_ps(0xffff, readVector<__m256i>(p));
#elif MOE_ISA_HAS_FMA
  return _mm256_cvtph_ps(readVector<__m128i>(p));
#else
  Columns x;
  for (int i = 0; i < kColumns; ++i)
    x[i] = widen(p[i]);
  return x;
#endif
}
MOE_INLINE void storeColumns(float *p, Columns x) {
  std::memcpy(p, &x, sizeof x);
}

MOE_INLINE Columns allColumns(float x) { return x - Columns{}; }

/// a * b + c.
MOE_INLINE Columns fmaColumns(Columns a, Columns b, Columns c) {
#if MOE_ISA_HAS_AVX512
  return _mm512_fmadd_ps(a, b, c);
#elif MOE_ISA_HAS_FMA
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_COLUMNS_H
