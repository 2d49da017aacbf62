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
//   registers    of            tile of many rows          left for
//   portable     16 x 4        2 x 1 panels,  8 sums      columns, a row's
//   value avx2         16 x 8        6 x 1 panels, 12 sums      2 columns, 1
//   value avx512       32 x 16      12 x 2 panels, 24 sums      2 columns
//
// Panels of two bytes are widened as they are loaded. If more than one tile of
// rows reads them, a block of the depth is widened once, into the first cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Columns.h"
#include "runtime/kernels/cpu/isa/Functions.h"

#include <algorithm>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

#if MOE_ISA_HAS_AVX512
static constexpr int kTileRows = 12, kTilePanels = 2;
#elif MOE_ISA_HAS_FMA
static constexpr int kTileRows = 6, kTilePanels = 1;
#else
static constexpr int kTileRows = 2, kTilePanels = 1;
#endif
/// Depth after which a tile of a large product gives way to the next rows, so
/// that its part of the panels (16 KiB each) stays in the first cache.
static constexpr int64_t kDepthBlock = 256;

/// Panels that a tile of R rows takes at most.
template <int R> static constexpr int panelsOf() {
#if MOE_ISA_HAS_AVX512
  return R <= 6 ? 4 : R <= 8 ? 3 : 2;
#elif MOE_ISA_HAS_FMA
  return R == 1 ? 4 : R <= 3 ? 2 : 1;
#else
  return R == 1 ? 2 : 1;
#endif
}

namespace {
/// c[r][16 p + j] = (c[r][16 p + j] +) sum over d of a[r][d] * b[p][d][j].
template <typename T> struct TileArgs {
  const float *a;
  int64_t aStride;
  const T *b;
  int64_t bStride, panelStride;
  float *c;
  int64_t cStride;
  int64_t depth;
  bool accumulate;
  /// What comes into the cache meanwhile, in steps as b; may be null.
  const char *ahead = nullptr;
  int64_t aheadStride = 0, aheadPanelStride = 0;
};
} // namespace

/// One tile. GCC keeps the accumulators in registers only if the loops over
/// them are unrolled.
template <typename T, int R, int P, bool Fetch = false>
static void tile(const TileArgs<T> &t) {
  constexpr int kVectors = P * kParts;
  Columns acc[R][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = t.accumulate ? loadColumns(t.c + r * t.cStride + kColumns * v)
                               : Columns{};
  const float *row[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    row[r] = t.a + r * t.aStride;
  const T *panel[P];
  const char *ahead[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    panel[p] = t.b + p * t.panelStride;
    ahead[p] = t.ahead + p * t.aheadPanelStride;
  }
  const int64_t depth = t.depth, step = t.bStride, aheadStep = t.aheadStride;
  for (int64_t d = 0; d < depth; ++d) {
    Columns column[kVectors];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        column[kParts * p + i] = loadColumns(panel[p] + kColumns * i);
      panel[p] += step;
      if constexpr (Fetch) {
        __builtin_prefetch(ahead[p]);
        ahead[p] += aheadStep;
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      Columns x = allColumns(row[r][d]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        acc[r][v] = fmaColumns(x, column[v], acc[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      storeColumns(t.c + r * t.cStride + kColumns * v, acc[r][v]);
}

/// Calls f with Min, Min + 1 .. or Max as a constant, whichever `rows` is.
template <int Min, int Max, typename F>
static MOE_INLINE void withRows(int64_t rows, F f) {
  if (rows == Min)
    return f(std::integral_constant<int, Min>());
  if constexpr (Min < Max)
    withRows<Min + 1, Max>(rows, f);
}

/// All panels for R rows, as many at a time as registers allow.
template <typename T, int R> static void fewRows(const GemmArgs &g) {
  int64_t p = 0;
  auto take = [&]<int P>(std::integral_constant<int, P>) {
    for (; p + P <= g.panels; p += P)
      tile<T, R, P>({g.a, g.aStride,
                     static_cast<const T *>(g.b) + p * g.panelStride, g.bStride,
                     g.panelStride, g.c + 16 * p, g.cStride, g.depth,
                     g.accumulate});
  };
  constexpr int kMost = panelsOf<R>();
  if constexpr (kMost > 3)
    take(std::integral_constant<int, 4>());
  if constexpr (kMost > 2)
    take(std::integral_constant<int, 3>());
  if constexpr (kMost > 1)
    take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}

/// Rows of the next tile: as even as it goes, so that no thin tile remains.
static int64_t nextRows(int64_t remaining) {
  if (remaining <= kTileRows)
    return remaining;
  return remaining < 2 * kTileRows ? (remaining + 1) / 2 : kTileRows;
}

/// `depth` rows of a panel as f32.
template <typename T>
static void widenPanel(const T *panel, int64_t stride, int64_t depth,
                       float *out) {
  for (int64_t d = 0; d < depth; ++d)
    for (int i = 0; i < 16; i += kColumns)
      storeColumns(out + 16 * d + i, loadColumns(panel + stride * d + i));
}

/// P panels from `first` on for more rows than a tile has.
template <typename T, int P>
static void manyRows(const GemmArgs &g, int64_t first) {
  constexpr bool kIsWide = std::is_same_v<T, float>;
  alignas(64) float widened[kIsWide ? 1 : P * kDepthBlock * 16];
  const T *panels = static_cast<const T *>(g.b) + first * g.panelStride;
  int64_t from = 0;
  do {
    const T *b = panels + from * g.bStride;
    int64_t depth = std::min(g.depth - from, kDepthBlock);
    TileArgs<float> t{g.a + from,
                      g.aStride,
                      widened,
                      16,
                      kDepthBlock * 16,
                      g.c + 16 * first,
                      g.cStride,
                      depth,
                      g.accumulate || from > 0};
    if constexpr (kIsWide) {
      t.b = b;
      t.bStride = g.bStride;
      t.panelStride = g.panelStride;
    } else {
      for (int p = 0; p < P; ++p)
        widenPanel(b + p * g.panelStride, g.bStride, depth,
                   widened + p * kDepthBlock * 16);
    }
    from += depth;
    // Behind the last depth block are the next panels.
    const T *next =
        from < g.depth ? panels + from * g.bStride : panels + P * g.panelStride;
    t.ahead = reinterpret_cast<const char *>(next);
    t.aheadStride = g.bStride * static_cast<int64_t>(sizeof(T));
    t.aheadPanelStride = g.panelStride * static_cast<int64_t>(sizeof(T));
    for (int64_t row = 0; row < g.rows;) {
      int64_t rows = nextRows(g.rows - row);
      bool isLast = row + rows == g.rows;
      withRows<(kTileRows + 1) / 2, kTileRows>(
          rows, [&]<int R>(std::integral_constant<int, R>) {
            if (isLast)
              tile<float, R, P, true>(t);
            else
              tile<float, R, P>(t);
          });
      t.a += rows * g.aStride;
      t.c += rows * g.cStride;
      row += rows;
    }
  } while (from < g.depth);
}

template <typename T> static void gemmOf(const GemmArgs &g) {
  if (g.rows <= kTileRows)
    return withRows<1, kTileRows>(
        g.rows,
        [&]<int R>(std::integral_constant<int, R>) { fewRows<T, R>(g); });
  int64_t p = 0;
  if constexpr (kTilePanels > 1)
    for (; p + kTilePanels <= g.panels; p += kTilePanels)
      manyRows<T, kTilePanels>(g, p);
  for (; p < g.panels; ++p)
    manyRows<T, 1>(g, p);
}

void gemm(const GemmArgs &g) {
  switch (g.bType) {
  case DType::F16:
    return gemmOf<Half>(g);
  case DType::BF16:
    return gemmOf<BFloat16>(g);
  default:
    return gemmOf<float>(g);
  }
}

} // namespace moe::cpu::MOE_ISA
