//===- GemmInt8.cpp - Products of rounded rows and panels of codes --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile of R rows and P panels takes one block of 32 after another: the
// products of codes are summed exactly (CodeSums.h), then the sum is scaled and
// added to the f32 totals. A total is one chain of additions in the order of
// the blocks whatever tile its row falls into, so R and P are chosen for speed
// alone.
//
//   registers              of            tile of many rows
//   avx512vnni             32 x 16       6 x 2 panels, 12 sums, 12 totals
//   avx512, 4 / 8 bits     32 x 16       6 x 2, 4 x 2 panels, 12 / 16 sums
//   avx2, 4 / 8 bits       16 x 8        4 x 1, 2 x 1 panels, 8 sums
//
// With VNNI a block of a tile's element is 8 multiplications of codes and 2 for
// its scales on the same two units: 80 % of the peak can be reached, 73 % with
// zero points, which take one more. Sums and totals that stay in registers
// reach 78 % in the first cache; tiles of 8 x 2, whose totals do not, 72 to 75.
//
// Rows of several tiles take a part of the depth in turn, so that the codes of
// the part come from the second cache once and the totals wait in c meanwhile.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/CodeSums.h"
#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/RowCounts.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

static constexpr int64_t kBlock = QuantBlock::kSize;

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

typedef int8_t I8x8 __attribute__((vector_size(8)));

/// The lanes of x combined, in any order.
template <typename Op> static MOE_INLINE int32_t foldLanes(I32x8 x, Op op) {
  x = op(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
  x = op(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
  x = op(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6));
  return x[0];
}

static MOE_INLINE QuantBlock quantizeBlock(const float *numbers) {
  constexpr int kVectors = kBlock / kLanes;
  F32x8 x[kVectors];
  // Magnitudes are ordered as their bits are, NaN behind infinity.
  auto larger = [](I32x8 a, I32x8 b) { return a > b ? a : b; };
  I32x8 most{};
  for (int v = 0; v < kVectors; ++v) {
    x[v] = load(numbers + v * kLanes);
    most = larger(most, bits(abs(x[v])));
  }
  int32_t largest = foldLanes(most, larger);
  QuantBlock block{};
  constexpr int32_t kInfinity = 0x7f800000;
  if (largest >= kInfinity) {
    block.scale = std::numeric_limits<float>::quiet_NaN();
    return block;
  }
  float magnitude;
  std::memcpy(&magnitude, &largest, sizeof magnitude);
  block.scale = magnitude / 127;
  F32x8 divisor = splat(block.scale > 0 ? block.scale : 1.0f);
  I32x8 sum{};
  for (int v = 0; v < kVectors; ++v) {
    // A scale that is subnormal may be too small.
    F32x8 ratio = minOf(maxOf(x[v] / divisor, splat(-127)), splat(127));
    I32x8 code = toInt(roundSmall(ratio));
    sum += code;
    I8x8 bytes = __builtin_convertvector(code, I8x8);
    std::memcpy(block.codes + v * kLanes, &bytes, sizeof bytes);
  }
  block.minus8 = -8 * foldLanes(sum, [](I32x8 a, I32x8 b) { return a + b; });
  block.minus128 = 16 * block.minus8;
  return block;
}

void quantizeRow(const float *x, int64_t depth, QuantBlock *blocks) {
  int64_t d = 0;
  for (; d + kBlock <= depth; d += kBlock)
    *blocks++ = quantizeBlock(x + d);
  if (d == depth)
    return;
  float rest[kBlock] = {};
  std::copy(x + d, x + depth, rest);
  *blocks = quantizeBlock(rest);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Rows of the tiles of large products, at most.
template <int Bits> static constexpr int tileRows() {
#if MOE_ISA_HAS_AVX512 && defined(__AVX512VNNI__)
  return 6;
#elif MOE_ISA_HAS_AVX512
  return Bits == 4 ? 6 : 4;
#elif MOE_ISA_HAS_FMA
  return Bits == 4 ? 4 : 2;
#else
  return 2;
#endif
}
/// Panels that a tile of R rows takes at most: few, since memory gives more to
/// fewer ranges at a time.
template <int R> static constexpr int panelsOf() {
#if MOE_ISA_HAS_AVX512
  return R == 1 ? 1 : 2;
#else
  return R == 1 ? 2 : 1;
#endif
}

/// Blocks of a part of the depth that tiles take in turn: few enough that codes
/// and rows of a part fit into the first cache together.
static constexpr int64_t kPartBlocks = 16;

namespace {
/// Some blocks of a tile.
struct TileArgs {
  const QuantBlock *a;
  const int32_t *rowOf;
  int64_t blocks; ///< of a row
  QuantPanels b;
  float *c;
  int64_t cStride;
  /// Blocks [begin, end); totals go on from c unless begin is 0.
  int64_t begin = 0, end = 0;
  /// What comes into the cache meanwhile, a number of lines for each block.
  const std::byte *ahead = nullptr;
  int64_t aheadLines = 0;
};
} // namespace

static constexpr int64_t kLine = 64;

static MOE_INLINE Columns loadScales(const std::byte *p, DType type, int part) {
  if (type == DType::F16)
    return loadColumns(reinterpret_cast<const Half *>(p) + kColumns * part);
  return loadColumns(reinterpret_cast<const float *>(p) + kColumns * part);
}

/// One block of 32: sums of codes, scaled and added to the totals.
template <int Bits, bool HasZeros, int R, int P>
static MOE_INLINE void
addBlock(const QuantBlock *const (&row)[R], const std::byte *const (&codes)[P],
         const Columns (&scale)[P * kParts], const Zeros (&zeros)[P * kParts],
         Columns (&total)[R][P * kParts]) {
  constexpr int kVectors = P * kParts;
  using Sum = CodeSum<Bits>;
  Sum sum[R][kVectors];
  auto offset = [&](int r, int v) {
    if constexpr (HasZeros)
      return zerosOffset(*row[r], zeros[v]);
    else
      return middleOffset<Bits>(*row[r]);
  };
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      sum[r][v].begin(offset(r, v));
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) { // of eight rows of the weights
    typename Sum::Word words[kVectors][2];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      Sum::load(codes[v / kParts] + g * Bits * 16 + v % kParts * kColumns * 4,
                words[v]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        RowCodes x = loadRowCodes(row[r]->codes + 8 * g + 4 * half);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          sum[r][v].add(words[v][half], x);
      }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    Columns rowScale = allColumns(row[r]->scale);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      total[r][v] = fmaColumns(sum[r][v].value(offset(r, v)),
                               scale[v] * rowScale, total[r][v]);
  }
}

template <int Bits, bool HasZeros, int R, int P>
static void tile(const TileArgs &t) {
  constexpr int kVectors = P * kParts;
  Columns total[R][kVectors];
  const QuantBlock *row[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    row[r] = t.a + (t.rowOf ? t.rowOf[r] : r) * t.blocks + t.begin;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      total[r][v] = t.begin == 0
                        ? Columns{}
                        : loadColumns(t.c + r * t.cStride + kColumns * v);
  }
  const int64_t perScale = t.b.block / kBlock;
  const int64_t scaleBytes = t.b.scaleType == DType::F16 ? 32 : 64;
  const std::byte *codes[P], *scales[P], *zerosOf[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    const std::byte *panel = t.b.data + p * t.b.panelStride;
    codes[p] = panel + t.begin * Bits * 64;
    scales[p] = panel + t.b.scales + t.begin / perScale * scaleBytes;
    zerosOf[p] = panel + t.b.zeros + t.begin / perScale * 16;
  }
  const std::byte *ahead = t.ahead;
  // A division for each block would be one chain through all of them.
  int64_t count = perScale - t.begin % perScale;
  for (int64_t block = t.begin; block < t.end; count = perScale) {
    Columns scale[kVectors];
    Zeros zeros[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      int p = v / kParts, part = v % kParts;
      scale[v] = loadScales(scales[p], t.b.scaleType, part);
      if constexpr (HasZeros)
        zeros[v] = loadZeros(zerosOf[p] + part * kColumns);
    }
    count = std::min(t.end - block, count);
    block += count;
    do {
      for (int64_t line = t.aheadLines; line > 0; --line) {
        __builtin_prefetch(ahead);
        ahead += kLine;
      }
      addBlock<Bits, HasZeros, R, P>(row, codes, scale, zeros, total);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        ++row[r];
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p)
        codes[p] += Bits * 64;
    } while (--count > 0);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      scales[p] += scaleBytes;
      zerosOf[p] += 16;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      storeColumns(t.c + r * t.cStride + kColumns * v, total[r][v]);
}

/// All rows, in `tiles` tiles that are as even as it goes, and the P panels
/// from `first` on.
template <int Bits, bool HasZeros, int P>
static void allRows(const Int8GemmArgs &g, int64_t first, int64_t tiles) {
  TileArgs t{g.a, g.rowOf, QuantBlock::count(g.depth), g.b, g.c, g.cStride};
  t.b.data += first * g.b.panelStride;
  // All blocks of all tiles bring their share of the panels behind these.
  int64_t lines = P * g.b.panelStride / kLine, steps = tiles * t.blocks;
  t.ahead = t.b.data + P * g.b.panelStride;
  t.aheadLines = (lines + steps - 1) / steps;
  const int64_t part = tiles == 1 ? t.blocks : kPartBlocks;
  for (; t.begin < t.blocks; t.begin = t.end) {
    t.end = std::min(t.blocks, t.begin + part);
    int64_t row = 0;
    for (int64_t left = tiles; left > 0; --left) {
      int64_t rows = (g.rows - row) / left;
      t.a = g.rowOf ? g.a : g.a + row * t.blocks;
      t.rowOf = g.rowOf ? g.rowOf + row : nullptr;
      t.c = g.c + row * g.cStride + 16 * first;
      withRows<1, tileRows<Bits>()>(rows,
                                    [&]<int R>(std::integral_constant<int, R>) {
                                      if constexpr (P <= panelsOf<R>())
                                        tile<Bits, HasZeros, R, P>(t);
                                    });
      t.ahead += (t.end - t.begin) * t.aheadLines * kLine;
      row += rows;
    }
  }
}

template <int Bits, bool HasZeros> static void gemmOf(const Int8GemmArgs &g) {
  constexpr int kMost = tileRows<Bits>();
  int64_t tiles = (g.rows + kMost - 1) / kMost;
  // The largest tile decides how many panels registers allow.
  int64_t most = 0;
  withRows<1, kMost>(
      (g.rows + tiles - 1) / tiles,
      [&]<int R>(std::integral_constant<int, R>) { most = panelsOf<R>(); });
  for (int64_t p = 0; p < g.panels;) {
    int64_t panels = std::min(most, g.panels - p);
    withRows<1, 2>(panels, [&]<int P>(std::integral_constant<int, P>) {
      allRows<Bits, HasZeros, P>(g, p, tiles);
    });
    p += panels;
  }
}

void gemmInt8(const Int8GemmArgs &g) {
  if (g.rows == 0)
    return;
  if (g.b.bits == 4)
    return g.b.hasZeroPoints ? gemmOf<4, true>(g) : gemmOf<4, false>(g);
  return g.b.hasZeroPoints ? gemmOf<8, true>(g) : gemmOf<8, false>(g);
}

} // namespace moe::cpu::MOE_ISA
