//===- Codes.h - Columns of weights from their codes ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A word of codes (QuantFormat.h) becomes a row of f32 at a time without
// conversions of integers: a code stays where it is in the mantissa, s bits
// from the right, and gets the exponent of 2^(23 - s), so that the number is
//
//   2^(23 - s) + code,   and less (2^(23 - s) + zero) it is code - zero.
//
// Both steps are exact. That takes a logic operation and a subtraction, which
// do not compete with multiplications, and no shift but one of 16 bits for each
// word:
//
//   4 bits   rows 0 .. 7 at s = 0, 8, 0, 8, 4, 12, 4, 12; rows 2, 3, 6, 7 of
//            the shifted word
//   8 bits   rows 0 .. 3 at s = 0, 8, 0, 8; rows 2, 3 of the shifted word
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_CODES_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_CODES_H

#include "runtime/kernels/cpu/Isa.h"
#include "runtime/kernels/cpu/isa/Columns.h"

namespace moe::cpu::MOE_ISA {

/// What the words of a number of bits have in common.
template <int Bits> struct Codes {
  static constexpr int kRows = 32 / Bits; ///< in a word
  static constexpr int kPlaces = kRows / 2;

  /// The place of a row among [0, kPlaces), s / Bits.
  static constexpr int placeOf(int row) {
    return Bits == 8 ? row % 2 : row % 2 * 2 + row / 4;
  }
  static constexpr bool isShifted(int row) { return row % 4 >= 2; }
  static constexpr float magicOf(int place) {
    return static_cast<float>(1 << (23 - Bits * place));
  }
};

/// The numbers magicOf(place) + zero of the columns of a panel, by place.
template <int Bits> struct Bases {
  Columns of[Codes<Bits>::kPlaces][kParts];

  void set(int part, Columns zero) {
    for (int place = 0; place < Codes<Bits>::kPlaces; ++place)
      of[place][part] = zero + Codes<Bits>::magicOf(place);
  }
};

/// The codes of one row in `word`, which is shifted by 16 bits if isShifted.
template <int Bits> MOE_INLINE Columns placedCode(Columns32 word, int place) {
  const uint32_t mask = ((1u << Bits) - 1) << Bits * place;
  const uint32_t magic = (150u - static_cast<uint32_t>(Bits * place)) << 23;
#if MOE_ISA_HAS_AVX512
  // (word & mask) | magic.
  return reinterpret_cast<Columns>(_mm512_ternarylogic_epi32(
      reinterpret_cast<__m512i>(word),
      _mm512_set1_epi32(static_cast<int>(mask)),
      _mm512_set1_epi32(static_cast<int>(magic)), 0xea));
#else
  return reinterpret_cast<Columns>((word & mask) | magic);
#endif
}

/// Whether codes less their zero are looked up: four bits select one of the 16
/// numbers of a register, in one instruction.
template <int Bits, bool HasZeros> constexpr bool looksUp() {
  return MOE_ISA_HAS_AVX512 && Bits == 4 && !HasZeros;
}
#if MOE_ISA_HAS_AVX512
/// The codes of `row` in `word` less 8.
MOE_INLINE Columns lookedUpCode(Columns32 word, int row) {
  const Columns numbers = {-8, -7, -6, -5, -4, -3, -2, -1,
                           0,  1,  2,  3,  4,  5,  6,  7};
  Columns32 index = word >> (row % 4 * 8 + row / 4 * 4);
  return _mm512_maskz_permutexvar_ps(0xffff, reinterpret_cast<__m512i>(index),
                                     numbers);
}
#endif

/// Part `part` of the scales or zero points of block `block` of a panel.
MOE_INLINE Columns scaleColumns(const QuantPanels &q, const std::byte *panel,
                                int64_t block, int part) {
  const std::byte *row = panel + q.scales;
  int64_t at = block * 16 + part * kColumns;
  return q.scaleType == DType::F32
             ? loadColumns(reinterpret_cast<const float *>(row) + at)
             : loadColumns(reinterpret_cast<const Half *>(row) + at);
}
MOE_INLINE Columns zeroColumns(const QuantPanels &q, const std::byte *panel,
                               int64_t block, int part) {
  typedef uint8_t Columns8 __attribute__((vector_size(kColumns)));
  typedef int32_t Integers __attribute__((vector_size(4 * kColumns)));
  auto codes =
      readVector<Columns8>(panel + q.zeros + block * 16 + part * kColumns);
  return __builtin_convertvector(__builtin_convertvector(codes, Integers),
                                 Columns);
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_CODES_H
