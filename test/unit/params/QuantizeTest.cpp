//===- QuantizeTest.cpp - Formats of codes and the rule of rounding -------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Quantize.h"
#include "QuantTestData.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moe;
using namespace moe::test;

using Codes = std::vector<uint8_t>;

namespace {
struct Rounded {
  Codes codes;
  BlockScale block;
};
} // namespace

static Rounded round(int bits, bool hasZeroPoints,
                     const std::vector<float> &numbers) {
  Rounded result{Codes(numbers.size()), {}};
  result.block =
      quantizeBlock({bits, 32, DType::F16, hasZeroPoints}, numbers.data(), 1,
                    numbers.size(), result.codes.data(), 1);
  return result;
}

TEST(QuantFormat, EveryFormatHasOneName) {
  EXPECT_EQ(quantLayoutName({4, 32, DType::F16, false}), "panel16.q4x32");
  EXPECT_EQ(quantLayoutName({4, 128, DType::F32, false}), "panel16.q4x128.f32");
  EXPECT_EQ(quantLayoutName({8, 32, DType::F16, true}), "panel16.q8x32.z");
  EXPECT_EQ(quantLayoutName({8, 16, DType::F32, true}), "panel16.q8x16.f32.z");
  for (const QuantFormat &format : quantFormats())
    EXPECT_EQ(parseQuantLayout(quantLayoutName(format)), format);
}

TEST(QuantFormat, OtherNamesAreNoFormats) {
  for (const char *name : {"",
                           "row",
                           "panel16",
                           "panel16.q",
                           "panel16.q4",
                           "panel16.q4x",
                           "panel16.q4x0",
                           "panel16.q4x8",
                           "panel16.q4x48",
                           "panel16.q4x-32",
                           "panel16.q4x032",
                           "panel16.q04x32",
                           "panel16.q4x+32",
                           "panel16.q2x32",
                           "panel16.q16x32",
                           "panel16.q4x32.",
                           "panel16.q4x32.z.f32",
                           "panel16.q4x32.f16",
                           "panel16.q4x32.zz",
                           "panel16.q4x32 ",
                           "panel16.q4x99999999999999999999",
                           "panel16.q4x32.z.z"})
    EXPECT_EQ(parseQuantLayout(name), std::nullopt) << name;
}

TEST(QuantFormat, PanelsArePaddedRanges) {
  // 40 rows: 64 rows of 8 bytes for 16 columns; 2 blocks of 16 scales.
  QuantPanel panel = *QuantPanel::of({4, 32, DType::F16, false}, 40);
  EXPECT_EQ(panel.scales, 64 * 8);
  EXPECT_EQ(panel.zeros, 64 * 8 + 64);
  EXPECT_EQ(panel.bytes, panel.zeros);
  // One block: 32 bytes of scales and 16 of zero points are padded to 64.
  panel = *QuantPanel::of({8, 64, DType::F16, true}, 40);
  EXPECT_EQ(panel.scales, 64 * 16);
  EXPECT_EQ(panel.zeros, 64 * 16 + 64);
  EXPECT_EQ(panel.bytes, 64 * 16 + 64 + 64);
  EXPECT_EQ(QuantPanel::of({4, 32, DType::F16, true}, 0)->bytes, 0);
}

TEST(QuantFormat, BadPanelsAreRefused) {
  EXPECT_FALSE(QuantPanel::of({4, 0, DType::F16, false}, 40).isOk());
  EXPECT_FALSE(QuantPanel::of({4, 24, DType::F16, false}, 40).isOk());
  EXPECT_FALSE(QuantPanel::of({4, -32, DType::F16, false}, 40).isOk());
  EXPECT_FALSE(QuantPanel::of({2, 32, DType::F16, false}, 40).isOk());
  EXPECT_FALSE(QuantPanel::of({4, 32, DType::BF16, false}, 40).isOk());
  EXPECT_FALSE(QuantPanel::of({4, 32, DType::F16, false}, -1).isOk());
  for (const QuantFormat &format : quantFormats())
    EXPECT_FALSE(QuantPanel::of(format, INT64_MAX).isOk());
}

TEST(Quantize, FourBitsUseTheWholeRangeOfOneSign) {
  // The example of the header: scale -3 / -8 = 0.375.
  Rounded rounded = round(4, false, {1, -3, 2.5f, 0.75f});
  EXPECT_EQ(rounded.block.scale, 0.375f);
  EXPECT_EQ(rounded.block.zero, 8);
  EXPECT_EQ(rounded.codes, (Codes{11, 0, 15, 10}));
  // The largest number is positive: scale 4 / -8 = -0.5; -3.9 / -0.5 = 7.8 is
  // clamped to 7.
  rounded = round(4, false, {4, -3.9f, 1});
  EXPECT_EQ(rounded.block.scale, -0.5f);
  EXPECT_EQ(rounded.codes, (Codes{0, 15, 6}));
  // Of two largest ones the first decides.
  EXPECT_EQ(round(4, false, {2, -2}).block.scale, -0.25f);
  EXPECT_EQ(round(4, false, {-2, 2}).block.scale, 0.25f);
}

TEST(Quantize, EightBitsAreSymmetric) {
  // Scale 127 / 127.
  Rounded rounded = round(8, false, {127, -127, -3.2f, 0});
  EXPECT_EQ(rounded.block.scale, 1.0f);
  EXPECT_EQ(rounded.codes, (Codes{255, 1, 125, 128}));
}

TEST(Quantize, TiesGoToEven) {
  EXPECT_EQ(round(8, false, {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f}).codes,
            (Codes{255, 128, 130, 130, 128, 126}));
}

TEST(Quantize, NeighboursOfTiesAreNoTies) {
  for (float scale : {1.0f / 3, 0.0071f, 1.9f}) {
    scale = halfToFloat(floatToHalf(scale));
    for (int i = 0; i < 127; ++i) {
      float tie = (static_cast<float>(i) + 0.5f) * scale;
      Rounded rounded = round(
          8, false,
          {127 * scale, std::nextafter(tie, 0.0f), std::nextafter(tie, 1e9f)});
      ASSERT_EQ(rounded.block.scale, scale);
      EXPECT_EQ(rounded.codes[1], 128 + i);
      EXPECT_EQ(rounded.codes[2], std::min(128 + i + 1, 255));
    }
  }
}

TEST(Quantize, ZeroPointsCoverAllNumbers) {
  // From -1 to 2 in 15 steps of 0.2, as f16 0.199951; zero point 5.001.
  Rounded rounded = round(4, true, {-1, 2, 0, 0.3f});
  EXPECT_EQ(rounded.block.scale, halfToFloat(floatToHalf(0.2f)));
  EXPECT_EQ(rounded.block.zero, 5);
  // 2 / 0.199951 = 10.002; 0.3 / 0.199951 = 1.5004.
  EXPECT_EQ(rounded.codes, (Codes{0, 15, 5, 7}));
  // 0 is between them, even if no number has another sign.
  rounded = round(8, true, {2.55f, 1});
  EXPECT_EQ(rounded.block.zero, 0);
  EXPECT_EQ(rounded.codes[0], 255);
  rounded = round(8, true, {-2.55f, -1});
  EXPECT_EQ(rounded.block.zero, 255);
  EXPECT_EQ(rounded.codes[0], 0);
}

TEST(Quantize, TheScaleIsRoundedFirst) {
  // 1 / 127 = 0.0078740 is 0.0078735 as f16: 0.5 / 0.0078735 = 63.504.
  Rounded rounded = round(8, false, {1, 0.5f});
  EXPECT_EQ(rounded.block.scale, halfToFloat(floatToHalf(1.0f / 127)));
  EXPECT_EQ(rounded.codes, (Codes{255, 192}));
}

TEST(Quantize, NumbersThatHaveNoCode) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true}) {
      auto middle = static_cast<uint8_t>(1 << (bits - 1));
      for (float tiny : {0.0f, -0.0f, 1e-9f, kNan}) {
        Rounded rounded = round(bits, hasZeroPoints, {tiny, 0});
        EXPECT_EQ(rounded.block.scale, 0) << tiny;
        EXPECT_EQ(rounded.block.zero, middle);
        EXPECT_EQ(rounded.codes, (Codes{middle, middle}));
      }
      Rounded rounded = round(bits, hasZeroPoints, {kNan, 1, -2});
      EXPECT_EQ(rounded.codes[0], rounded.block.zero);
      EXPECT_EQ(rounded.block.scale,
                round(bits, hasZeroPoints, {1, -2}).block.scale);
      for (float large : {kInf, -kInf, 3e38f}) {
        rounded = round(bits, hasZeroPoints, {large, 1});
        EXPECT_EQ(std::abs(rounded.block.scale), 65504) << large;
        EXPECT_TRUE(
            std::isfinite(dequantized(rounded.codes[0], rounded.block)));
        EXPECT_EQ(dequantized(rounded.codes[0], rounded.block) > 0, large > 0);
        EXPECT_EQ(rounded.codes[1], rounded.block.zero);
      }
    }
}

TEST(Quantize, ErrorsAreAtMostHalfAStep) {
  std::vector<float> numbers = randomNumbers(64);
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true}) {
      Codes codes(2 * 64, 77);
      // Every second number and code.
      BlockScale block = quantizeBlock({bits, 32, DType::F16, hasZeroPoints},
                                       numbers.data(), 2, 32, codes.data(), 3);
      // One more step where the other sign or the zero point was rounded.
      bool isExact = bits == 8 && !hasZeroPoints;
      float step = std::abs(block.scale) * (isExact ? 0.51f : 1.01f);
      for (int64_t i = 0; i < 32; ++i) {
        EXPECT_NEAR(dequantized(codes[3 * i], block), numbers[2 * i], step);
        EXPECT_EQ(codes[3 * i + 1], 77);
      }
    }
}
