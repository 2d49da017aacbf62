//===- Vec.h - Vectors of eight floats --------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only for the files of this folder, which are compiled once for each
// instruction set with MOE_ISA naming the set. Everything that differs stands
// here and in Columns.h; with the portable set a vector is two SSE registers
// and `fma` is a multiplication and an addition. With AVX-512 vectors still
// have eight lanes, so that sums over lanes are those of AVX2.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_VEC_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_VEC_H

#include <cstdint>
#include <cstring>
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define MOE_ISA_HAS_FMA 1
#else
#define MOE_ISA_HAS_FMA 0
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) &&  \
    defined(__AVX512VL__)
#define MOE_ISA_HAS_AVX512 1
#else
#define MOE_ISA_HAS_AVX512 0
#endif

#ifndef MOE_ISA
#error "this file is compiled with the name of an instruction set"
#endif

#define MOE_INLINE inline __attribute__((always_inline))

namespace moe::cpu::MOE_ISA {

typedef float F32x8 __attribute__((vector_size(32)));
typedef int32_t I32x8 __attribute__((vector_size(32)));
typedef uint32_t U32x8 __attribute__((vector_size(32)));
typedef double F64x4 __attribute__((vector_size(32)));
typedef int64_t I64x4 __attribute__((vector_size(32)));
typedef float F32x4 __attribute__((vector_size(16)));
typedef float F32x8Unaligned
    __attribute__((vector_size(32), aligned(4), may_alias));

inline constexpr int64_t kLanes = 8;

MOE_INLINE F32x8 load(const float *p) {
  return *reinterpret_cast<const F32x8Unaligned *>(p);
}
MOE_INLINE void store(float *p, F32x8 x) {
  *reinterpret_cast<F32x8Unaligned *>(p) = x;
}
MOE_INLINE F32x8 splat(float x) { return F32x8{x, x, x, x, x, x, x, x}; }
template <typename V> MOE_INLINE V splat(float x) { return x - V{}; }

#if MOE_ISA_HAS_FMA
/// All bits of the first `count` lanes.
MOE_INLINE __m256i firstLanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif
/// The first `count` < 8 lanes; the others are `fill`.
MOE_INLINE F32x8 loadPartial(const float *p, int64_t count, float fill = 0) {
#if MOE_ISA_HAS_FMA
  __m256i mask = firstLanes(count);
  return _mm256_blendv_ps(splat(fill), _mm256_maskload_ps(p, mask),
                          _mm256_castsi256_ps(mask));
#else
  float lanes[kLanes] = {fill, fill, fill, fill, fill, fill, fill, fill};
  std::memcpy(lanes, p, count * sizeof(float));
  return load(lanes);
#endif
}
MOE_INLINE void storePartial(float *p, F32x8 x, int64_t count) {
#if MOE_ISA_HAS_FMA
  _mm256_maskstore_ps(p, firstLanes(count), x);
#else
  float lanes[kLanes];
  store(lanes, x);
  std::memcpy(p, lanes, count * sizeof(float));
#endif
}

/// a * b + c.
MOE_INLINE F32x8 fma(F32x8 a, F32x8 b, F32x8 c) {
#if MOE_ISA_HAS_FMA
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

MOE_INLINE I32x8 bits(F32x8 x) { return reinterpret_cast<I32x8>(x); }
MOE_INLINE F32x8 fromBits(I32x8 x) { return reinterpret_cast<F32x8>(x); }
MOE_INLINE F32x8 select(I32x8 mask, F32x8 a, F32x8 b) {
#if MOE_ISA_HAS_FMA
  return _mm256_blendv_ps(b, a, fromBits(mask));
#else
  return fromBits((mask & bits(a)) | (~mask & bits(b)));
#endif
}
MOE_INLINE F32x8 abs(F32x8 x) { return fromBits(bits(x) & 0x7fffffff); }
/// The magnitude of x with the sign of s.
MOE_INLINE F32x8 copySign(F32x8 x, F32x8 s) {
  return fromBits((bits(x) & 0x7fffffff) |
                  (bits(s) & static_cast<int32_t>(0x80000000)));
}
/// a > b ? a : b, so b where one of both is not a number.
MOE_INLINE F32x8 maxOf(F32x8 a, F32x8 b) {
#if MOE_ISA_HAS_FMA
  return _mm256_max_ps(a, b);
#else
  return select(a > b, a, b);
#endif
}
/// a < b ? a : b.
MOE_INLINE F32x8 minOf(F32x8 a, F32x8 b) {
#if MOE_ISA_HAS_FMA
  return _mm256_min_ps(a, b);
#else
  return select(a < b, a, b);
#endif
}

MOE_INLINE F32x8 sqrtOf(F32x8 x) {
#if MOE_ISA_HAS_FMA
  return _mm256_sqrt_ps(x);
#else
  F32x8 y;
  for (int i = 0; i < kLanes; ++i)
    y[i] = __builtin_sqrtf(x[i]);
  return y;
#endif
}

/// Nearest integer, ties to even, for |x| < 2^22.
MOE_INLINE F32x8 roundSmall(F32x8 x) {
  const F32x8 magic = splat(0x1.8p23f);
  return (x + magic) - magic;
}
MOE_INLINE I32x8 toInt(F32x8 x) { return __builtin_convertvector(x, I32x8); }
MOE_INLINE F32x8 toFloat(I32x8 x) { return __builtin_convertvector(x, F32x8); }

#if MOE_ISA_HAS_AVX512
typedef float F32x16 __attribute__((vector_size(64)));
typedef int32_t I32x16 __attribute__((vector_size(64)));
typedef float F32x16Unaligned
    __attribute__((vector_size(64), aligned(4), may_alias));
using Wide = F32x16;

template <> MOE_INLINE F32x16 splat<F32x16>(float x) {
  return _mm512_set1_ps(x);
}
MOE_INLINE F32x16 loadWide(const float *p) {
  return *reinterpret_cast<const F32x16Unaligned *>(p);
}
MOE_INLINE void store(float *p, F32x16 x) {
  *reinterpret_cast<F32x16Unaligned *>(p) = x;
}
MOE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return _mm512_fmadd_ps(a, b, c);
}
MOE_INLINE I32x16 bits(F32x16 x) { return reinterpret_cast<I32x16>(x); }
MOE_INLINE F32x16 fromBits(I32x16 x) { return reinterpret_cast<F32x16>(x); }
MOE_INLINE F32x16 select(I32x16 mask, F32x16 a, F32x16 b) {
  return mask ? a : b;
}
MOE_INLINE F32x16 abs(F32x16 x) { return fromBits(bits(x) & 0x7fffffff); }
MOE_INLINE F32x16 copySign(F32x16 x, F32x16 s) {
  return fromBits((bits(x) & 0x7fffffff) |
                  (bits(s) & static_cast<int32_t>(0x80000000)));
}
// GCC 12 warns of the operand that the forms without a mask leave open.
MOE_INLINE F32x16 maxOf(F32x16 a, F32x16 b) {
  return _mm512_maskz_max_ps(0xffff, a, b);
}
MOE_INLINE F32x16 minOf(F32x16 a, F32x16 b) {
  return _mm512_maskz_min_ps(0xffff, a, b);
}
MOE_INLINE F32x16 sqrtOf(F32x16 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
MOE_INLINE F32x16 roundSmall(F32x16 x) {
  const F32x16 magic = splat<F32x16>(0x1.8p23f);
  return (x + magic) - magic;
}
MOE_INLINE I32x16 toInt(F32x16 x) { return __builtin_convertvector(x, I32x16); }
MOE_INLINE F32x16 toFloat(I32x16 x) {
  return __builtin_convertvector(x, F32x16);
}
MOE_INLINE F32x8 lowHalf(F32x16 x) {
  return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
}
MOE_INLINE F32x8 highHalf(F32x16 x) {
  return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
}
/// The same eight lanes twice.
MOE_INLINE F32x16 twice(F32x8 x) {
  return _mm512_maskz_broadcast_f32x8(0xffff, x);
}
#else
using Wide = F32x8;
MOE_INLINE Wide loadWide(const float *p) { return load(p); }
#endif
inline constexpr int64_t kWideLanes = sizeof(Wide) / sizeof(float);

/// The sum of the lanes, neighbours first.
MOE_INLINE float sumLanes(F32x8 x) {
  return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}
/// out[i] = sumLanes(x[i]) for four vectors, by the same additions.
MOE_INLINE void sumLanes4(const F32x8 *x, float *out) {
#if MOE_ISA_HAS_FMA
  // Neighbours of two vectors at once: one blend, one shuffle.
  auto pairs = [](__m256 a, __m256 b) {
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xaa),
                         _mm256_permute_ps(_mm256_blend_ps(b, a, 0xaa), 0xb1));
  };
  __m256 ab = pairs(x[0], x[1]), cd = pairs(x[2], x[3]);
  __m256 quads = _mm256_add_ps(_mm256_blend_ps(ab, cd, 0xcc),
                               _mm256_shuffle_ps(ab, cd, 0x4e));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(quads),
                                _mm256_extractf128_ps(quads, 1)));
#else
  for (int i = 0; i < 4; ++i)
    out[i] = sumLanes(x[i]);
#endif
}
#if MOE_ISA_HAS_AVX512
/// sumLanes4 of the low and of the high halves.
MOE_INLINE void sumHalves4(const F32x16 *x, float *low, float *high) {
  auto pairs = [](__m512 a, __m512 b) -> __m512 {
    return _mm512_mask_blend_ps(0xaaaa, a, b) +
           _mm512_maskz_permute_ps(0xffff, _mm512_mask_blend_ps(0xaaaa, b, a),
                                   0xb1);
  };
  __m512 ab = pairs(x[0], x[1]), cd = pairs(x[2], x[3]);
  __m512 quads = _mm512_mask_blend_ps(0xcccc, ab, cd) +
                 _mm512_maskz_shuffle_ps(0xffff, ab, cd, 0x4e);
  F32x8 l = lowHalf(quads), h = highHalf(quads);
  _mm_storeu_ps(low, _mm256_castps256_ps128(l) + _mm256_extractf128_ps(l, 1));
  _mm_storeu_ps(high, _mm256_castps256_ps128(h) + _mm256_extractf128_ps(h, 1));
}
#endif
MOE_INLINE float maxLanes(F32x8 x) {
#if MOE_ISA_HAS_FMA
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
#else
  float m = x[0];
  for (int i = 1; i < kLanes; ++i)
    m = m > x[i] ? m : x[i];
  return m;
#endif
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_VEC_H
