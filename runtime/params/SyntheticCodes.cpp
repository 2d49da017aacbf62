//===- SyntheticCodes.cpp - Weights in codes made from a seed -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/SyntheticHash.h"
#include "runtime/params/WeightStore.h"

#include <algorithm>
#include <cmath>

using namespace moe;

// One hash makes the codes of this many rows of a column, 16 bits for each.
static constexpr int64_t kRowsPerHash = 4;

namespace {
struct SyntheticCodes {
  QuantFormat format;
  uint64_t seed = 0;
  int64_t hashesPerColumn = 0, blocksPerColumn = 0;
  float scale = 0; ///< in the middle of the scales

  SyntheticCodes(uint64_t seed, const QuantFormat &format,
                 std::span<const int64_t> dims);
  void fillColumn(int64_t column, const QuantWindow &window,
                  uint8_t *codes) const;
  void fillBlock(int64_t column, int64_t block, float &scaleOut,
                 uint8_t &zeroOut) const;
};
} // namespace

SyntheticCodes::SyntheticCodes(uint64_t seed, const QuantFormat &format,
                               std::span<const int64_t> dims)
    : format(format), seed(seed),
      hashesPerColumn((dims[0] + kRowsPerHash - 1) / kRowsPerHash),
      blocksPerColumn(dims[0] / format.block + 1) {
  // n values one apart have the variance (n * n - 1) / 12, zero points that are
  // -1, 0 or 1 beside the middle add 2 / 3, and the square of a factor that is
  // uniform in [0.5, 1.5) has the mean 13 / 12.
  double n = (1 << format.bits) - 1;
  double variance = (n * n - 1) / 12 + (format.hasZeroPoints ? 2.0 / 3 : 0);
  scale = static_cast<float>(
      1 / std::sqrt(syntheticDepth(dims) * variance * 13 / 12));
}

void SyntheticCodes::fillColumn(int64_t column, const QuantWindow &window,
                                uint8_t *codes) const {
  // Codes from 1 on lie around the middle 2^(bits - 1).
  uint64_t count = (1u << format.bits) - 1;
  int64_t row = window.firstRow, end = row + window.numRows;
  while (row < end) {
    uint64_t bits =
        hashOf(seed, static_cast<uint64_t>(column * hashesPerColumn +
                                           row / kRowsPerHash));
    int64_t last = std::min(end, (row / kRowsPerHash + 1) * kRowsPerHash);
    for (; row < last; ++row) {
      uint64_t part = bits >> (row % kRowsPerHash * 16) & 0xffff;
      *codes++ = static_cast<uint8_t>(1 + (part * count >> 16));
    }
  }
}

void SyntheticCodes::fillBlock(int64_t column, int64_t block, float &scaleOut,
                               uint8_t &zeroOut) const {
  uint64_t bits =
      hashOf(~seed, static_cast<uint64_t>(column * blocksPerColumn + block));
  float factor = 0.5f + static_cast<float>(bits >> 40) * 0x1p-24f;
  scaleOut = scale * factor;
  if (format.scales == DType::F16)
    scaleOut = halfToFloat(floatToHalf(scaleOut));
  int zero = format.zero();
  if (format.hasZeroPoints)
    zero += static_cast<int>((bits & 0xffff) * 3 >> 16) - 1;
  zeroOut = static_cast<uint8_t>(zero);
}

QuantSource moe::syntheticCodes(uint64_t seed, const QuantFormat &format,
                                std::span<const int64_t> dims) {
  return [codes = SyntheticCodes(seed, format, dims)](const QuantWindow &window,
                                                      QuantPiece &piece) {
    piece.reset(window, codes.format.block);
    for (int64_t i = 0; i < window.numColumns; ++i) {
      int64_t column = window.firstColumn + i;
      codes.fillColumn(column, window, piece.codes.data() + i * window.numRows);
      for (int64_t b = 0; b < piece.numBlocks; ++b) {
        int64_t at = i * piece.numBlocks + b;
        codes.fillBlock(column, piece.firstBlock() + b, piece.scales[at],
                        piece.zeros[at]);
      }
    }
    return Status::ok();
  };
}
