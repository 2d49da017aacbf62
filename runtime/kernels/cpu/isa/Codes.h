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
// With AVX-512 four bits select one of the 16 numbers of a register instead,
// -8 to 7, in one instruction.
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
  static constexpr int kMiddle = 1 << (Bits - 1); ///< the zero of codes alone

  /// The place of a row among [0, kPlaces), s / Bits.
  static constexpr int placeOf(int row) {
    return Bits == 8 ? row % 2 : row % 2 * 2 + row / 4;
  }
  static constexpr bool isShifted(int row) { return row % 4 >= 2; }
  static constexpr float magicOf(int place) {
    return static_cast<float>(1 << (23 - Bits * place));
  }
};

/// Whether codes are looked up.
template <int Bits>
inline constexpr bool kLooksUp = MOE_ISA_HAS_AVX512 &&Bits == 4;

/// What is subtracted from the columns of a register: magicOf(place) + zero, by
/// place; if they are looked up, zero - kMiddle. Without zero points both are
/// constants.
template <int Bits, bool HasZeros> struct Zeros {
  static constexpr int kPlaces = kLooksUp<Bits> ? 1 : Codes<Bits>::kPlaces;
  Columns of[kPlaces];

  MOE_INLINE void set(Columns zero) {
    if constexpr (kLooksUp<Bits>)
      of[0] = zero - Codes<Bits>::kMiddle;
    else
#pragma GCC unroll 4
      for (int place = 0; place < kPlaces; ++place)
        of[place] = zero + Codes<Bits>::magicOf(place);
  }
  MOE_INLINE Columns at(int place) const { return of[place]; }
};
template <int Bits> struct Zeros<Bits, false> {
  static MOE_INLINE Columns at(int place) {
    return allColumns(Codes<Bits>::magicOf(place) + Codes<Bits>::kMiddle);
  }
};

/// The codes of one row in `word`, which is shifted by 16 bits if isShifted,
/// with the exponent of `place`.
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

/// A word of each column of a register.
template <int Bits> struct Word {
  Columns32 word;
  Columns32 shifted; ///< not there if codes are looked up

  MOE_INLINE void load(const std::byte *p) {
    word = readVector<Columns32>(p);
    if constexpr (!kLooksUp<Bits>)
      shifted = word >> 16;
  }

  /// The codes of `row` less their zeros.
  template <bool HasZeros>
  MOE_INLINE Columns row(int row, const Zeros<Bits, HasZeros> &zeros) const {
#if MOE_ISA_HAS_AVX512
    if constexpr (kLooksUp<Bits>) {
      const Columns numbers = {-8, -7, -6, -5, -4, -3, -2, -1,
                               0,  1,  2,  3,  4,  5,  6,  7};
      Columns32 index = word >> (row % 4 * 8 + row / 4 * 4);
      Columns code = _mm512_maskz_permutexvar_ps(
          0xffff, reinterpret_cast<__m512i>(index), numbers);
      if constexpr (HasZeros)
        code -= zeros.at(0);
      return code;
    }
#endif
    int place = Codes<Bits>::placeOf(row);
    return placedCode<Bits>(Codes<Bits>::isShifted(row) ? shifted : word,
                            place) -
           zeros.at(place);
  }
};

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
  const std::byte *codes = panel + q.zeros + block * 16 + part * kColumns;
#if MOE_ISA_HAS_AVX512
  // GCC 12 widens 16 bytes in pieces.
  return _mm512_maskz_cvtepi32_ps(
      0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, readVector<__m128i>(codes)));
#else
  typedef uint8_t Columns8 __attribute__((vector_size(kColumns)));
  typedef int32_t Integers __attribute__((vector_size(4 * kColumns)));
  return __builtin_convertvector(
      __builtin_convertvector(readVector<Columns8>(codes), Integers), Columns);
#endif
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_CODES_H
