//===- Attention.cpp - Scores and online softmax of one key block ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A score is eight chains over the depth, merged by sumLanes. Keys are read
// where they lie, so a cache needs no packing.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/VecMath.h"

namespace moe::cpu::MOE_ISA {

/// Scores of R queries and C keys; C is 1, 4 or 8.
template <int R, int C>
static MOE_INLINE void scores(const ScoreArgs &s, int64_t row, int64_t key) {
  F32x8 acc[R][C];
  const float *q = s.q + row * s.qStride;
  const float *k = s.k + key * s.kStride;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      acc[r][c] = splat(0);
  int64_t d = 0;
  for (; d + kLanes <= s.depth; d += kLanes) {
    F32x8 x[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      x[r] = load(q + r * s.qStride + d);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      F32x8 y = load(k + c * s.kStride + d);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        acc[r][c] = fma(x[r], y, acc[r][c]);
    }
  }
  if (d < s.depth) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      F32x8 y = loadPartial(k + c * s.kStride + d, s.depth - d);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        acc[r][c] = fma(load(q + r * s.qStride + d), y, acc[r][c]);
    }
  }
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

void softcapRow(float softcap, float *x, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes)
    store(x + i, softcap * tanhOf(load(x + i) / softcap));
}

void hideScores(const uint8_t *visible, float fill, float *scores,
                int64_t count) {
  for (int64_t j = 0; j < count; ++j)
    scores[j] = visible[j] ? scores[j] : fill;
}

float softmaxBlock(float *scores, float *max, float *sum) {
  constexpr int kVectors = kKeyBlock / kLanes;
  const float infinity = std::numeric_limits<float>::infinity();
  F32x8 x[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i)
    x[i] = load(scores + i * kLanes);
  F32x8 lanes = maxOf(maxOf(maxOf(x[0], x[1]), maxOf(x[2], x[3])),
                      maxOf(maxOf(x[4], x[5]), maxOf(x[6], x[7])));
  float largest = maxLanes(lanes);
  if (!(largest > *max))
    largest = *max;
  // While everything is hidden, minus infinity gives the weight 0, and a NaN
  // among the scores stays one.
  const F32x8 shift = splat(largest == -infinity ? 0 : largest);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    x[i] = expOfNegative(x[i] - shift);
    store(scores + i * kLanes, x[i]);
  }
  F32x8 partial =
      ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
  float factor = 1;
  if (*max != largest)
    factor = expOf(splat(*max - largest))[0];
  *max = largest;
  *sum = *sum * factor + sumLanes(partial);
  return factor;
}

} // namespace moe::cpu::MOE_ISA
