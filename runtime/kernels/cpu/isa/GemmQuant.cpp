//===- GemmQuant.cpp - Products of f32 rows and panels of codes -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight is (code - zero) * scale, rounded as f32, and goes into the chains
// of additions of Gemm.cpp. Few rows keep their sums in registers and widen
// each word once for all of them. With more rows than that a block of the depth
// is widened into the first cache, where the tiles for f32 find it.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Codes.h"
#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Tile.h"

namespace moe::cpu::MOE_ISA {

/// Rows of a tile that is computed from words, the panels that it takes at a
/// time, and rows up to which such tiles are faster: words are widened for each
/// tile again, which takes one multiplication for R multiply-adds.
#if MOE_ISA_HAS_AVX512
static constexpr int kQuantRows = 12, kFewRows = 36;
template <int R> static constexpr int quantPanelsOf() { return R <= 3 ? 4 : 2; }
#elif MOE_ISA_HAS_FMA
static constexpr int kQuantRows = 2, kFewRows = 2;
template <int R> static constexpr int quantPanelsOf() { return R == 1 ? 2 : 1; }
#else
static constexpr int kQuantRows = 1, kFewRows = 1;
template <int R> static constexpr int quantPanelsOf() { return 1; }
#endif

/// Bytes of a panel that words of `depth` rows take.
template <int Bits> static constexpr int64_t wordBytes(int64_t depth) {
  return depth * (16 * Bits / 8);
}

/// Rows between what is multiplied and what comes into the cache: the hardware
/// follows a panel, but neither its scales nor into the next page.
static constexpr int64_t kAheadRows = 256;

//===----------------------------------------------------------------------===//
// Few rows
//===----------------------------------------------------------------------===//

namespace {
/// R rows and P panels of codes with what their current block has in common.
template <int Bits, bool HasZeros, int R, int P> struct QuantTile {
  static constexpr int kRows = Codes<Bits>::kRows;

  const float *row[R];
  const std::byte *word[P];
  int64_t ahead; ///< bytes from a word to one that comes into the cache
  Columns acc[R][P * kParts];
  Columns scale[P * kParts];
  Bases<Bits> base[P];

  MOE_INLINE void setZeros(const QuantPanels &q, const std::byte *panels,
                           int64_t block) {
    for (int p = 0; p < P; ++p)
      for (int i = 0; i < kParts; ++i)
        base[p].set(i, zeroColumns(q, panels + p * q.panelStride, block, i));
  }

  /// What lies behind `block`, far enough to be there in time, comes into the
  /// cache: codes with each word, scales now. After `blocks` blocks of the
  /// panels come those `next` bytes further.
  MOE_INLINE void setAhead(const QuantPanels &q, const std::byte *panels,
                           int64_t block, int64_t blocks, int64_t next) {
    int64_t target = block + std::max<int64_t>(1, kAheadRows / q.block);
    int64_t offset = 0;
    if (target >= blocks) {
      target -= blocks;
      offset = next;
    }
    ahead = offset + wordBytes<Bits>((target - block) * q.block);
    const std::byte *scales = panels + offset + q.scales +
                              target * (q.scaleType == DType::F32 ? 64 : 32);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
      __builtin_prefetch(scales + p * q.panelStride);
  }

  MOE_INLINE void setScales(const QuantPanels &q, const std::byte *panels,
                            int64_t block) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        scale[kParts * p + i] =
            scaleColumns(q, panels + p * q.panelStride, block, i);
  }

  /// The next `count` of the kRows rows of the depth that a word has.
  template <bool IsWhole = true>
  MOE_INLINE void addWord(int64_t count = kRows) {
    Columns32 words[2][P * kParts];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i) {
        auto read = readVector<Columns32>(word[p] + 4 * kColumns * i);
        words[0][kParts * p + i] = read;
        if constexpr (!looksUp<Bits, HasZeros>())
          words[1][kParts * p + i] = read >> 16;
      }
      __builtin_prefetch(word[p] + ahead);
      word[p] += 64;
    }
#pragma GCC unroll 16
    for (int d = 0; d < kRows; ++d) {
      if (!IsWhole && d >= count)
        break;
      constexpr int kVectors = P * kParts;
      const int place = Codes<Bits>::placeOf(d);
      Columns column[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
#if MOE_ISA_HAS_AVX512
        if constexpr (looksUp<Bits, HasZeros>()) {
          column[v] = lookedUpCode(words[0][v], d) * scale[v];
          continue;
        }
#endif
        Columns code =
            placedCode<Bits>(words[Codes<Bits>::isShifted(d)][v], place);
        column[v] = (code - base[v / kParts].of[place][v % kParts]) * scale[v];
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
      row[r] += kRows;
  }
};
} // namespace

/// P panels from `first` on for R rows.
template <int Bits, bool HasZeros, int R, int P>
static void quantTile(const QuantGemmArgs &g, int64_t first) {
  const QuantPanels &q = g.b;
  const std::byte *panels = q.data + first * q.panelStride;
  constexpr int kRows = Codes<Bits>::kRows;
  const LeftRows rows{g.a, g.aStride, g.rowOf};
  QuantTile<Bits, HasZeros, R, P> t;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    t.row[r] = rows[r];
#pragma GCC unroll 16
    for (int v = 0; v < P * kParts; ++v)
      t.acc[r][v] = Columns{};
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    t.word[p] = panels + p * q.panelStride;
    for (int i = 0; i < kParts; ++i)
      t.base[p].set(i, allColumns(1 << (Bits - 1)));
  }
  int64_t blocks = (g.depth + q.block - 1) / q.block;
  int64_t next = P * q.panelStride;
  for (int64_t d = 0, block = 0; d < g.depth; ++block) {
    int64_t end = std::min(g.depth, d + q.block);
    t.setAhead(q, panels, block, blocks, next);
    t.setScales(q, panels, block);
    if constexpr (HasZeros)
      t.setZeros(q, panels, block);
    for (; d + kRows <= end; d += kRows)
      t.addWord();
    if (d < end) { // the end of the depth
      t.template addWord<false>(end - d);
      d = end;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < P * kParts; ++v)
      storeColumns(g.c + r * g.cStride + 16 * first + kColumns * v,
                   t.acc[r][v]);
}

//===----------------------------------------------------------------------===//
// Many rows
//===----------------------------------------------------------------------===//

namespace {
/// The panels of a product, as manyRows reads them.
template <int Bits> struct WidenedPanels {
  static constexpr bool kIsInPlace = false;
  using Element = float;
  const QuantGemmArgs &g;

  template <int P>
  void read(int64_t first, int64_t from, int64_t depth, float *room,
            TileArgs<float> &t) const {
    t.b = room;
    t.bStride = 16;
    t.panelStride = kDepthBlock * 16;
    // Behind the last depth block are the next panels.
    int64_t stride = g.b.panelStride;
    int64_t ahead = from + depth < g.depth ? wordBytes<Bits>(depth)
                                           : P * stride - wordBytes<Bits>(from);
    const std::byte *panel = g.b.data + first * stride;
    for (int p = 0; p < P; ++p, panel += stride)
      widen(panel, ahead, from, from + depth, room + p * kDepthBlock * 16);
  }
  template <int P> const float *ahead(int64_t, int64_t, int) const {
    return nullptr; // comes while panels are widened
  }

  /// Rows [from, end) of a panel as f32, up to the end of their last word; what
  /// lies `ahead` bytes behind their words comes nearer. `from` begins a word.
  void widen(const std::byte *panel, int64_t ahead, int64_t from, int64_t end,
             float *out) const {
    constexpr int kRows = Codes<Bits>::kRows;
    const QuantPanels &q = g.b;
    Bases<Bits> base;
    for (int i = 0; i < kParts; ++i)
      base.set(i, allColumns(1 << (Bits - 1)));
    for (int64_t d = from; d < end;) {
      int64_t block = d / q.block;
      int64_t blockEnd = std::min(end, (block + 1) * q.block);
      Columns scale[kParts];
      for (int i = 0; i < kParts; ++i) {
        scale[i] = scaleColumns(q, panel, block, i);
        if (q.hasZeroPoints)
          base.set(i, zeroColumns(q, panel, block, i));
      }
      for (; d < blockEnd; d += kRows, out += 16 * kRows) {
        const std::byte *word = panel + wordBytes<Bits>(d);
        __builtin_prefetch(word + ahead);
        widenWord(word, base, scale, out);
      }
    }
  }

  static MOE_INLINE void widenWord(const std::byte *word,
                                   const Bases<Bits> &base,
                                   const Columns *scale, float *out) {
#pragma GCC unroll 16
    for (int i = 0; i < kParts; ++i) {
      auto codes = readVector<Columns32>(word + 4 * kColumns * i);
      auto shifted = codes >> 16;
#pragma GCC unroll 16
      for (int d = 0; d < Codes<Bits>::kRows; ++d) {
        int place = Codes<Bits>::placeOf(d);
        Columns code = placedCode<Bits>(
            Codes<Bits>::isShifted(d) ? shifted : codes, place);
        storeColumns(out + 16 * d + kColumns * i,
                     (code - base.of[place][i]) * scale[i]);
      }
    }
  }
};
} // namespace

/// All panels for the rows of a tile.
template <int Bits, bool HasZeros> static void oneTile(const QuantGemmArgs &g) {
  withRows<1, kQuantRows>(g.rows, [&]<int R>(std::integral_constant<int, R>) {
    withPanels<quantPanelsOf<R>()>(
        g.panels, [&]<int P>(int64_t first, std::integral_constant<int, P>) {
          quantTile<Bits, HasZeros, R, P>(g, first);
        });
  });
}

/// A few tiles of about as many rows each, which read the panels in turn. Zero
/// points make that too expensive.
template <int Bits> static void fewTiles(const QuantGemmArgs &g) {
  auto some = [&]<int P>(int64_t first, std::integral_constant<int, P>) {
    QuantGemmArgs t = g;
    int64_t left = g.rows;
    for (int64_t tiles = (g.rows + kQuantRows - 1) / kQuantRows; tiles > 0;
         --tiles) {
      t.rows = (left + tiles - 1) / tiles;
      withRows<kQuantRows / 2, kQuantRows>(
          t.rows, [&]<int R>(std::integral_constant<int, R>) {
            quantTile<Bits, false, R, P>(t, first);
          });
      if (t.rowOf)
        t.rowOf += t.rows;
      else
        t.a += t.rows * t.aStride;
      t.c += t.rows * t.cStride;
      left -= t.rows;
    }
  };
  withPanels<quantPanelsOf<kQuantRows>()>(g.panels, some);
}

template <int Bits> static void gemmOf(const QuantGemmArgs &g) {
  if (g.rows <= kQuantRows)
    return g.b.hasZeroPoints ? oneTile<Bits, true>(g) : oneTile<Bits, false>(g);
  if constexpr (kFewRows > kQuantRows)
    if (g.rows <= kFewRows && !g.b.hasZeroPoints)
      return fewTiles<Bits>(g);
  TileRows rows{
      {g.a, g.aStride, g.rowOf}, g.c, g.cStride, g.rows, g.depth, false};
  withPanels<kTilePanels>(
      g.panels, [&]<int P>(int64_t first, std::integral_constant<int, P>) {
        manyRows<P>(WidenedPanels<Bits>{g}, rows, first);
      });
}

void gemmQuant(const QuantGemmArgs &g) {
  if (g.b.bits == 4)
    gemmOf<4>(g);
  else
    gemmOf<8>(g);
}

} // namespace moe::cpu::MOE_ISA
