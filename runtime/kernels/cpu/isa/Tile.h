//===- Tile.h - Tiles of outputs in registers -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile of R rows and P panels is kept in registers while the depth runs from
// front to back. Each of its outputs is one chain of additions in the order of
// the depth, whatever R and P are, so the tile that a row falls into does not
// change its value: R and P are chosen for speed alone.
//
//   registers    of            tile of many rows          left for
//   portable     16 x 4        2 x 1 panels,  8 sums      columns, a row's
//   avx2         16 x 8        6 x 1 panels, 12 sums      2 columns, 1
//   avx512       32 x 16      12 x 2 panels, 24 sums      2 columns
//
// Where several tiles of rows read the same panels, a block of the depth stays
// in the first cache for all of them (manyRows). Panels are read in place, if
// widening them is free, or are widened there once.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_TILE_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_TILE_H

#include "runtime/kernels/cpu/isa/Columns.h"
#include "runtime/kernels/cpu/isa/RowCounts.h"

#include <algorithm>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

#if MOE_ISA_HAS_AVX512
inline constexpr int kTileRows = 12, kTilePanels = 2;
#elif MOE_ISA_HAS_FMA
inline constexpr int kTileRows = 6, kTilePanels = 1;
#else
inline constexpr int kTileRows = 2, kTilePanels = 1;
#endif
/// Depth after which a tile of a large product gives way to the next rows, so
/// that its part of the panels (8 KiB each) stays in the first cache.
inline constexpr int64_t kDepthBlock = 128;

/// Depth from which few rows may read two long ranges of panels instead of
/// panels side by side, which memory prefers: matrices of less depth are often
/// in a cache, where more chains of additions are worth more.
inline constexpr int64_t kRangeDepth = 512;

/// Panels that a tile of R rows takes at most. With few rows several panels
/// are in flight, because one chain cannot keep the multipliers busy.
template <int R> constexpr int panelsOf() {
#if MOE_ISA_HAS_AVX512
  return R <= 6 ? 4 : 2;
#elif MOE_ISA_HAS_FMA
  return R == 1 ? 4 : R <= 3 ? 2 : 1;
#else
  return R == 1 ? 2 : 1;
#endif
}

/// Rows of the left matrix, in order or chosen.
struct LeftRows {
  const float *a;
  int64_t stride;
  const int32_t *rowOf; ///< row r is the rowOf[r]-th; null: the r-th

  MOE_INLINE const float *operator[](int64_t r) const {
    return a + (rowOf ? rowOf[r] : r) * stride;
  }
  void skip(int64_t rows) {
    if (rowOf)
      rowOf += rows;
    else
      a += rows * stride;
  }
};

/// c[r][16 p + j] = (c[r][16 p + j] +) sum over d of a[r][d] * b[p][d][j].
template <typename T> struct TileArgs {
  LeftRows rows;
  const T *b;
  int64_t bStride, panelStride;
  float *c;
  int64_t cStride;
  int64_t depth;
  bool accumulate;
  /// What comes into the cache meanwhile, in steps as b.
  const T *ahead = nullptr;
  int64_t cStep = 16; ///< between the panels of a row of c

  /// Where register v of row r is in c.
  MOE_INLINE float *at(int r, int v) const {
    return c + r * cStride + v / kParts * cStep + v % kParts * kColumns;
  }
};

/// sum[r][v] += row[r][d] * column[v]. GCC keeps sums in registers only if the
/// loops over them are unrolled.
template <int R, int Vectors>
static MOE_INLINE void addProducts(Columns (&sum)[R][Vectors],
                                   const float *const (&row)[R], int64_t d,
                                   const Columns (&column)[Vectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    Columns x = allColumns(row[r][d]);
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = fmaColumns(x, column[v], sum[r][v]);
  }
}

/// One tile; `Fetched` panels of what is ahead come into the cache, of which a
/// line has `LineRows` rows.
template <typename T, int R, int P, int Fetched = 0, int LineRows = 1>
static void tile(const TileArgs<T> &t) {
  constexpr int kVectors = P * kParts;
  Columns acc[R][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = t.accumulate ? loadColumns(t.at(r, v)) : Columns{};
  const float *row[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    row[r] = t.rows[r];
  const T *panel[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
    panel[p] = t.b + p * t.panelStride;
  const T *ahead = t.ahead;
  const int64_t depth = t.depth, step = t.bStride;
  const int64_t panelStep = t.panelStride;
  auto addRow = [&](int64_t d) __attribute__((always_inline)) {
    Columns column[kVectors];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        column[kParts * p + i] = loadColumns(panel[p] + kColumns * i);
      panel[p] += step;
    }
    addProducts(acc, row, d, column);
  };
  int64_t d = 0;
  for (; d + LineRows <= depth; d += LineRows) {
    if constexpr (Fetched > 0) {
#pragma GCC unroll 16
      for (int p = 0; p < Fetched; ++p)
        __builtin_prefetch(ahead + p * panelStep);
      ahead += LineRows * step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < LineRows; ++i)
      addRow(d + i);
  }
  if constexpr (LineRows > 1)
    for (; d < depth; ++d)
      addRow(d);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      storeColumns(t.at(r, v), acc[r][v]);
}

/// Calls f(first panel, constant P) for panels [from, panels), Most at a time
/// and fewer at the end.
template <int Most, typename F>
static MOE_INLINE void withPanels(int64_t panels, F f, int64_t from = 0) {
  for (; from + Most <= panels; from += Most)
    f(from, std::integral_constant<int, Most>());
  if constexpr (Most > 1)
    withPanels<(Most > 4 ? Most / 2 : Most - 1)>(panels, f, from);
}

/// The rows and results of a product.
struct TileRows {
  LeftRows left;
  float *c;
  int64_t cStride;
  int64_t rows, depth;
  bool accumulate;
};

/// P panels from `first` on for rows of several tiles. `panels` are
///
///   Element                          what tiles read
///   kIsInPlace                       whether they read it where it is
///   read<P>(first, from, depth, room, t)
///                                    sets what t reads for rows [from, from +
///                                    depth) of the panels: in place, or in
///                                    room[P][kDepthBlock][16]
///   ahead<P>(first, from, p)         of panel p, what follows row `from` - 1
template <int P, typename Panels>
static void manyRows(const Panels &panels, const TileRows &g, int64_t first) {
  using Element = typename Panels::Element;
  constexpr bool kIsInPlace = Panels::kIsInPlace;
  alignas(64) float room[kIsInPlace ? 1 : P * kDepthBlock * 16];
  int64_t from = 0;
  do {
    int64_t depth = std::min(g.depth - from, kDepthBlock);
    TileArgs<Element> t{};
    t.rows = g.left;
    t.rows.a += from;
    t.c = g.c + 16 * first;
    t.cStride = g.cStride;
    t.depth = depth;
    t.accumulate = g.accumulate || from > 0;
    panels.template read<P>(first, from, depth, room, t);
    for (int64_t row = 0; row < g.rows;) {
      int64_t rows = nextRows(g.rows - row, kTileRows);
      int64_t left = g.rows - row - rows;
      // The last P tiles each bring the next rows of a panel.
      int p = left == 0 ? P - 1 : left <= kTileRows ? P - 2 : -1;
      bool fetches = kIsInPlace && p >= 0;
      if (fetches)
        t.ahead = panels.template ahead<P>(first, from + depth, p);
      withRows<(kTileRows + 1) / 2, kTileRows>(
          rows, [&]<int R>(std::integral_constant<int, R>) {
            if (fetches)
              tile<Element, R, P, kIsInPlace ? 1 : 0>(t);
            else
              tile<Element, R, P>(t);
          });
      t.rows.skip(rows);
      t.c += rows * g.cStride;
      row += rows;
    }
    from += depth;
  } while (from < g.depth);
}

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_TILE_H
