//===- QuantSourceTest.cpp - Panels of codes, and windows of them ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/QuantSource.h"
#include "QuantTestData.h"
#include "runtime/params/BlockPart.h"
#include "runtime/params/Elements.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/Quantize.h"
#include "runtime/params/StreamPacked.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;

using Dims = std::vector<int64_t>;
using Bytes = std::vector<std::byte>;

static const Dims kShapes[] = {{32, 16}, {1, 1},   {40, 17},
                               {96, 48}, {130, 5}, {512, 33}};

static Bytes pack(const QuantFormat &format, const Dims &dims,
                  const std::vector<float> &numbers) {
  Bytes packed(*layoutBytes(quantLayoutName(format), DType::F32, dims),
               std::byte(0xee));
  Status status = packRounded(format, dims, numbers, packed);
  EXPECT_TRUE(status.isOk()) << status.message();
  return packed;
}

/// The values after rounding, each block by itself.
static std::vector<float> rounded(const QuantFormat &format, const Dims &dims,
                                  const std::vector<float> &numbers) {
  std::vector<float> values(numbers.size());
  std::vector<uint8_t> codes(format.block);
  for (int64_t n = 0; n < dims[1]; ++n)
    for (int64_t k = 0; k < dims[0]; k += format.block) {
      int64_t count = std::min(format.block, dims[0] - k);
      BlockScale block = quantizeBlock(format, numbers.data() + k * dims[1] + n,
                                       dims[1], count, codes.data(), 1);
      for (int64_t i = 0; i < count; ++i)
        values[(k + i) * dims[1] + n] = dequantized(codes[i], block);
    }
  return values;
}

TEST(QuantPanels, LieAsTheHeaderSays) {
  for (const QuantFormat &format : quantFormats())
    for (const Dims &dims : kShapes) {
      SCOPED_TRACE(quantLayoutName(format) + " of " + std::to_string(dims[0]) +
                   " x " + std::to_string(dims[1]));
      std::vector<float> numbers = randomNumbers(dims[0] * dims[1]);
      std::vector<float> values = rounded(format, dims, numbers);
      Bytes packed = pack(format, dims, numbers);
      PackedMatrix matrix{format, dims[0], packed.data()};
      int64_t padded = (dims[0] + 31) / 32 * 32;
      for (int64_t n = 0; n < (dims[1] + 15) / 16 * 16; ++n)
        for (int64_t k = 0; k < padded; ++k) {
          bool isThere = k < dims[0] && n < dims[1];
          if (isThere)
            ASSERT_EQ(matrix.value(k, n), values[k * dims[1] + n]);
          else if (n >= dims[1])
            ASSERT_EQ(matrix.code(k, n), format.zero());
          else
            ASSERT_EQ(matrix.code(k, n), matrix.zero(dims[0] - 1, n));
          if (n >= dims[1] && k < dims[0]) {
            ASSERT_EQ(matrix.scale(k, n), 0);
            ASSERT_EQ(matrix.zero(k, n), format.zero());
          }
        }
    }
}

TEST(QuantPanels, PaddingIsZero) {
  // 40 rows, blocks of 64: 32 bytes of scales, 16 of zero points.
  QuantFormat format{4, 64, DType::F16, true};
  Bytes packed = pack(format, {40, 16}, randomNumbers(40 * 16));
  QuantPanel panel = *QuantPanel::of(format, 40);
  for (int64_t i = panel.scales + 32; i < panel.zeros; ++i)
    EXPECT_EQ(packed[i], std::byte(0));
  for (int64_t i = panel.zeros + 16; i < panel.bytes; ++i)
    EXPECT_EQ(packed[i], std::byte(0));
}

TEST(QuantPanels, UnpackToTheirValues) {
  for (const QuantFormat &format : quantFormats())
    for (const Dims &dims : kShapes) {
      std::vector<float> numbers = randomNumbers(dims[0] * dims[1]);
      std::vector<float> expected = rounded(format, dims, numbers);
      Bytes packed = pack(format, dims, numbers);
      std::vector<float> values(numbers.size());
      std::string layout = quantLayoutName(format);
      ASSERT_TRUE(unpackLayout(layout, DType::F32, dims, packed,
                               std::as_writable_bytes(std::span(values)))
                      .isOk());
      ASSERT_EQ(values, expected) << layout;
    }
}

TEST(QuantPanels, ValuesOfTwoBytesAreRounded) {
  QuantFormat format{8, 32, DType::F16, false};
  Dims dims = {64, 20};
  std::vector<float> numbers = randomNumbers(64 * 20);
  std::vector<float> values = rounded(format, dims, numbers);
  Bytes packed = pack(format, dims, numbers);
  for (DType dtype : {DType::F16, DType::BF16}) {
    std::vector<uint16_t> expected(values.size()), found(values.size());
    convertElements(DType::F32, std::as_bytes(std::span(values)).data(), dtype,
                    std::as_writable_bytes(std::span(expected)).data(),
                    values.size());
    ASSERT_TRUE(unpackLayout(quantLayoutName(format), dtype, dims, packed,
                             std::as_writable_bytes(std::span(found)))
                    .isOk());
    EXPECT_EQ(found, expected);
  }
}

TEST(QuantPanels, SizesAreChecked) {
  EXPECT_EQ(*layoutBytes("panel16.q4x32", DType::F32, Dims{64, 17}),
            2u * (64 * 8 + 64));
  EXPECT_EQ(*layoutBytes("panel16.q4x32", DType::F32, Dims{64, 0}), 0u);
  EXPECT_EQ(*layoutBytes("panel16.q4x32", DType::BF16, Dims{0, 9}), 0u);
  EXPECT_FALSE(layoutBytes("panel16.q4x32", DType::F64, Dims{64, 16}).isOk());
  EXPECT_FALSE(layoutBytes("panel16.q4x32", DType::U8, Dims{64, 16}).isOk());
  EXPECT_FALSE(layoutBytes("panel16.q4x32", DType::F32, Dims{64}).isOk());
  EXPECT_FALSE(
      layoutBytes("panel16.q4x32", DType::F32, Dims{2, 64, 16}).isOk());
  EXPECT_FALSE(layoutBytes("panel16.q4x32", DType::F32, Dims{-1, 16}).isOk());
  EXPECT_FALSE(layoutBytes("panel16.q4x32", DType::F32, Dims{64, -1}).isOk());
  EXPECT_FALSE(
      layoutBytes("panel16.q4x32", DType::F32, Dims{INT64_MAX, 1}).isOk());
  EXPECT_FALSE(
      layoutBytes("panel16.q4x32", DType::F32, Dims{1, INT64_MAX}).isOk());
  EXPECT_FALSE(layoutBytes("panel16.q4x24", DType::F32, Dims{64, 16}).isOk());
  // Floats do not say which scales they had.
  Bytes rows(32 * 16 * 4), packed(32 * 8 + 64);
  EXPECT_FALSE(
      packLayout("panel16.q4x32", DType::F32, Dims{32, 16}, rows, packed)
          .isOk());
  EXPECT_FALSE(packRounded({4, 32, DType::F16, false}, Dims{32, 17},
                           randomNumbers(32 * 17), packed)
                   .isOk());
}

/// Compares a window of codes with single elements of what is packed.
static void expectWindow(const PackedMatrix &matrix, const QuantSource &source,
                         const QuantWindow &window) {
  QuantPiece piece;
  ASSERT_TRUE(source(window, piece).isOk());
  for (int64_t i = 0; i < window.numColumns; ++i) {
    int64_t n = window.firstColumn + i;
    int64_t row = 0;
    for (int64_t b = 0; b < piece.numBlocks; ++b) {
      EXPECT_EQ(piece.beginOfBlock(b), row);
      for (; row < piece.endOfBlock(b); ++row) {
        int64_t k = window.firstRow + row, at = i * piece.numBlocks + b;
        ASSERT_EQ(piece.codes[i * window.numRows + row], matrix.code(k, n));
        ASSERT_EQ(piece.scales[at], matrix.scale(k, n));
        ASSERT_EQ(piece.zeros[at], matrix.zero(k, n));
      }
    }
    EXPECT_EQ(row, window.numRows);
  }
}

TEST(QuantSource, WindowsOfPanelsAndOfRoundedNumbers) {
  std::mt19937 random(3);
  for (const QuantFormat &format : quantFormats()) {
    Dims dims = {200, 40};
    std::vector<float> numbers = randomNumbers(200 * 40);
    Bytes packed = pack(format, dims, numbers);
    PackedMatrix matrix{format, 200, packed.data()};
    WindowSource floats = [&](std::span<const int64_t> starts,
                              std::span<const int64_t> sizes,
                              std::span<std::byte> out) {
      readBlockWindow(kRowLayout, DType::F32, dims,
                      std::as_bytes(std::span(numbers)), starts, sizes, out);
      return Status::ok();
    };
    QuantSource sources[] = {packedCodes(format, dims, packed),
                             roundedCodes(format, 200, floats)};
    for (int round = 0; round < 20; ++round) {
      QuantWindow window;
      window.firstRow = static_cast<int64_t>(random() % 200);
      window.numRows = static_cast<int64_t>(random() % (201 - window.firstRow));
      window.firstColumn = static_cast<int64_t>(random() % 40);
      window.numColumns =
          static_cast<int64_t>(random() % (41 - window.firstColumn));
      for (const QuantSource &source : sources)
        expectWindow(matrix, source, window);
    }
  }
}

TEST(QuantSource, StreamsInSmallPieces) {
  // 24 Mi codes; no window has more than 2 Mi, no piece more than 3 MiB.
  QuantFormat format{8, 32, DType::F32, true};
  Dims dims = {4096, 6144};
  int64_t largest = 0, numCodes = 0;
  QuantSource source = [&](const QuantWindow &window, QuantPiece &piece) {
    largest = std::max(largest, window.numRows * window.numColumns);
    numCodes += window.numRows * window.numColumns;
    piece.reset(window, format.block);
    return Status::ok();
  };
  uint64_t bytes = 0;
  size_t largestPiece = 0;
  ASSERT_TRUE(
      streamPacked(source, format, dims, [&](std::span<const std::byte> piece) {
        bytes += piece.size();
        largestPiece = std::max(largestPiece, piece.size());
        return Status::ok();
      }).isOk());
  EXPECT_EQ(numCodes, dims[0] * dims[1]);
  EXPECT_EQ(bytes, *layoutBytes(quantLayoutName(format), DType::F32, dims));
  EXPECT_LE(largest, 2 << 20);
  EXPECT_LE(largestPiece, 3u << 20);
}

TEST(QuantSource, RoundsSomeColumnsAtATime) {
  int64_t largest = 0;
  WindowSource numbers = [&](std::span<const int64_t> starts,
                             std::span<const int64_t> sizes,
                             std::span<std::byte> out) {
    largest = std::max<int64_t>(largest, static_cast<int64_t>(out.size()));
    std::fill(out.begin(), out.end(), std::byte(0));
    return Status::ok();
  };
  // Blocks as long as columns.
  QuantFormat format{4, 32768, DType::F16, false};
  QuantPiece piece;
  ASSERT_TRUE(
      roundedCodes(format, 32768, numbers)({0, 32768, 0, 64}, piece).isOk());
  EXPECT_LE(largest, 4 << 20);
}

TEST(BlockPart, PanelsOfCodes) {
  QuantFormat format{4, 32, DType::F16, true};
  std::string layout = quantLayoutName(format);
  Dims dims = {96, 60};
  int64_t panel = QuantPanel::of(format, 96)->bytes;
  auto part = [&](int axis, Interval range) {
    return contiguousPart(layout, DType::F32, dims, HeldBlock{0, axis, range});
  };
  EXPECT_EQ(part(1, {16, 48}), (Interval{panel, 3 * panel}));
  EXPECT_EQ(part(1, {32, 60}), (Interval{2 * panel, 4 * panel}));
  EXPECT_EQ(part(1, {16, 40}), std::nullopt);
  EXPECT_EQ(part(1, {8, 48}), std::nullopt);
  EXPECT_EQ(part(0, {32, 64}), std::nullopt);
}
