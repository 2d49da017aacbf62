//===- Attention.cpp - Scores and online softmax of one key block ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A score is eight chains over the depth, merged by sumLanes. Keys are read
// where they lie, so a cache needs no packing; queries are packed in pairs, so
// that sixteen lanes are the chains of two queries.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/VecMath.h"

namespace moe::cpu::MOE_ISA {

static MOE_INLINE const float *queryOf(const ScoreArgs &s, int64_t row) {
  return s.q + row / 2 * s.qStride + row % 2 * kLanes;
}

/// Scores of R queries and C keys; C is 1, 4 or 8.
template <int R, int C>
static MOE_INLINE void scores(const ScoreArgs &s, int64_t row, int64_t key) {
  F32x8 acc[R][C];
  const float *q[R];
  const float *k = s.k + key * s.kStride;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    q[r] = queryOf(s, row + r);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      acc[r][c] = splat(0);
  }
  auto step = [&](int64_t d, auto loadKey) __attribute__((always_inline)) {
    F32x8 x[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      x[r] = load(q[r] + 2 * d);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      F32x8 y = loadKey(k + c * s.kStride + d);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        acc[r][c] = fma(x[r], y, acc[r][c]);
    }
  };
  int64_t d = 0;
  for (; d + kLanes <= s.depth; d += kLanes)
    step(d, [](const float *p) { return load(p); });
  if (d < s.depth)
    step(d, [&](const float *p) { return loadPartial(p, s.depth - d); });
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    float *out = s.scores + (row + r) * s.scoreStride + key;
    if constexpr (C == 1) {
      out[0] = sumLanes(acc[r][0]);
    } else {
#pragma GCC unroll 8
      for (int c = 0; c < C; c += 4)
        sumLanes4(acc[r] + c, out + c);
    }
  }
}

template <int R, int C> static void scoreRows(const ScoreArgs &s, int64_t row) {
  int64_t key = 0;
  for (; key + C <= s.keys; key += C)
    scores<R, C>(s, row, key);
  for (; key < s.keys; ++key)
    scores<R, 1>(s, row, key);
}

#if MOE_ISA_HAS_AVX512
/// Scores of P pairs of queries and C keys; C is 1 or 8. A register holds the
/// chains of both queries of a pair.
template <int P, int C>
static MOE_INLINE void pairScores(const ScoreArgs &s, int64_t row,
                                  int64_t key) {
  F32x16 acc[P][C];
  const float *q = queryOf(s, row);
  const float *k = s.k + key * s.kStride;
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      acc[p][c] = splat<F32x16>(0);
  auto step = [&](int64_t d, auto loadKey) __attribute__((always_inline)) {
    F32x16 x[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
      x[p] = loadWide(q + p * s.qStride + 2 * d);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      F32x16 y = twice(loadKey(k + c * s.kStride + d));
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p)
        acc[p][c] = fma(x[p], y, acc[p][c]);
    }
  };
  int64_t d = 0;
  for (; d + kLanes <= s.depth; d += kLanes)
    step(d, [](const float *p) { return load(p); });
  if (d < s.depth)
    step(d, [&](const float *p) { return loadPartial(p, s.depth - d); });
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    float *low = s.scores + (row + 2 * p) * s.scoreStride + key;
    float *high = low + s.scoreStride;
    if constexpr (C == 1) {
      low[0] = sumLanes(lowHalf(acc[p][0]));
      high[0] = sumLanes(highHalf(acc[p][0]));
    } else {
#pragma GCC unroll 8
      for (int c = 0; c < C; c += 4)
        sumHalves4(acc[p] + c, low + c, high + c);
    }
  }
}

template <int P> static void scorePairs(const ScoreArgs &s, int64_t row) {
  int64_t key = 0;
  for (; key + 8 <= s.keys; key += 8)
    pairScores<P, 8>(s, row, key);
  for (; key < s.keys; ++key)
    pairScores<P, 1>(s, row, key);
}

void scoreTile(const ScoreArgs &s) {
  int64_t row = 0;
  // Two times four rows are better than six and two.
  for (; s.rows - row >= 6 && s.rows - row != 8 && s.rows - row != 9; row += 6)
    scorePairs<3>(s, row);
  for (; s.rows - row >= 4; row += 4)
    scorePairs<2>(s, row);
  for (; s.rows - row >= 2; row += 2)
    scorePairs<1>(s, row);
  if (row < s.rows)
    scoreRows<1, 8>(s, row);
}
#else
void scoreTile(const ScoreArgs &s) {
  int64_t row = 0;
#if MOE_ISA_HAS_FMA
  for (; row + 3 <= s.rows; row += 3)
    scoreRows<3, 4>(s, row);
  if (s.rows - row == 2)
    return scoreRows<2, 4>(s, row);
  if (s.rows - row == 1)
    return scoreRows<1, 8>(s, row);
#else
  for (; row < s.rows; ++row)
    scoreRows<1, 4>(s, row);
#endif
}
#endif

void softcapRow(float softcap, float *x, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes)
    store(x + i, softcap * tanhOf(load(x + i) / softcap));
}

void hideScores(const uint8_t *visible, float fill, float *scores,
                int64_t count) {
  for (int64_t j = 0; j < count; ++j)
    scores[j] = visible[j] ? scores[j] : fill;
}

float softmaxBlock(float scale, float *scores, float *max, float *sum) {
  constexpr int kVectors = kKeyBlock / kWideLanes;
  const float infinity = std::numeric_limits<float>::infinity();
  Wide x[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i)
    x[i] = scale * loadWide(scores + i * kWideLanes);
  Wide lanes = maxOf(maxOf(x[0], x[1]), maxOf(x[2], x[3]));
#if MOE_ISA_HAS_AVX512
  float largest = maxLanes(maxOf(lowHalf(lanes), highHalf(lanes)));
#else
  lanes = maxOf(lanes, maxOf(maxOf(x[4], x[5]), maxOf(x[6], x[7])));
  float largest = maxLanes(lanes);
#endif
  if (!(largest > *max))
    largest = *max;
  // While everything is hidden, minus infinity gives the weight 0, and a NaN
  // among the scores stays one.
  const Wide shift = splat<Wide>(largest == -infinity ? 0 : largest);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i)
    store(scores + i * kWideLanes, expOfNegative(x[i] - shift));
  F32x8 y[kKeyBlock / kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kKeyBlock / kLanes; ++i)
    y[i] = load(scores + i * kLanes);
  F32x8 partial =
      ((y[0] + y[1]) + (y[2] + y[3])) + ((y[4] + y[5]) + (y[6] + y[7]));
  float factor = 1;
  if (*max != largest)
    factor = expOf(splat(*max - largest))[0];
  *max = largest;
  *sum = *sum * factor + sumLanes(partial);
  return factor;
}

} // namespace moe::cpu::MOE_ISA
