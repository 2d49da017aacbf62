//===- CodeSums.h - Sums of products of codes -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of 32 numbers of a row, as signed bytes, times the same of a register
// of columns, as unsigned codes less a zero:
//
//   sum of row * (code - zero) = sum of row * code - zero * sum of row
//
// always exact, in one of three ways:
//
//   VNNI       vpdpbusd adds four products to 32 bits; sums begin with
//              - zero * sum of row
//   AVX2, BW   vpmaddubsw adds two products to 16 bits. A half byte is at most
//              15: eight words are 8 * 2 * 15 * 127 = 30480, which fits. Codes
//              of 8 bits are two half bytes with a sum for each.
//   portable   f32, exact as all sums are below 32 * 255 * 127 < 2^24
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_CODESUMS_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_CODESUMS_H

#include "runtime/kernels/cpu/Isa.h"
#include "runtime/kernels/cpu/isa/Columns.h"

#include <cstddef>

namespace moe::cpu::MOE_ISA {

typedef int32_t ColumnsInt __attribute__((vector_size(4 * kColumns)));

MOE_INLINE Columns floatColumns(ColumnsInt x) {
  return __builtin_convertvector(x, Columns);
}

#if MOE_ISA_HAS_FMA

#if MOE_ISA_HAS_AVX512
typedef __m512i Ints;
MOE_INLINE Ints allBytes(int x) { return _mm512_set1_epi8(char(x)); }
MOE_INLINE Ints allShorts(int x) { return _mm512_set1_epi16(short(x)); }
MOE_INLINE Ints widenBytes(const void *p) {
  // GCC 12 warns of the operand that the form without a mask leaves open.
  return _mm512_maskz_cvtepu8_epi32(0xffff, readVector<__m128i>(p));
}
MOE_INLINE Ints addShorts(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
MOE_INLINE Ints highHalves(Ints x) { return _mm512_srli_epi16(x, 4); }
/// Sums of two products: of an unsigned and a signed byte, of two shorts.
MOE_INLINE Ints dotBytes(Ints a, Ints b) { return _mm512_maddubs_epi16(a, b); }
MOE_INLINE Ints dotShorts(Ints a, Ints b) { return _mm512_madd_epi16(a, b); }
#else
typedef __m256i Ints;
MOE_INLINE Ints allBytes(int x) { return _mm256_set1_epi8(char(x)); }
MOE_INLINE Ints allShorts(int x) { return _mm256_set1_epi16(short(x)); }
MOE_INLINE Ints widenBytes(const void *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i *>(p)));
}
MOE_INLINE Ints addShorts(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
MOE_INLINE Ints highHalves(Ints x) { return _mm256_srli_epi16(x, 4); }
/// Sums of two products: of an unsigned and a signed byte, of two shorts.
MOE_INLINE Ints dotBytes(Ints a, Ints b) { return _mm256_maddubs_epi16(a, b); }
MOE_INLINE Ints dotShorts(Ints a, Ints b) { return _mm256_madd_epi16(a, b); }
#endif

MOE_INLINE ColumnsInt asInts(Ints x) { return reinterpret_cast<ColumnsInt>(x); }
MOE_INLINE Ints asBits(ColumnsInt x) { return reinterpret_cast<Ints>(x); }

/// Four codes of a row, the same for all columns.
typedef Ints RowCodes;
MOE_INLINE RowCodes loadRowCodes(const int8_t *p) {
  return asBits(readVector<int32_t>(p) - ColumnsInt{});
}

/// Zeros of columns, the upper halves of 32 bits 0.
typedef Ints Zeros;
MOE_INLINE Zeros loadZeros(const std::byte *p) { return widenBytes(p); }
/// What zeros add to a sum: they and the sum of a row's codes fit 16 bits, so
/// that dotShorts is their product.
MOE_INLINE Ints zerosOffset(const QuantBlock &row, Zeros zeros) {
  ColumnsInt minus8 = row.minus8 - ColumnsInt{};
  return dotShorts(zeros, asBits(minus8 >> 3));
}
/// The same for zeros that all are 2^(Bits - 1); a load, no arithmetic.
template <int Bits> MOE_INLINE Ints middleOffset(const QuantBlock &row) {
  return asBits((Bits == 4 ? row.minus8 : row.minus128) - ColumnsInt{});
}

#if defined(__AVX512VNNI__)

/// The sum of a block for a register of columns.
template <int Bits> struct CodeSum {
  /// Codes of four rows.
  typedef Ints Word;
  Ints sum;

  MOE_INLINE void begin(Ints offset) { sum = offset; }
  MOE_INLINE void add(Word codes, RowCodes row) {
    sum = _mm512_dpbusd_epi32(sum, codes, row);
  }
  MOE_INLINE Columns value(Ints) const { return floatColumns(asInts(sum)); }

  /// Codes of eight rows.
  static MOE_INLINE void load(const std::byte *p, Word *words) {
    words[0] = readVector<Ints>(p);
    if constexpr (Bits == 8) {
      words[1] = readVector<Ints>(p + 64);
    } else {
      words[1] = highHalves(words[0]) & allBytes(15);
      words[0] &= allBytes(15);
    }
  }
};

#else

/// The sum of a block for a register of columns.
template <int Bits> struct CodeSum {
  /// Codes of four rows; of 8 bits, their low and high halves.
  struct Word {
    Ints low, high;
  };
  Ints low, high;

  MOE_INLINE void begin(Ints) { low = high = Ints{}; }
  MOE_INLINE void add(const Word &codes, RowCodes row) {
    low = addShorts(low, dotBytes(codes.low, row));
    if constexpr (Bits == 8)
      high = addShorts(high, dotBytes(codes.high, row));
  }
  MOE_INLINE Columns value(Ints offset) const {
    ColumnsInt sum = asInts(offset) + asInts(dotShorts(low, allShorts(1)));
    if constexpr (Bits == 8)
      sum += asInts(dotShorts(high, allShorts(16)));
    return floatColumns(sum);
  }

  static MOE_INLINE void load(const std::byte *p, Word *words) {
    Ints first = readVector<Ints>(p);
    if constexpr (Bits == 8) {
      Ints second = readVector<Ints>(p + 64);
      words[0] = {first & allBytes(15), highHalves(first) & allBytes(15)};
      words[1] = {second & allBytes(15), highHalves(second) & allBytes(15)};
    } else {
      words[0].low = first & allBytes(15);
      words[1].low = highHalves(first) & allBytes(15);
    }
  }
};

#endif

#else // portable

struct RowCodes {
  float codes[4];
};
MOE_INLINE RowCodes loadRowCodes(const int8_t *p) {
  return {{float(p[0]), float(p[1]), float(p[2]), float(p[3])}};
}

typedef Columns Zeros;
MOE_INLINE Zeros loadZeros(const std::byte *p) {
  Zeros zeros;
  for (int i = 0; i < kColumns; ++i)
    zeros[i] = static_cast<float>(p[i]);
  return zeros;
}
MOE_INLINE Columns zerosOffset(const QuantBlock &row, Zeros zeros) {
  return allColumns(static_cast<float>(row.minus8 / 8)) * zeros;
}
template <int Bits> MOE_INLINE Columns middleOffset(const QuantBlock &row) {
  return allColumns(static_cast<float>(Bits == 4 ? row.minus8 : row.minus128));
}

/// The sum of a block for a register of columns.
template <int Bits> struct CodeSum {
  /// Codes of four rows.
  typedef Columns32 Word;
  Columns sum;

  MOE_INLINE void begin(Columns offset) { sum = offset; }
  MOE_INLINE void add(Word codes, const RowCodes &row) {
    for (int i = 0; i < 4; ++i) {
      auto code = reinterpret_cast<ColumnsInt>(codes >> (8 * i) & 0xffu);
      sum += floatColumns(code) * row.codes[i];
    }
  }
  MOE_INLINE Columns value(Columns) const { return sum; }

  static MOE_INLINE void load(const std::byte *p, Word *words) {
    words[0] = readVector<Word>(p);
    if constexpr (Bits == 8) {
      words[1] = readVector<Word>(p + 64);
    } else {
      words[1] = words[0] >> 4 & 0x0f0f0f0fu;
      words[0] &= 0x0f0f0f0fu;
    }
  }
};

#endif

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_CODESUMS_H
