//===- GemmQuant.cpp - Products of f32 rows and panels of codes -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of 32 rows of the depth shares its scales, so a tile adds products of
// codes first, and scales their sum once:
//
//   c[r][j] = sum over segments s of scale[s][j] *
//             sum over d in s of a[r][d] * (code[d][j] - zero[s][j])
//
// A segment is 32 rows of the depth, or 16 if blocks are that short. Both sums
// are chains in the order of the depth, begun with 0, whatever tile a row falls
// into. With weights scaled one by one instead, a tile of R rows would have one
// multiplication for R multiply-adds, all on the same units: a quarter more
// work with four rows.
//
// Codes become columns of f32 in registers, in every tile again. Where that
// competes with the products (AVX2, portable), many rows find a part of the
// depth widened in the first cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Codes.h"
#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Tile.h"

namespace moe::cpu::MOE_ISA {

/// Rows of the depth that are added before they are scaled, at most.
static constexpr int64_t kSegment = 32;

/// Rows of a tile that is computed from words, the panels that it takes, sums
/// up to which totals stay in registers beside them, and rows up to which tiles
/// of words are the faster ones.
#if MOE_ISA_HAS_AVX512
template <int Bits> static constexpr int quantRows() {
  return Bits == 4 ? 10 : 9;
}
template <int Bits, int R> static constexpr int quantPanelsOf() {
  return R <= (Bits == 4 ? 5 : 4) ? 4 : 2;
}
static constexpr int kKeptTotals = 8;
#elif MOE_ISA_HAS_FMA
template <int Bits> static constexpr int quantRows() {
  return Bits == 4 ? 5 : 4;
}
template <int Bits, int R> static constexpr int quantPanelsOf() {
  return R == 1 ? 2 : 1;
}
static constexpr int kKeptTotals = 4;
template <int Bits> static constexpr int64_t fewRows() {
  return Bits == 4 ? 10 : 5;
}
#else
template <int Bits> static constexpr int quantRows() { return 1; }
template <int Bits, int R> static constexpr int quantPanelsOf() { return 1; }
static constexpr int kKeptTotals = 4;
template <int Bits> static constexpr int64_t fewRows() { return 1; }
#endif

/// Bytes of a panel that words of `depth` rows take.
template <int Bits> static constexpr int64_t wordBytes(int64_t depth) {
  return depth * (16 * Bits / 8);
}

/// Rows between what is multiplied and what comes into the cache: the hardware
/// follows a panel, but neither its scales nor into the next page.
static constexpr int64_t kAheadRows = 256;

/// Whether R rows read two ranges of panels, as inRanges of Gemm.cpp does, and
/// the rows ahead then. One row of codes of 4 bits needs the chains of four
/// panels more than it needs memory.
template <int Bits, int R> static constexpr bool readsRanges() {
  return MOE_ISA_HAS_AVX512 && Bits == 8 && R == 1;
}
static constexpr int64_t kRangeAheadRows = 384;

//===----------------------------------------------------------------------===//
// Tiles of words
//===----------------------------------------------------------------------===//

namespace {
/// R rows and P panels of codes, `each` panels apart.
template <int Bits, bool HasZeros, int R, int P> struct QuantTile {
  static constexpr int kRows = Codes<Bits>::kRows;
  static constexpr int kVectors = P * kParts;
  /// Totals wait in c otherwise.
  static constexpr bool kKeepsTotals = R * kVectors <= kKeptTotals;

  const QuantPanels &q;
  const std::byte *panels;
  int64_t stride; ///< bytes between the panels
  int64_t next;   ///< bytes to the panels that come next
  int64_t aheadRows;
  float *c;
  int64_t cStride;
  int64_t cStep; ///< between the panels of a row of c
  const float *row[R];
  const std::byte *word[P];
  int64_t ahead = 0; ///< bytes from a word to one that comes into the cache
  Columns sum[R][kVectors];
  Columns total[kKeepsTotals ? R : 1][kVectors];
  Zeros<Bits, HasZeros> zero[kVectors];

  MOE_INLINE QuantTile(const QuantGemmArgs &g, int64_t first, int64_t each)
      : q(g.b), panels(q.data + first * q.panelStride),
        stride(each * q.panelStride), next((each == 1 ? P : 1) * q.panelStride),
        aheadRows(each == 1 ? kAheadRows : kRangeAheadRows),
        c(g.c + 16 * first), cStride(g.cStride), cStep(16 * each) {
    const LeftRows rows{g.a, g.aStride, g.rowOf};
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      row[r] = rows[r];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        if constexpr (kKeepsTotals)
          total[r][v] = Columns{};
        else
          storeColumns(at(r, v), Columns{});
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
      word[p] = panels + p * stride;
  }

  /// Where register v of row r is in c.
  MOE_INLINE float *at(int r, int v) const {
    return c + r * cStride + v / kParts * cStep + v % kParts * kColumns;
  }

  /// Begins `block`. What lies behind it, far enough to be there in time, comes
  /// into the cache: codes with each word, scales and zeros now. After `blocks`
  /// blocks of the panels come those of the next panels.
  MOE_INLINE void beginBlock(int64_t block, int64_t blocks) {
    int64_t target = block + std::max<int64_t>(1, aheadRows / q.block);
    const std::byte *from = panels;
    if (target >= blocks) {
      target -= blocks;
      from += next;
    }
    ahead = (from - panels) + wordBytes<Bits>((target - block) * q.block);
    int64_t scales = q.scales + target * (q.scaleType == DType::F32 ? 64 : 32);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      __builtin_prefetch(from + p * stride + scales);
      if constexpr (HasZeros)
        __builtin_prefetch(from + p * stride + q.zeros + 16 * target);
    }
    if constexpr (HasZeros)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        zero[v].set(
            zeroColumns(q, panels + v / kParts * stride, block, v % kParts));
  }

  MOE_INLINE void beginSegment() {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        sum[r][v] = Columns{};
  }

  /// The next `count` of the kRows rows of the depth that a word has.
  template <bool IsWhole = true>
  MOE_INLINE void addWord(int64_t count = kRows) {
    Word<Bits> words[kVectors];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        words[kParts * p + i].load(word[p] + 4 * kColumns * i);
      __builtin_prefetch(word[p] + ahead);
      word[p] += 64;
    }
#pragma GCC unroll 16
    for (int d = 0; d < kRows; ++d) {
      if (!IsWhole && d >= count)
        break;
      Columns column[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        column[v] = words[v].row(d, zero[v]);
      addProducts(sum, row, d, column);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
      row[r] += kRows;
  }

  /// Adds the sums of a segment to the totals.
  MOE_INLINE void endSegment(int64_t block) {
    Columns scale[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      scale[v] =
          scaleColumns(q, panels + v / kParts * stride, block, v % kParts);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        if constexpr (kKeepsTotals) {
          total[r][v] = fmaColumns(sum[r][v], scale[v], total[r][v]);
        } else {
          float *to = at(r, v);
          storeColumns(to, fmaColumns(sum[r][v], scale[v], loadColumns(to)));
        }
  }

  MOE_INLINE void end() {
    if constexpr (kKeepsTotals)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          storeColumns(at(r, v), total[r][v]);
  }
};
} // namespace

/// P panels from `first` on, `each` apart, for R rows.
template <int Bits, bool HasZeros, int R, int P>
static void quantTile(const QuantGemmArgs &g, int64_t first, int64_t each = 1) {
  constexpr int kRows = Codes<Bits>::kRows;
  QuantTile<Bits, HasZeros, R, P> t(g, first, each);
  const int64_t size = g.b.block, blocks = (g.depth + size - 1) / size;
  const int64_t segment = std::min(size, kSegment);
  for (int64_t d = 0, block = 0; d < g.depth; ++block) {
    t.beginBlock(block, blocks);
    for (int64_t blockEnd = std::min(g.depth, d + size); d < blockEnd;) {
      int64_t end = std::min(blockEnd, d + segment);
      t.beginSegment();
      for (; d + kRows <= end; d += kRows)
        t.addWord();
      if (d < end) { // the end of the depth
        t.template addWord<false>(end - d);
        d = end;
      }
      t.endSegment(block);
    }
  }
  t.end();
}

/// All panels for R rows, in two ranges, of each of which one panel is read at
/// a time.
template <int Bits, bool HasZeros, int R>
static void inRanges(const QuantGemmArgs &g) {
  int64_t each = g.panels / 2;
  for (int64_t panel = 0; panel < each; ++panel)
    quantTile<Bits, HasZeros, R, 2>(g, panel, each);
  if (g.panels % 2 != 0)
    quantTile<Bits, HasZeros, R, 1>(g, 2 * each);
}

/// All rows, in tiles of about as many rows each, which read the panels in
/// turn.
template <int Bits, bool HasZeros>
static void tilesOfWords(const QuantGemmArgs &g) {
  constexpr int kMost = quantRows<Bits>();
  int64_t tiles = (g.rows + kMost - 1) / kMost;
  auto allTiles = [&]<int P>(int64_t first, std::integral_constant<int, P>) {
    QuantGemmArgs t = g;
    LeftRows left{g.a, g.aStride, g.rowOf};
    for (int64_t row = 0, n = tiles; n > 0; --n) {
      t.rows = (g.rows - row + n - 1) / n;
      t.a = left.a;
      t.rowOf = left.rowOf;
      withRows<1, kMost>(t.rows, [&]<int R>(std::integral_constant<int, R>) {
        if constexpr (P <= quantPanelsOf<Bits, R>())
          quantTile<Bits, HasZeros, R, P>(t, first);
      });
      left.skip(t.rows);
      t.c += t.rows * t.cStride;
      row += t.rows;
    }
  };
  // The first tile is the largest one: it decides how many panels registers
  // allow.
  int64_t most = tiles > 0 ? (g.rows + tiles - 1) / tiles : 0;
  withRows<1, kMost>(most, [&]<int R>(std::integral_constant<int, R>) {
    if constexpr (readsRanges<Bits, R>())
      if (g.depth >= kRangeDepth)
        return inRanges<Bits, HasZeros, R>(g);
    withPanels<quantPanelsOf<Bits, R>()>(g.panels, allTiles);
  });
}

//===----------------------------------------------------------------------===//
// Tiles of widened codes
//===----------------------------------------------------------------------===//

#if !MOE_ISA_HAS_AVX512
namespace {
/// A part of the depth of a panel: codes less their zeros, as f32, and scales
/// of segments.
struct WidenedPart {
  alignas(64) float codes[kDepthBlock][16];
  alignas(64) float scales[kDepthBlock / 16][16];

  /// Rows [from, end) of `panel` up to the end of their last word; what lies
  /// `ahead` bytes behind their words comes nearer. `from` begins a part.
  template <int Bits, bool HasZeros>
  void read(const QuantPanels &q, const std::byte *panel, int64_t ahead,
            int64_t from, int64_t end) {
    constexpr int kRows = Codes<Bits>::kRows;
    const int64_t segment = std::min(q.block, kSegment);
    Zeros<Bits, HasZeros> zero[kParts];
    float *out = codes[0];
    for (int64_t d = from, s = 0; d < end; ++s) {
      int64_t block = d / q.block;
      for (int i = 0; i < kParts; ++i) {
        storeColumns(scales[s] + kColumns * i,
                     scaleColumns(q, panel, block, i));
        if constexpr (HasZeros)
          zero[i].set(zeroColumns(q, panel, block, i));
      }
      for (int64_t stop = std::min(end, d + segment); d < stop;
           d += kRows, out += 16 * kRows) {
        const std::byte *from = panel + wordBytes<Bits>(d);
        __builtin_prefetch(from + ahead);
#pragma GCC unroll 16
        for (int i = 0; i < kParts; ++i) {
          Word<Bits> word;
          word.load(from + 4 * kColumns * i);
#pragma GCC unroll 16
          for (int row = 0; row < kRows; ++row)
            storeColumns(out + 16 * row + kColumns * i, word.row(row, zero[i]));
        }
      }
    }
  }
};
} // namespace

/// R rows of a panel, of which `depth` rows are in `part`; totals go on from c
/// unless these are the first ones.
template <int R>
static void widenedTile(const WidenedPart &part, const LeftRows &rows,
                        int64_t depth, int64_t segment, bool isFirst, float *c,
                        int64_t cStride) {
  const float *row[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    row[r] = rows[r];
  for (int64_t d = 0, s = 0; d < depth; ++s) {
    Columns sum[R][kParts];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        sum[r][i] = Columns{};
    for (int64_t end = std::min(depth, d + segment); d < end; ++d) {
      Columns column[kParts];
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i)
        column[i] = loadColumns(part.codes[d] + kColumns * i);
      addProducts(sum, row, d, column);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int i = 0; i < kParts; ++i) {
        float *to = c + r * cStride + kColumns * i;
        Columns total = isFirst && s == 0 ? Columns{} : loadColumns(to);
        Columns scale = loadColumns(part.scales[s] + kColumns * i);
        storeColumns(to, fmaColumns(sum[r][i], scale, total));
      }
  }
}

template <int Bits, bool HasZeros>
static void tilesOfWidened(const QuantGemmArgs &g) {
  const int64_t segment = std::min(g.b.block, kSegment);
  WidenedPart part;
  for (int64_t p = 0; p < g.panels; ++p) {
    const std::byte *panel = g.b.data + p * g.b.panelStride;
    for (int64_t from = 0, depth; from < g.depth; from += depth) {
      depth = std::min(g.depth - from, kDepthBlock);
      // Behind the last part is the next panel.
      int64_t ahead = from + depth < g.depth
                          ? wordBytes<Bits>(depth)
                          : g.b.panelStride - wordBytes<Bits>(from);
      part.read<Bits, HasZeros>(g.b, panel, ahead, from, from + depth);
      LeftRows left{g.a + from, g.aStride, g.rowOf};
      float *c = g.c + 16 * p;
      for (int64_t row = 0; row < g.rows;) {
        int64_t rows = nextRows(g.rows - row, kTileRows);
        withRows<1, kTileRows>(rows, [&]<int R>(
                                         std::integral_constant<int, R>) {
          widenedTile<R>(part, left, depth, segment, from == 0, c, g.cStride);
        });
        left.skip(rows);
        c += rows * g.cStride;
        row += rows;
      }
    }
  }
}
#endif // !MOE_ISA_HAS_AVX512

template <int Bits, bool HasZeros> static void gemmOf(const QuantGemmArgs &g) {
#if !MOE_ISA_HAS_AVX512
  if (g.rows > fewRows<Bits>())
    return tilesOfWidened<Bits, HasZeros>(g);
#endif
  tilesOfWords<Bits, HasZeros>(g);
}

void gemmQuant(const QuantGemmArgs &g) {
  if (g.b.bits == 4)
    return g.b.hasZeroPoints ? gemmOf<4, true>(g) : gemmOf<4, false>(g);
  return g.b.hasZeroPoints ? gemmOf<8, true>(g) : gemmOf<8, false>(g);
}

} // namespace moe::cpu::MOE_ISA
