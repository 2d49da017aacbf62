//===- Attention.cpp - Scores and online softmax of one key block ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A score is eight chains over the depth, merged by sumLanes. Keys are read
// where they lie, so a cache needs no packing; queries are packed in pairs, so
// that sixteen lanes are the chains of two queries. Where many queries read the
// same keys, packing these pays (PackedScores.cpp).
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/VecMath.h"

#include <algorithm>

namespace moe::cpu::MOE_ISA {

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

// A register holds the chains of one query and one key, or those of both
// queries of a pair.
template <typename V> constexpr int kQueriesOf = sizeof(V) / sizeof(F32x8);

template <typename V> static MOE_INLINE V chainsOf(const float *p);
template <> MOE_INLINE F32x8 chainsOf<F32x8>(const float *p) { return load(p); }
static MOE_INLINE F32x8 forQueries(F32x8 key, F32x8) { return key; }

/// `out` has a row of C scores for each query.
template <int C>
static MOE_INLINE void storeScores(const F32x8 *acc, float *out, int64_t) {
  if constexpr (C == 1) {
    out[0] = sumLanes(acc[0]);
  } else {
#pragma GCC unroll 8
    for (int c = 0; c < C; c += 4)
      sumLanes4(acc + c, out + c);
  }
}

#if MOE_ISA_HAS_AVX512
template <> MOE_INLINE F32x16 chainsOf<F32x16>(const float *p) {
  return loadWide(p);
}
static MOE_INLINE F32x16 forQueries(F32x8 key, F32x16) { return twice(key); }

template <int C>
static MOE_INLINE void storeScores(const F32x16 *acc, float *out,
                                   int64_t stride) {
  if constexpr (C == 1) {
    out[0] = sumLanes(lowHalf(acc[0]));
    out[stride] = sumLanes(highHalf(acc[0]));
  } else {
#pragma GCC unroll 8
    for (int c = 0; c < C; c += 4)
      sumHalves4(acc + c, out + c, out + stride + c);
  }
}
#endif

/// Scores of R registers of queries and C keys; C is 1, 4 or 8.
template <typename V, int R, int C>
static MOE_INLINE void scores(const ScoreArgs &s, int64_t row, int64_t key) {
  V acc[R][C];
  const float *q[R];
  const float *k = s.k + key * s.kStride;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    int64_t query = row + r * kQueriesOf<V>;
    q[r] = s.q + query / 2 * s.qStride + query % 2 * kLanes;
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      acc[r][c] = splat<V>(0);
  }
  auto step = [&](int64_t d, auto loadKey) __attribute__((always_inline)) {
    V x[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      x[r] = chainsOf<V>(q[r] + 2 * d);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      V y = forQueries(loadKey(k + c * s.kStride + d), V{});
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
  for (int r = 0; r < R; ++r)
    storeScores<C>(acc[r],
                   s.scores + (row + r * kQueriesOf<V>)*s.scoreStride + key,
                   s.scoreStride);
}

/// Scores of R registers of queries and all keys, C at a time.
template <typename V, int R, int C>
static void scoreRows(const ScoreArgs &s, int64_t row) {
  int64_t key = 0;
  for (; key + C <= s.keys; key += C)
    scores<V, R, C>(s, row, key);
  for (; key < s.keys; ++key)
    scores<V, R, 1>(s, row, key);
}

void scoreTile(const ScoreArgs &s) {
  int64_t row = 0;
#if MOE_ISA_HAS_AVX512
  // Two times four rows are better than six and two.
  for (; s.rows - row >= 6 && s.rows - row != 8 && s.rows - row != 9; row += 6)
    scoreRows<F32x16, 3, 8>(s, row);
  for (; s.rows - row >= 4; row += 4)
    scoreRows<F32x16, 2, 8>(s, row);
  for (; s.rows - row >= 2; row += 2)
    scoreRows<F32x16, 1, 8>(s, row);
  if (row < s.rows)
    scoreRows<F32x8, 1, 8>(s, row);
#elif MOE_ISA_HAS_FMA
  for (; row + 3 <= s.rows; row += 3)
    scoreRows<F32x8, 3, 4>(s, row);
  if (s.rows - row == 2)
    scoreRows<F32x8, 2, 4>(s, row);
  if (s.rows - row == 1)
    scoreRows<F32x8, 1, 8>(s, row);
#else
  for (; row < s.rows; ++row)
    scoreRows<F32x8, 1, 4>(s, row);
#endif
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

void softcapRow(float softcap, float *x, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes)
    store(x + i, softcap * tanhOf(load(x + i) / softcap));
}

void hideScores(const uint8_t *visible, float fill, float *scores,
                int64_t count) {
  for (int64_t j = 0; j < count; ++j)
    scores[j] = visible[j] ? scores[j] : fill;
}

static constexpr int kScoreVectors = kKeyBlock / kWideLanes;

static MOE_INLINE void loadScores(float scale, const float *scores, Wide *x) {
#pragma GCC unroll 8
  for (int i = 0; i < kScoreVectors; ++i)
    x[i] = scale * loadWide(scores + i * kWideLanes);
}

static MOE_INLINE float largestOf(const Wide *x) {
  Wide lanes = maxOf(maxOf(x[0], x[1]), maxOf(x[2], x[3]));
#if MOE_ISA_HAS_AVX512
  return maxLanes(maxOf(lowHalf(lanes), highHalf(lanes)));
#else
  return maxLanes(maxOf(lanes, maxOf(maxOf(x[4], x[5]), maxOf(x[6], x[7]))));
#endif
}

/// Scores to weights exp(scale * score - max); returns their sums by lanes.
static MOE_INLINE F32x8 weighScores(float scale, float max, float *scores) {
  const float infinity = std::numeric_limits<float>::infinity();
  // While everything is hidden, minus infinity gives the weight 0, and a NaN
  // among the scores stays one.
  const Wide shift = splat<Wide>(max == -infinity ? 0 : max);
  Wide x[kScoreVectors];
  loadScores(scale, scores, x);
#pragma GCC unroll 8
  for (int i = 0; i < kScoreVectors; ++i) {
    x[i] = expOfNegative(x[i] - shift);
    store(scores + i * kWideLanes, x[i]);
  }
#if MOE_ISA_HAS_AVX512
  F32x8 y[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    y[i] = lowHalf(x[i]) + highHalf(x[i]);
  return (y[0] + y[1]) + (y[2] + y[3]);
#else
  return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
#endif
}

/// What the change of a largest score makes of what was summed up before.
static void factorsOf(float *changes, int64_t rows) {
  for (int64_t r = 0; r < rows; r += kLanes) {
    int64_t lanes = rows - r;
    bool isFull = lanes >= kLanes;
    F32x8 change = isFull ? load(changes + r) : loadPartial(changes + r, lanes);
    // The difference of infinities is not a number, and nothing changes.
    F32x8 factor = select(change < splat(0), expOf(change), splat(1));
    if (isFull)
      store(changes + r, factor);
    else
      storePartial(changes + r, factor, lanes);
  }
}

void softmaxRows(float scale, float *scores, int64_t rows, float *max,
                 float *sum, float *factors) {
  // What is a choice in one row after the other is none in vectors of rows.
  bool isSame = true;
  for (int64_t r = 0; r < rows; ++r) {
    Wide x[kScoreVectors];
    loadScores(scale, scores + r * kKeyBlock, x);
    float largest = largestOf(x);
    largest = largest > max[r] ? largest : max[r];
    factors[r] = max[r] - largest;
    isSame &= max[r] == largest;
    max[r] = largest;
  }
  if (isSame)
    std::fill_n(factors, rows, 1.0f);
  else
    factorsOf(factors, rows);
  for (int64_t r = 0; r < rows; r += 4) {
    F32x8 lanes[4] = {};
    float sums[4];
    const int64_t count = rows - r < 4 ? rows - r : 4;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      if (i < count)
        lanes[i] = weighScores(scale, max[r + i], scores + (r + i) * kKeyBlock);
    sumLanes4(lanes, sums);
    for (int i = 0; i < count; ++i)
      sum[r + i] = sum[r + i] * factors[r + i] + sums[i];
  }
}

} // namespace moe::cpu::MOE_ISA
