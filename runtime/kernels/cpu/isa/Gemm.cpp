//===- Gemm.cpp - Products of f32 rows and panels -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels of two bytes are widened as they are loaded. If more than one tile of
// rows reads them, a block of the depth may be widened once, into the first
// cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Tile.h"

namespace moe::cpu::MOE_ISA {

/// Rows of the depth between what few rows are multiplied with and what comes
/// into the cache: 8 KiB of P panels together. The hardware does not follow a
/// panel into the next page.
template <typename T, int P>
static constexpr int64_t kAheadRows = 8192 / (P * 16 * sizeof(T));

/// Bytes between what is multiplied in a range and what comes into the cache.
static constexpr int64_t kRangeAhead = 4096;

/// All panels for R rows, in two ranges, of each of which one panel is read at
/// a time. Panels side by side begin, and cross pages, at the same time: where
/// lines have less work than those of f32, memory waits for that. Long ranges
/// give up to 6 % more.
template <typename T, int R> static void inRanges(const GemmArgs &g) {
  auto some = [&]<int P>(int64_t first, int64_t each,
                         std::integral_constant<int, P>) {
    for (int64_t panel = first; panel < first + each; ++panel) {
      TileArgs<T> t{{g.a, g.aStride, g.rowOf},
                    static_cast<const T *>(g.b) + panel * g.panelStride,
                    g.bStride,
                    each * g.panelStride,
                    g.c + 16 * panel,
                    g.cStride,
                    g.depth,
                    g.accumulate};
      // Behind a range are the panels of the next one, or of the next item.
      t.ahead = t.b + kRangeAhead / static_cast<int64_t>(sizeof(T));
      t.cStep = 16 * each;
      tile<T, R, P, P, 64 / (16 * sizeof(T))>(t);
    }
  };
  constexpr int kRanges = std::min(2, panelsOf<R>());
  int64_t each = g.panels / kRanges, done = kRanges * each;
  some(0, each, std::integral_constant<int, kRanges>());
  some(done, g.panels - done, std::integral_constant<int, 1>());
}

/// All panels for R rows, as many side by side as registers allow.
template <typename T, int R> static void sideBySide(const GemmArgs &g) {
  withPanels<panelsOf<R>()>(
      g.panels, [&]<int P>(int64_t first, std::integral_constant<int, P>) {
        const T *b = static_cast<const T *>(g.b) + first * g.panelStride;
        TileArgs<T> t{{g.a, g.aStride, g.rowOf},
                      b,
                      g.bStride,
                      g.panelStride,
                      g.c + 16 * first,
                      g.cStride,
                      g.depth,
                      g.accumulate,
                      b};
        constexpr int64_t kAhead = kAheadRows<T, P>;
        if (g.depth > 2 * kAhead) {
          t.depth = g.depth - kAhead;
          t.ahead = b + kAhead * g.bStride;
          tile<T, R, P, P>(t);
          // The last rows bring the first ones of the next panels, if any.
          t.rows.a += t.depth;
          t.b += t.depth * g.bStride;
          t.depth = kAhead;
          t.accumulate = true;
          t.ahead = first + P < g.panels ? b + P * g.panelStride : t.b;
        }
        tile<T, R, P, P>(t);
      });
}

/// Whether tiles of many rows read panels of T in place. AVX-512 widens two
/// bytes in units that products leave alone.
template <typename T> constexpr bool kWidensInTiles = std::is_same_v<T, float>;
#if MOE_ISA_HAS_AVX512
template <> constexpr bool kWidensInTiles<Half> = true;
template <> constexpr bool kWidensInTiles<BFloat16> = true;
#endif

namespace {
/// The panels of a product, as manyRows reads them.
template <typename T> struct Panels {
  static constexpr bool kIsInPlace = kWidensInTiles<T>;
  using Element = std::conditional_t<kIsInPlace, T, float>;
  const GemmArgs &g;

  const T *at(int64_t panel, int64_t depth) const {
    return static_cast<const T *>(g.b) + panel * g.panelStride +
           depth * g.bStride;
  }

  template <int P>
  void read(int64_t first, int64_t from, int64_t depth, float *room,
            TileArgs<Element> &t) const {
    if constexpr (kIsInPlace) {
      t.b = at(first, from);
      t.bStride = g.bStride;
      t.panelStride = g.panelStride;
    } else {
      t.b = room;
      t.bStride = 16;
      t.panelStride = kDepthBlock * 16;
      for (int p = 0; p < P; ++p)
        widen(at(first + p, from), next<P>(first, from + depth, p), depth,
              room + p * kDepthBlock * 16);
    }
  }

  template <int P>
  const Element *ahead(int64_t first, int64_t from, int p) const {
    if constexpr (kIsInPlace)
      return next<P>(first, from, p);
    return nullptr; // comes while panels are widened
  }
  /// Behind the depth are the next panels.
  template <int P> const T *next(int64_t first, int64_t from, int p) const {
    return from < g.depth ? at(first + p, from) : at(first + P + p, 0);
  }

  /// `depth` rows of a panel as f32; as many from `next` on come nearer.
  void widen(const T *panel, const T *next, int64_t depth, float *out) const {
    for (int64_t d = 0; d < depth; ++d) {
      __builtin_prefetch(next + d * g.bStride);
      for (int i = 0; i < 16; i += kColumns)
        storeColumns(out + 16 * d + i, loadColumns(panel + d * g.bStride + i));
    }
  }
};
} // namespace

template <typename T> static void gemmOf(const GemmArgs &g) {
  if (g.rows <= kTileRows)
    return withRows<1, kTileRows>(
        g.rows, [&]<int R>(std::integral_constant<int, R>) {
          if (sizeof(T) == 2 && g.panelStride == 16 * g.depth &&
              g.depth >= kRangeDepth)
            inRanges<T, R>(g);
          else
            sideBySide<T, R>(g);
        });
  TileRows rows{
      {g.a, g.aStride, g.rowOf}, g.c, g.cStride, g.rows, g.depth, g.accumulate};
  withPanels<kTilePanels>(
      g.panels, [&]<int P>(int64_t first, std::integral_constant<int, P>) {
        manyRows<P>(Panels<T>{g}, rows, first);
      });
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
