//===- StreamPacked.cpp - Weights piece by piece into a layout ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/StreamPacked.h"
#include "runtime/params/Elements.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/Quantize.h"
#include "runtime/params/Window.h"

#include <algorithm>
#include <array>

using namespace moe;

static constexpr int64_t kPieceBytes = 8 << 20;
static constexpr int64_t kPieceCodes = 2 << 20;
static constexpr int64_t kPieceNumbers = 1 << 20;

namespace {
/// What all pieces of one tensor share.
struct Stream {
  const WindowSource &source;
  DType dtype;
  std::string_view layout;
  const BytesSink &sink;
  std::vector<std::byte> rows = {};
  std::vector<std::byte> packed = {};

  int64_t bytesOf(const Window &window) const {
    return window.numElements() * static_cast<int64_t>(dtypeSize(dtype));
  }
  Status read(const Window &window) {
    rows.resize(bytesOf(window));
    auto rank = static_cast<size_t>(window.rank);
    return source({window.starts.data(), rank}, {window.sizes.data(), rank},
                  rows);
  }
  Status sendRows(const Window &window);
  Status sendPanels(const Window &window);
};
} // namespace

/// Cuts the window along its first long dimension until a part is small.
Status Stream::sendRows(const Window &window) {
  int dim = window.firstLongDim();
  if (bytesOf(window) <= kPieceBytes || dim == window.rank) {
    MOE_RETURN_IF_ERROR(read(window));
    return sink(rows);
  }
  Window part = window;
  part.sizes[dim] = 1;
  int64_t step = std::max<int64_t>(kPieceBytes / bytesOf(part), 1);
  for (int64_t i = 0; i < window.sizes[dim]; i += step) {
    part.starts[dim] = window.starts[dim] + i;
    part.sizes[dim] = std::min(step, window.sizes[dim] - i);
    MOE_RETURN_IF_ERROR(sendRows(part));
  }
  return Status::ok();
}

/// Some panels whole; if one is already too large, its rows in parts, which
/// follow each other in the layout.
Status Stream::sendPanels(const Window &window) {
  int64_t numRows = window.sizes[0];
  int64_t rowBytes = kPanelWidth * static_cast<int64_t>(dtypeSize(dtype));
  int64_t maxRows = kPieceBytes / rowBytes;
  int64_t numPanels = std::max<int64_t>(maxRows / numRows, 1);
  int64_t width = numPanels * kPanelWidth;
  Window part = window;
  for (int64_t n = 0; n < window.sizes[1]; n += width) {
    part.starts[1] = n;
    part.sizes[1] = std::min(width, window.sizes[1] - n);
    for (int64_t k = 0; k < numRows; k += maxRows) {
      part.starts[0] = k;
      part.sizes[0] = std::min(maxRows, numRows - k);
      MOE_RETURN_IF_ERROR(read(part));
      std::span<const int64_t> sizes(part.sizes.data(), 2);
      MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, sizes));
      packed.resize(bytes);
      MOE_RETURN_IF_ERROR(packLayout(layout, dtype, sizes, rows, packed));
      MOE_RETURN_IF_ERROR(sink(packed));
    }
  }
  return Status::ok();
}

Status moe::streamPacked(const WindowSource &source, DType dtype,
                         std::span<const int64_t> dims, std::string_view layout,
                         const BytesSink &sink) {
  MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, dims));
  if (parseQuantLayout(layout))
    return Status(StatusCode::Unsupported,
                  "layout '" + std::string(layout) +
                      "' is one of codes, the weights are floats");
  if (bytes == 0)
    return Status::ok();
  Stream stream{source, dtype, layout, sink};
  if (layout == kRowLayout)
    return stream.sendRows(wholeWindow(dims));
  return stream.sendPanels(wholeWindow(dims));
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

Status moe::streamPacked(const QuantSource &source, const QuantFormat &format,
                         std::span<const int64_t> dims, const BytesSink &sink) {
  MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                       layoutBytes(quantLayoutName(format), DType::F32, dims));
  if (bytes == 0)
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(QuantPanel panel, QuantPanel::of(format, dims[0]));
  int64_t width =
      std::max<int64_t>(kPieceCodes / dims[0] / kPanelWidth, 1) * kPanelWidth;
  QuantPiece piece;
  std::vector<std::byte> packed;
  for (int64_t first = 0; first < dims[1]; first += width) {
    int64_t count = std::min(width, dims[1] - first);
    MOE_RETURN_IF_ERROR(source({0, dims[0], first, count}, piece));
    packed.resize((count + kPanelWidth - 1) / kPanelWidth * panel.bytes);
    packPanels(format, panel, piece, packed.data());
    MOE_RETURN_IF_ERROR(sink(packed));
  }
  return Status::ok();
}

WindowSource moe::dequantizedWindows(QuantSource source, DType dtype) {
  return [source = std::move(source), dtype](std::span<const int64_t> starts,
                                             std::span<const int64_t> sizes,
                                             std::span<std::byte> out) {
    QuantPiece piece;
    MOE_RETURN_IF_ERROR(
        source({starts[0], sizes[0], starts[1], sizes[1]}, piece));
    std::vector<float> values(piece.codes.size());
    for (int64_t i = 0; i < sizes[1]; ++i)
      for (int64_t b = 0; b < piece.numBlocks; ++b) {
        int64_t at = i * piece.numBlocks + b;
        BlockScale scale{piece.scales[at], piece.zeros[at]};
        int64_t end = i * sizes[0] + piece.endOfBlock(b);
        for (int64_t k = i * sizes[0] + piece.beginOfBlock(b); k < end; ++k)
          values[k] = dequantized(piece.codes[k], scale);
      }
    auto *from = reinterpret_cast<const std::byte *>(values.data());
    std::vector<std::byte> converted;
    if (dtype != DType::F32) {
      converted.resize(values.size() * dtypeSize(dtype));
      convertElements(DType::F32, from, dtype, converted.data(), values.size());
      from = converted.data();
    }
    copyStrided(2, {sizes[0], sizes[1]}, from, {1, sizes[0]}, out.data(),
                rowMajor(sizes), dtypeSize(dtype));
    return Status::ok();
  };
}

/// Rounds the columns [first, first + count) of a piece; `numbers` are the rows
/// [begin, end) of its blocks, column after column.
static void roundColumns(const QuantFormat &format, int64_t begin, int64_t end,
                         int64_t first, int64_t count, const float *numbers,
                         QuantPiece &piece) {
  std::vector<uint8_t> codes(end - begin);
  const QuantWindow &window = piece.window;
  for (int64_t i = first; i < first + count; ++i) {
    for (int64_t b = 0; b < piece.numBlocks; ++b) {
      int64_t row = b * format.block;
      BlockScale scale = quantizeBlock(
          format, numbers + row, 1, std::min(format.block, end - begin - row),
          codes.data() + row, 1);
      piece.scales[i * piece.numBlocks + b] = scale.scale;
      piece.zeros[i * piece.numBlocks + b] = static_cast<uint8_t>(scale.zero);
    }
    std::copy_n(codes.begin() + window.firstRow - begin, window.numRows,
                piece.codes.begin() + i * window.numRows);
    numbers += end - begin;
  }
}

QuantSource moe::roundedCodes(const QuantFormat &format, int64_t depth,
                              WindowSource numbers) {
  return [format, depth, numbers = std::move(numbers)](
             const QuantWindow &window, QuantPiece &piece) {
    piece.reset(window, format.block);
    int64_t begin = piece.firstBlock() * format.block;
    int64_t end = std::min(begin + piece.numBlocks * format.block, depth);
    int64_t width =
        std::max<int64_t>(kPieceNumbers / std::max<int64_t>(end - begin, 1), 1);
    std::vector<float> rows, columns;
    for (int64_t first = 0; first < window.numColumns; first += width) {
      int64_t count = std::min(width, window.numColumns - first);
      std::array sizes = {end - begin, count};
      rows.resize(sizes[0] * sizes[1]);
      columns.resize(rows.size());
      MOE_RETURN_IF_ERROR(numbers(std::array{begin, window.firstColumn + first},
                                  sizes,
                                  std::as_writable_bytes(std::span(rows))));
      copyStrided(2, {count, end - begin},
                  std::as_bytes(std::span(rows)).data(), {1, count},
                  std::as_writable_bytes(std::span(columns)).data(),
                  {end - begin, 1}, sizeof(float));
      roundColumns(format, begin, end, first, count, columns.data(), piece);
    }
    return Status::ok();
  };
}
