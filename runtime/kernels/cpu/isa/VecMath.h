//===- VecMath.h - Functions of vectors of floats ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp, log, tanh, erf and what activations need of them, in f32 with errors of
// one to two units in the last place. The polynomials are minimax fits of the
// remainders named at each function; NaN gives NaN, overflow gives infinity,
// subnormal results are kept. V is F32x8 or Wide; a lane does not depend on the
// width.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_VECMATH_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_VECMATH_H

#include "runtime/kernels/cpu/isa/Vec.h"

#include <cmath>
#include <limits>

namespace moe::cpu::MOE_ISA {

/// 2^n for -126 <= n <= 127.
template <typename I> MOE_INLINE auto powerOfTwo(I n) {
  return fromBits((n + 127) << 23);
}

/// exp(x - n ln(2)) for n next to x / ln(2): with |r| <= ln(2) / 2,
/// exp(r) = 1 + r + r^2 P(r).
template <typename V> MOE_INLINE V reducedExp(V x, V n) {
  // The high part of ln(2) has 9 bits: n times it is exact.
  V r = fma(n, splat<V>(-0.693359375f), x);
  r = fma(n, splat<V>(2.12194440e-4f), r);
  V p = splat<V>(1.381455455e-03f);
  p = fma(p, r, splat<V>(8.368736133e-03f));
  p = fma(p, r, splat<V>(4.166838899e-02f));
  p = fma(p, r, splat<V>(1.666652113e-01f));
  p = fma(p, r, splat<V>(4.999999404e-01f));
  return fma(r * r, p, r) + 1.0f;
}

template <typename V> MOE_INLINE V expOf(V x) {
  // NaN stays: it is the second operand.
  x = maxOf(splat<V>(-105.0f), minOf(splat<V>(89.0f), x));
  V n = roundSmall(x * 1.44269504f);
  // 2^n in two factors, as n may be 128 or -151.
  auto k = toInt(n);
  auto half = k >> 1;
  return reducedExp(x, n) * powerOfTwo(half) * powerOfTwo(k - half);
}

/// The sum of bits, which wraps around.
template <typename I> MOE_INLINE I addBits(I a, I b) {
  typedef uint32_t Unsigned __attribute__((vector_size(sizeof(I))));
  return reinterpret_cast<I>(reinterpret_cast<Unsigned>(a) +
                             reinterpret_cast<Unsigned>(b));
}

/// exp(x) for x <= 0, as softmax needs it; 0 for results below 2^-124.
template <typename V> MOE_INLINE V expOfNegative(V x) {
  V n = roundSmall(x * 1.44269504f);
  V y = fromBits(addBits(bits(reducedExp(x, n)), toInt(n) << 23));
  return fromBits(bits(y) & ~(x < splat<V>(-86.0f)));
}

/// log(x) = e ln(2) + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2);
/// log(1 + f) = f - f^2 / 2 + f^3 P(f).
template <typename V> MOE_INLINE V logOf(V x) {
  const auto isTiny = x < splat<V>(0x1p-126f);
  V scaled = select(isTiny, x * 0x1p24f, x);
  const int32_t sqrtHalf = 0x3f3504f3;
  auto b = bits(scaled) - sqrtHalf;
  V e = toFloat((b >> 23) - (isTiny & 24));
  V f = fromBits((b & 0x007fffff) + sqrtHalf) - 1.0f;
  V p = splat<V>(-7.857221365e-02f);
  p = fma(p, f, splat<V>(1.288092732e-01f));
  p = fma(p, f, splat<V>(-1.312925518e-01f));
  p = fma(p, f, splat<V>(1.418131441e-01f));
  p = fma(p, f, splat<V>(-1.662451923e-01f));
  p = fma(p, f, splat<V>(2.000228018e-01f));
  p = fma(p, f, splat<V>(-2.500081062e-01f));
  p = fma(p, f, splat<V>(3.333331645e-01f));
  V square = f * f;
  V y = fma(square * f, p, -0.5f * square);
  y = fma(e, splat<V>(-2.12194440e-4f), y) + f;
  y = fma(e, splat<V>(0.693359375f), y);
  const float infinity = std::numeric_limits<float>::infinity();
  y = select(x == splat<V>(0.0f), splat<V>(-infinity), y);
  y = select(x < splat<V>(0.0f), splat<V>(std::nanf("")), y);
  // Infinity and NaN are their own logarithms.
  return select(x < splat<V>(infinity), y, x);
}

/// 1 / (1 + exp(-x)), from exp(-|x|), which does not overflow.
template <typename V> MOE_INLINE V sigmoidOf(V x) {
  V e = expOf(-abs(x));
  return select(x < splat<V>(0.0f), e, splat<V>(1.0f)) / (1.0f + e);
}

/// |x| < 0.625: x + x^3 P(x^2); else (1 - e) / (1 + e), e = exp(-2 |x|).
template <typename V> MOE_INLINE V tanhOf(V x) {
  V magnitude = abs(x);
  V u = x * x;
  V p = splat<V>(-5.717025604e-03f);
  p = fma(p, u, splat<V>(2.065056935e-02f));
  p = fma(p, u, splat<V>(-5.374349281e-02f));
  p = fma(p, u, splat<V>(1.333149076e-01f));
  p = fma(p, u, splat<V>(-3.333328366e-01f));
  V small = fma(u * x, p, x);
  V e = expOfNegative(-2.0f * magnitude);
  V large = (1.0f - e) / (1.0f + e);
  return select(magnitude < splat<V>(0.625f), small, copySign(large, x));
}

/// |x| < 1: x + x P(x^2); else 1 - exp(-|x| (1 + Q(|x|))).
template <typename V> MOE_INLINE V erfOf(V x) {
  V t = minOf(splat<V>(4.0f), abs(x)); // erf(4) is 1 in f32.
  V u = x * x;
  V p = splat<V>(7.889114931e-05f);
  p = fma(p, u, splat<V>(-8.020839887e-04f));
  p = fma(p, u, splat<V>(5.189535208e-03f));
  p = fma(p, u, splat<V>(-2.685444430e-02f));
  p = fma(p, u, splat<V>(1.128360033e-01f));
  p = fma(p, u, splat<V>(-3.761262596e-01f));
  p = fma(p, u, splat<V>(1.283791661e-01f));
  V small = fma(x, p, x);
  V q = splat<V>(-2.360236067e-06f);
  q = fma(q, t, splat<V>(3.752643534e-05f));
  q = fma(q, t, splat<V>(-2.378301288e-04f));
  q = fma(q, t, splat<V>(5.834960029e-04f));
  q = fma(q, t, splat<V>(1.656854642e-03f));
  q = fma(q, t, splat<V>(-2.107165754e-02f));
  q = fma(q, t, splat<V>(1.040295735e-01f));
  q = fma(q, t, splat<V>(6.361561418e-01f));
  q = fma(q, t, splat<V>(1.284537911e-01f));
  V large = 1.0f - expOfNegative(-fma(t, q, t));
  return select(t < splat<V>(1.0f), small, copySign(large, x));
}

template <typename V> MOE_INLINE V reluOf(V x) {
  return maxOf(splat<V>(0.0f), x);
}

/// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)). With u = 1 + e rounded,
/// log1p(e) = log(u) + (e - (u - 1)) / u.
template <typename V> MOE_INLINE V softplusOf(V x) {
  V e = expOf(-abs(x));
  V u = 1.0f + e;
  V log1p = logOf(u) + (e - (u - 1.0f)) / u;
  return reluOf(x) + log1p;
}

template <typename V> MOE_INLINE V geluErfOf(V x) {
  return 0.5f * x * (1.0f + erfOf(x * 0.707106781f));
}
template <typename V> MOE_INLINE V geluTanhOf(V x) {
  V inner = 0.797884561f * fma(x * x * x, splat<V>(0.044715f), x);
  return 0.5f * x * (1.0f + tanhOf(inner));
}
template <typename V> MOE_INLINE V siluOf(V x) { return x * sigmoidOf(x); }
template <typename V> MOE_INLINE V quickGeluOf(V x) {
  return x * sigmoidOf(1.702f * x);
}

/// Sine (or, a quarter turn later, cosine) of four doubles of |x| <= 2^20.
MOE_INLINE F64x4 sineOf(F64x4 x, int64_t quarterTurns) {
  const F64x4 magic = {0x1.8p52, 0x1.8p52, 0x1.8p52, 0x1.8p52};
  F64x4 shifted = x * 0.63661977236758134308 + magic;
  F64x4 n = shifted - magic;
  // The high part of pi / 2 has 33 bits: n times it is exact.
  F64x4 r = (x - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
  F64x4 u = r * r;
  F64x4 s = -2.476169574850482e-08 * u + 2.7555358361889808e-06;
  s = s * u + -0.00019841263825901766;
  s = s * u + 0.00833333332527717;
  s = s * u + -0.16666666666631622;
  F64x4 sine = r + r * u * s;
  F64x4 c = 2.06461084589572e-09 * u + -2.7555546628822427e-07;
  c = c * u + 2.4801580885679756e-05;
  c = c * u + -0.001388888887813746;
  c = c * u + 0.04166666666660179;
  F64x4 cosine = 1.0 - 0.5 * u + u * u * c;
  I64x4 quadrant = reinterpret_cast<I64x4>(shifted) + quarterTurns;
  I64x4 useCosine = -(quadrant & 1);
  I64x4 value = (useCosine & reinterpret_cast<I64x4>(cosine)) |
                (~useCosine & reinterpret_cast<I64x4>(sine));
  return reinterpret_cast<F64x4>(value ^ ((quadrant & 2) << 62));
}

MOE_INLINE F32x8 sinCosOf(F32x8 x, int64_t quarterTurns) {
  F32x8 magnitude = abs(x);
  I32x8 isLarge = ~(magnitude <= splat(0x1p20f)); // NaN and infinity too
  F32x8 safe = select(isLarge, splat(0.0f), x);
  F32x4 low = {safe[0], safe[1], safe[2], safe[3]};
  F32x4 high = {safe[4], safe[5], safe[6], safe[7]};
  F32x4 lowSine = __builtin_convertvector(
      sineOf(__builtin_convertvector(low, F64x4), quarterTurns), F32x4);
  F32x4 highSine = __builtin_convertvector(
      sineOf(__builtin_convertvector(high, F64x4), quarterTurns), F32x4);
  F32x8 y = {lowSine[0],  lowSine[1],  lowSine[2],  lowSine[3],
             highSine[0], highSine[1], highSine[2], highSine[3]};
  for (int i = 0; i < kLanes; ++i)
    if (__builtin_expect(isLarge[i], 0))
      y[i] = quarterTurns ? std::cos(x[i]) : std::sin(x[i]);
  return y;
}
MOE_INLINE F32x8 sinOf(F32x8 x) { return sinCosOf(x, 0); }
MOE_INLINE F32x8 cosOf(F32x8 x) { return sinCosOf(x, 1); }

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_VECMATH_H
