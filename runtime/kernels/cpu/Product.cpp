//===- Product.cpp - Matrices as the f32 products read them ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Product.h"

#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

StatusOr<Arithmetic> parseArithmetic(StepAttributes &attributes) {
  return attributes.getEnum<Arithmetic>(
      "arithmetic", {{"float", Arithmetic::Float}, {"int8", Arithmetic::Int8}},
      Arithmetic::Float);
}

/// Up to this many rows it is cheaper to read a row-major matrix in place.
static constexpr int64_t kMaxRowsInPlace = 12;

/// Panel `panel` as [depth][16], columns beyond the matrix zero.
static void packPanel(const Isa &isa, const RhsMatrix &rhs, int64_t panel,
                      float *out) {
  int64_t first = panel * kPanel;
  int64_t columns = std::min(kPanel, rhs.columns - first);
  int64_t size = static_cast<int64_t>(dtypeSize(rhs.dtype));
  const std::byte *from = rhs.data + first * rhs.columnStride * size;
  if (columns < kPanel)
    std::fill_n(out, rhs.depth * kPanel, 0.0f);
  // A transposed matrix is read along its contiguous side, in pieces that stay
  // in the cache while their transpose is written.
  if (rhs.depthStride == 1 && rhs.columnStride != 1) {
    constexpr int64_t kPiece = 64;
    float piece[kPiece];
    for (int64_t d = 0; d < rhs.depth; d += kPiece) {
      int64_t count = std::min(kPiece, rhs.depth - d);
      for (int64_t c = 0; c < columns; ++c) {
        isa.loadTile(rhs.dtype, from + (c * rhs.columnStride + d) * size, 1,
                     piece, count);
        for (int64_t i = 0; i < count; ++i)
          out[(d + i) * kPanel + c] = piece[i];
      }
    }
    return;
  }
  for (int64_t d = 0; d < rhs.depth; ++d)
    isa.loadTile(rhs.dtype, from + d * rhs.depthStride * size, rhs.columnStride,
                 out + d * kPanel, columns);
}

int64_t groupPanels(const ItemCounts &counts, int threads) {
  // At least as many items for each thread that none waits long at the end.
  constexpr int64_t kItems = 16;
  if (counts.arePacked && counts.mostRows <= kStreamRows)
    for (int64_t size = kStreamPanels; size > kGroupPanels; size /= 2)
      if (ceilDiv(counts.panels, size) * counts.rowBlocks >= kItems * threads)
        return size;
  int64_t rows = counts.rowBlocks > 0 ? counts.rows / counts.rowBlocks : 0;
  if (rows <= 1 ||
      counts.panels * counts.rowBlocks >= 4 * kGroupPanels * threads)
    return kGroupPanels;
  return rows <= 3 ? 2 : 1;
}

std::optional<RhsStorage> RhsStorage::of(std::string_view layout) {
  if (layout == "row")
    return RhsStorage();
  if (layout == "panel16")
    return RhsStorage{Kind::Panels, {}};
  if (std::optional<QuantFormat> format = parseQuantLayout(layout))
    return RhsStorage{Kind::Codes, *format};
  return std::nullopt;
}

static void multiplyCodes(const Isa &isa, const RhsMatrix &rhs, int64_t first,
                          int64_t count, const ProductRows &rows) {
  const QuantFormat &format = rhs.storage.format;
  // The sizes were checked with the operands.
  QuantPanel panel = *QuantPanel::of(format, rhs.depth);
  QuantPanels panels;
  panels.data = rhs.data + first * panel.bytes;
  panels.panelStride = panel.bytes;
  panels.scales = panel.scales;
  panels.zeros = panel.zeros;
  panels.bits = format.bits;
  panels.block = format.block;
  panels.scaleType = format.scales;
  panels.hasZeroPoints = format.hasZeroPoints;
  if (rows.rounded && rhs.storage.takesRounded())
    return isa.gemmInt8({rows.rounded, rows.rowOf, panels, rows.c, rows.cStride,
                         rows.rows, count, rhs.depth});
  isa.gemmQuant({rows.a, rows.aStride, rows.rowOf, panels, rows.c, rows.cStride,
                 rows.rows, count, rhs.depth});
}

void multiplyPanels(const Isa &isa, const RhsMatrix &rhs, int64_t first,
                    int64_t count, const ProductRows &rows, float *scratch) {
  if (rhs.storage.kind == RhsStorage::Kind::Codes)
    return multiplyCodes(isa, rhs, first, count, rows);
  GemmArgs args;
  args.a = rows.a;
  args.aStride = rows.aStride;
  args.rowOf = rows.rowOf;
  args.bStride = kPanel;
  args.panelStride = rhs.depth * kPanel;
  args.c = rows.c;
  args.cStride = rows.cStride;
  args.rows = rows.rows;
  args.panels = count;
  args.depth = rhs.depth;
  args.bType = rhs.dtype;
  int64_t size = static_cast<int64_t>(dtypeSize(rhs.dtype));
  bool isFull = (first + count) * kPanel <= rhs.columns;
  if (rhs.storage.isPacked()) {
    args.b = rhs.data + first * rhs.depth * kPanel * size;
  } else if (rhs.columnStride == 1 && isFull && rows.rows <= kMaxRowsInPlace) {
    args.b = rhs.data + first * kPanel * size;
    args.bStride = rhs.depthStride;
    args.panelStride = kPanel;
  } else {
    for (int64_t p = 0; p < count; ++p)
      packPanel(isa, rhs, first + p, scratch + p * args.panelStride);
    args.b = scratch;
    args.bType = DType::F32;
  }
  isa.gemm(args);
}

} // namespace moe::cpu
