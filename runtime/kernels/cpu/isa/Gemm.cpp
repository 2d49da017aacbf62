//===- Gemm.cpp - Products of f32 rows and panels -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels of two bytes are widened as they are loaded. If more than one tile of
// rows reads them, a block of the depth is widened once, into the first cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Tile.h"

namespace moe::cpu::MOE_ISA {

/// All panels for R rows, as many at a time as registers allow.
template <typename T, int R> static void fewRows(const GemmArgs &g) {
  withPanels<panelsOf<R>()>(
      g.panels, [&]<int P>(int64_t first, std::integral_constant<int, P>) {
        tile<T, R, P>({g.a, g.aStride,
                       static_cast<const T *>(g.b) + first * g.panelStride,
                       g.bStride, g.panelStride, g.c + 16 * first, g.cStride,
                       g.depth, g.accumulate});
      });
}

namespace {
/// The panels of a product, as manyRows reads them.
template <typename T> struct Panels {
  static constexpr bool kIsWide = std::is_same_v<T, float>;
  const GemmArgs &g;

  template <int P>
  void read(int64_t first, int64_t from, int64_t depth, float *room,
            TileArgs<float> &t) const {
    const T *panels = static_cast<const T *>(g.b) + first * g.panelStride;
    const T *b = panels + from * g.bStride;
    // Behind the last depth block are the next panels.
    const T *next = from + depth < g.depth ? b + depth * g.bStride
                                           : panels + P * g.panelStride;
    if constexpr (kIsWide) {
      t.b = b;
      t.bStride = g.bStride;
      t.panelStride = g.panelStride;
      t.ahead = reinterpret_cast<const char *>(next);
      t.aheadStride = g.bStride * static_cast<int64_t>(sizeof(T));
      t.aheadPanelStride = g.panelStride * static_cast<int64_t>(sizeof(T));
    } else {
      for (int p = 0; p < P; ++p)
        widen(b + p * g.panelStride, next + p * g.panelStride, depth,
              room + p * kDepthBlock * 16);
    }
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
        g.rows,
        [&]<int R>(std::integral_constant<int, R>) { fewRows<T, R>(g); });
  TileRows rows{g.a, g.aStride, g.c, g.cStride, g.rows, g.depth, g.accumulate};
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
