//===- QuantSource.cpp - Windows of matrices in codes ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/QuantSource.h"
#include "runtime/params/Layouts.h"

#include <algorithm>
#include <cstring>

using namespace moe;

void QuantPiece::reset(const QuantWindow &newWindow, int64_t newBlock) {
  window = newWindow;
  block = newBlock;
  bool isEmpty = window.numRows == 0;
  numBlocks = isEmpty ? 0
                      : (window.firstRow + window.numRows - 1) / block -
                            firstBlock() + 1;
  codes.resize(window.numColumns * window.numRows);
  scales.resize(window.numColumns * numBlocks);
  zeros.resize(scales.size());
}

int64_t QuantPiece::beginOfBlock(int64_t i) const {
  return std::max<int64_t>((firstBlock() + i) * block - window.firstRow, 0);
}

int64_t QuantPiece::endOfBlock(int64_t i) const {
  int64_t begin = beginOfBlock(i);
  int64_t rest = block - (window.firstRow + begin) % block;
  return begin + std::min(rest, window.numRows - begin);
}

//===----------------------------------------------------------------------===//
// Words of panels
//===----------------------------------------------------------------------===//

// Codes of one column go to and from a panel in groups of eight rows.
static constexpr int64_t kGroup = 8;

/// `groups` is where the words of column 0 begin.
static void storeGroup(int bits, uint64_t eight, int64_t group, int64_t column,
                       std::byte *groups) {
  if (bits == 4) {
    // The bytes of the last four rows become the high halves.
    auto word = static_cast<uint32_t>(eight | eight >> 28);
    std::memcpy(groups + (group * kPanelWidth + column) * 4, &word, 4);
    return;
  }
  for (int64_t half = 0; half < 2; ++half) {
    auto word = static_cast<uint32_t>(eight >> (32 * half));
    std::memcpy(groups + ((2 * group + half) * kPanelWidth + column) * 4, &word,
                4);
  }
}

static uint64_t loadGroup(int bits, int64_t group, int64_t column,
                          const std::byte *groups) {
  uint32_t words[2] = {};
  if (bits == 4) {
    std::memcpy(words, groups + (group * kPanelWidth + column) * 4, 4);
    words[1] = words[0] >> 4 & 0x0f0f0f0f;
    words[0] &= 0x0f0f0f0f;
  } else {
    for (int64_t half = 0; half < 2; ++half)
      std::memcpy(words + half,
                  groups + ((2 * group + half) * kPanelWidth + column) * 4, 4);
  }
  return words[0] | static_cast<uint64_t>(words[1]) << 32;
}

static void storeScale(DType type, float scale, int64_t index,
                       std::byte *scales) {
  if (type == DType::F32) {
    std::memcpy(scales + index * 4, &scale, 4);
    return;
  }
  uint16_t half = floatToHalf(scale);
  std::memcpy(scales + index * 2, &half, 2);
}

static float loadScale(DType type, int64_t index, const std::byte *scales) {
  if (type == DType::F32) {
    float scale;
    std::memcpy(&scale, scales + index * 4, 4);
    return scale;
  }
  uint16_t half;
  std::memcpy(&half, scales + index * 2, 2);
  return halfToFloat(half);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// Column `column` of a panel; `from` is its number in the piece, or -1 for a
/// column beyond the matrix.
static void packColumn(const QuantFormat &format, const QuantPanel &panel,
                       const QuantPiece &piece, int64_t from, int64_t column,
                       std::byte *out) {
  int64_t depth = piece.window.numRows, numBlocks = piece.numBlocks;
  bool isThere = from >= 0;
  const uint8_t *codes = piece.codes.data() + (isThere ? from * depth : 0);
  auto zeroOf = [&](int64_t block) {
    return static_cast<uint8_t>(isThere ? piece.zeros[from * numBlocks + block]
                                        : format.zero());
  };
  int64_t numRows = isThere ? depth : 0;
  uint8_t padding = zeroOf(numBlocks - 1);
  int64_t numGroups = panel.scales * 8 / format.bits / kPanelWidth / kGroup;
  for (int64_t group = 0; group < numGroups; ++group) {
    int64_t row = group * kGroup;
    uint64_t eight;
    std::memset(&eight, padding, sizeof(eight));
    if (row < numRows)
      std::memcpy(&eight, codes + row, std::min(kGroup, numRows - row));
    storeGroup(format.bits, eight, group, column, out);
  }
  for (int64_t block = 0; block < numBlocks; ++block) {
    int64_t index = block * kPanelWidth + column;
    float scale = isThere ? piece.scales[from * numBlocks + block] : 0;
    storeScale(format.scales, scale, index, out + panel.scales);
    if (format.hasZeroPoints)
      out[panel.zeros + index] = std::byte(zeroOf(block));
  }
}

void moe::packPanels(const QuantFormat &format, const QuantPanel &panel,
                     const QuantPiece &piece, std::byte *out) {
  int64_t numColumns = piece.window.numColumns;
  for (int64_t first = 0; first < numColumns; first += kPanelWidth) {
    // The padding between the ranges.
    std::memset(out + panel.scales, 0, panel.bytes - panel.scales);
    for (int64_t j = 0; j < kPanelWidth; ++j)
      packColumn(format, panel, piece, first + j < numColumns ? first + j : -1,
                 j, out);
    out += panel.bytes;
  }
}

QuantSource moe::packedCodes(const QuantFormat &format,
                             std::span<const int64_t> dims,
                             std::span<const std::byte> panels) {
  StatusOr<QuantPanel> found = QuantPanel::of(format, dims[0]);
  if (!found.isOk())
    return [status = found.status()](const QuantWindow &, QuantPiece &) {
      return status;
    };
  return [format, panel = *found, panels](const QuantWindow &window,
                                          QuantPiece &piece) {
    piece.reset(window, format.block);
    int64_t begin = window.firstRow, end = begin + window.numRows;
    for (int64_t i = 0; i < window.numColumns; ++i) {
      int64_t column = window.firstColumn + i, lane = column % kPanelWidth;
      const std::byte *from =
          panels.data() + column / kPanelWidth * panel.bytes;
      uint8_t *codes = piece.codes.data() + i * window.numRows;
      for (int64_t row = begin; row < end;) {
        uint64_t eight = loadGroup(format.bits, row / kGroup, lane, from);
        int64_t skipped = row % kGroup;
        int64_t taken = std::min(kGroup - skipped, end - row);
        std::memcpy(codes + row - begin,
                    reinterpret_cast<const char *>(&eight) + skipped, taken);
        row += taken;
      }
      for (int64_t b = 0; b < piece.numBlocks; ++b) {
        int64_t index = (piece.firstBlock() + b) * kPanelWidth + lane;
        int64_t to = i * piece.numBlocks + b;
        piece.scales[to] = loadScale(format.scales, index, from + panel.scales);
        piece.zeros[to] = static_cast<uint8_t>(format.zero());
        if (format.hasZeroPoints)
          piece.zeros[to] = static_cast<uint8_t>(from[panel.zeros + index]);
      }
    }
    return Status::ok();
  };
}
