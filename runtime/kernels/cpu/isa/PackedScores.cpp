//===- PackedScores.cpp - Scores of many queries and a block of keys ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sixteen keys side by side make a tile of scores a product like any other,
// without sums over lanes. Its additions are those of scoreTile, where a chain
// is a lane of a key: here chains follow each other in the same registers, each
// over every eighth number of the depth, and are added as sumLanes adds lanes.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Tile.h"
#include "runtime/kernels/cpu/isa/Vec.h"

namespace moe::cpu::MOE_ISA {

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// x[i][j] and x[j][i] change places.
static MOE_INLINE void transpose(F32x8 *x) {
  F32x8 y[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 2) {
    y[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    y[i + 1] =
        __builtin_shufflevector(x[i], x[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 4)
#pragma GCC unroll 8
    for (int j = 0; j < 2; ++j) {
      F32x8 a = y[i + j], b = y[i + j + 2];
      x[i + 2 * j] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
      x[i + 2 * j + 1] =
          __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    F32x8 a = x[i], b = x[i + 4];
    x[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    x[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

void packKeys(const float *k, int64_t kStride, int64_t keys, int64_t depth,
              float *panels) {
  const int64_t rows = (depth + kLanes - 1) / kLanes * kLanes;
  for (int64_t key = 0; key < (keys + 15) / 16 * 16; key += kLanes) {
    float *to = panels + key / 16 * 16 * rows + key % 16;
    for (int64_t d = 0; d < depth; d += kLanes) {
      F32x8 x[kLanes];
#pragma GCC unroll 8
      for (int i = 0; i < kLanes; ++i) {
        const float *from = k + (key + i) * kStride + d;
        x[i] = key + i >= keys      ? splat(0)
               : d + kLanes > depth ? loadPartial(from, depth - d)
                                    : load(from);
      }
      transpose(x);
#pragma GCC unroll 8
      for (int i = 0; i < kLanes; ++i)
        store(to + (d + i) * 16, x[i]);
    }
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

template <int R, int P>
static void scoreTile(const PackedScoreArgs &s, int64_t row, int64_t panel) {
  constexpr int kVectors = P * kParts;
  const float *q = s.q + row * s.qStride;
  const float *k = s.panels + panel * 16 * s.depth;
  // Of the chains 0, 1 and so on: one, two and four of them.
  Columns sums[3][R][kVectors];
#pragma GCC unroll 1
  for (int chain = 0; chain < kLanes; ++chain) {
    Columns acc[R][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        acc[r][v] = Columns{};
    for (int64_t d = chain; d < s.depth; d += kLanes) {
      Columns column[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        column[v] = loadColumns(k + v / kParts * 16 * s.depth + 16 * d +
                                v % kParts * kColumns);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        Columns x = allColumns(q[r * s.qStride + d]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          acc[r][v] = fmaColumns(x, column[v], acc[r][v]);
      }
    }
    int level = 0;
    for (int mask = chain; mask & 1; mask >>= 1, ++level)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          acc[r][v] = sums[level][r][v] + acc[r][v];
    if (level == 3) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          storeColumns(s.scores + (row + r) * s.scoreStride + 16 * panel +
                           kColumns * v,
                       acc[r][v]);
      return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        sums[level][r][v] = acc[r][v];
  }
}

void scorePacked(const PackedScoreArgs &s) {
  withPanels<kTilePanels>(
      s.numPanels, [&]<int P>(int64_t panel, std::integral_constant<int, P>) {
        for (int64_t row = 0; row < s.rows;) {
          int64_t rows = nextRows(s.rows - row, kTileRows);
          withRows<1, kTileRows>(rows,
                                 [&]<int R>(std::integral_constant<int, R>) {
                                   scoreTile<R, P>(s, row, panel);
                                 });
          row += rows;
        }
      });
}

} // namespace moe::cpu::MOE_ISA
