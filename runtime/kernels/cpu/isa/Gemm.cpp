//===- Gemm.cpp - Products of f32 rows and panels -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile of R rows and P panels is kept in registers while the depth runs from
// front to back. Each of its outputs is one chain of additions in the order of
// the depth, whatever R and P are, so the tile that a row falls into does not
// change its value: R and P are chosen for speed alone. With few rows several
// panels are in flight, because one chain cannot keep the multipliers busy.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Vec.h"

#include <type_traits>

namespace moe::cpu::MOE_ISA {

#if MOE_ISA_HAS_FMA
static constexpr int64_t kTileRows = 6; // 12 of 16 registers
#else
static constexpr int64_t kTileRows = 2; // 8 of 16 registers of half the width
#endif
/// Depth after which a tile of a large product gives way to the next rows, so
/// that its part of the panel (16 KiB) stays in the first cache.
static constexpr int64_t kDepthBlock = 256;

/// One tile. GCC keeps the accumulators in registers only if the loops over
/// them are unrolled. With `Fetch`, the next depth block of the panel comes
/// into the cache meanwhile: one line for each row of this one.
template <int R, int P, bool Fetch = false>
static MOE_INLINE void tile(const GemmArgs &g, const float *a, const float *b,
                            float *c, int64_t depth, bool accumulate) {
  F32x8 acc[R][2 * P];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int p = 0; p < 2 * P; ++p)
      acc[r][p] = accumulate ? load(c + r * g.cStride + 8 * p) : splat(0);
  const float *row[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    row[r] = a + r * g.aStride;
  const float *panel[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
    panel[p] = b + p * g.panelStride;
  for (int64_t d = 0; d < depth; ++d) {
    F32x8 column[2 * P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      column[2 * p] = load(panel[p]);
      column[2 * p + 1] = load(panel[p] + 8);
      if constexpr (Fetch)
        __builtin_prefetch(panel[p] + kDepthBlock * g.bStride);
      panel[p] += g.bStride;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      F32x8 x = splat(row[r][d]);
#pragma GCC unroll 8
      for (int p = 0; p < 2 * P; ++p)
        acc[r][p] = fma(x, column[p], acc[r][p]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int p = 0; p < 2 * P; ++p)
      store(c + r * g.cStride + 8 * p, acc[r][p]);
}

/// All panels for R rows, P at a time.
template <int R, int P> static void fewRows(const GemmArgs &g) {
  int64_t p = 0;
  auto take = [&]<int Count>(std::integral_constant<int, Count>) {
    for (; p + Count <= g.panels; p += Count)
      tile<R, Count>(g, g.a, g.b + p * g.panelStride, g.c + 16 * p, g.depth,
                     g.accumulate);
  };
  take(std::integral_constant<int, P>());
  if constexpr (P > 3)
    take(std::integral_constant<int, 3>());
  if constexpr (P > 2)
    take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}

/// One panel for R rows from the depth `from` on.
template <int R>
static void panelTile(const GemmArgs &g, int64_t row, int64_t panel,
                      int64_t from, int64_t depth, bool fetch) {
  const float *a = g.a + row * g.aStride + from;
  const float *b = g.b + panel * g.panelStride + from * g.bStride;
  float *c = g.c + row * g.cStride + 16 * panel;
  bool accumulate = g.accumulate || from > 0;
  if (fetch)
    tile<R, 1, true>(g, a, b, c, depth, accumulate);
  else
    tile<R, 1, false>(g, a, b, c, depth, accumulate);
}

static void panelTile(const GemmArgs &g, int64_t rows, int64_t row,
                      int64_t panel, int64_t from, int64_t depth, bool fetch) {
  switch (rows) {
  case 1:
    return panelTile<1>(g, row, panel, from, depth, fetch);
  case 2:
    return panelTile<2>(g, row, panel, from, depth, fetch);
#if MOE_ISA_HAS_FMA
  case 3:
    return panelTile<3>(g, row, panel, from, depth, fetch);
  case 4:
    return panelTile<4>(g, row, panel, from, depth, fetch);
  case 5:
    return panelTile<5>(g, row, panel, from, depth, fetch);
  case 6:
    return panelTile<6>(g, row, panel, from, depth, fetch);
#endif
  }
}

/// Rows of the next tile: as even as it goes, so that no thin tile remains.
static int64_t nextRows(int64_t remaining) {
  if (remaining <= kTileRows)
    return remaining;
  return remaining < 2 * kTileRows ? (remaining + 1) / 2 : kTileRows;
}

void gemm(const GemmArgs &g) {
#if MOE_ISA_HAS_FMA
  switch (g.rows) {
  case 1:
    return fewRows<1, 4>(g);
  case 2:
    return fewRows<2, 2>(g);
  case 3:
    return fewRows<3, 2>(g);
  }
#else
  switch (g.rows) {
  case 1:
    return fewRows<1, 2>(g);
  case 2:
    return fewRows<2, 1>(g);
  }
#endif
  // Blocks of the depth pay when their part of the panel is read again.
  int64_t block = g.rows > kTileRows ? kDepthBlock : g.depth;
  for (int64_t p = 0; p < g.panels; ++p) {
    int64_t from = 0;
    do {
      int64_t depth = g.depth - from < block ? g.depth - from : block;
      for (int64_t row = 0; row < g.rows;) {
        int64_t rows = nextRows(g.rows - row);
        // Panels follow each other in memory: behind the last depth block is
        // the next panel.
        bool isLast = row + rows == g.rows;
        panelTile(g, rows, row, p, from, depth, isLast && block < g.depth);
        row += rows;
      }
      from += block;
    } while (from < g.depth);
  }
}

} // namespace moe::cpu::MOE_ISA
