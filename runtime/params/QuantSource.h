//===- QuantSource.h - Windows of matrices in codes -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a WindowSource is for floats, a QuantSource is for a matrix [K, N] of
// codes with scales (QuantFormat.h). Floats do not say which scale they had, so
// weights in codes travel as such, piece by piece, from files, packed blocks, a
// seed or the rounding of floats to where they are packed:
//
//   file, block, seed, floats -> QuantSource -> QuantPiece -> packed panels
//                                                          -> floats
//
// A piece is columns of the matrix, one after the other: that is how files have
// them ([N, K] under a transpose) and how the words of a panel are made.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_QUANTSOURCE_H
#define MOE_RUNTIME_PARAMS_QUANTSOURCE_H

#include "runtime/params/QuantFormat.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moe {

/// Rows [firstRow, firstRow + numRows) of some columns of a matrix [K, N].
struct QuantWindow {
  int64_t firstRow = 0, numRows = 0;
  int64_t firstColumn = 0, numColumns = 0;
};

/// The codes of a window, with scales and zero points of all blocks that it
/// meets.
struct QuantPiece {
  QuantWindow window;
  int64_t block = 32;
  int64_t numBlocks = 0;      ///< that a column of the window meets
  std::vector<uint8_t> codes; ///< [numColumns][numRows]
  std::vector<float> scales;  ///< [numColumns][numBlocks]
  std::vector<uint8_t> zeros; ///< as scales, in all formats

  /// Makes room for a window.
  void reset(const QuantWindow &newWindow, int64_t newBlock);
  int64_t firstBlock() const { return window.firstRow / block; }
  /// Rows of the matrix [begin, end) that block `i` of the piece shares with
  /// the window, counted from the window's first row.
  int64_t beginOfBlock(int64_t i) const;
  int64_t endOfBlock(int64_t i) const;
};

/// Fills a piece with a window of a matrix; it calls QuantPiece::reset.
using QuantSource =
    std::function<Status(const QuantWindow &window, QuantPiece &piece)>;

/// The matrix of `dims` that lies packed in `panels`, which the source does not
/// copy. Sizes must be those of layoutBytes.
QuantSource packedCodes(const QuantFormat &format,
                        std::span<const int64_t> dims,
                        std::span<const std::byte> panels);

/// Packs a piece of whole columns that begins with a panel.
void packPanels(const QuantFormat &format, const QuantPanel &panel,
                const QuantPiece &piece, std::byte *out);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_QUANTSOURCE_H
