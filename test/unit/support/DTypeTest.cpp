//===- DTypeTest.cpp - Element types and their conversions ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/DType.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

using namespace moe;

TEST(DType, NamesRoundTrip) {
  for (unsigned i = 0; i < kNumDTypes; ++i) {
    DType dtype = static_cast<DType>(i);
    EXPECT_EQ(parseDType(dtypeName(dtype)), dtype);
    EXPECT_GE(dtypeSize(dtype), 1u);
  }
  EXPECT_EQ(parseDType("f31"), std::nullopt);
  EXPECT_EQ(dtypeSize(DType::BF16), 2u);
  EXPECT_EQ(dtypeSize(DType::Bool), 1u);
}

TEST(DType, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = halfToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(value))));
      continue;
    }
    ASSERT_EQ(floatToHalf(value), bits);
  }
}

TEST(DType, EveryBfloat16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = bfloat16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(value))));
      continue;
    }
    ASSERT_EQ(floatToBfloat16(value), bits);
  }
}

/// The nearest half by search, ties to even.
static uint16_t nearestHalf(float value) {
  uint16_t best = 0;
  double bestDistance = std::numeric_limits<double>::infinity();
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    double distance = std::abs(double(halfToFloat(uint16_t(bits))) - value);
    if (distance < bestDistance ||
        (distance == bestDistance && bits % 2 == 0)) {
      best = static_cast<uint16_t>(bits);
      bestDistance = distance;
    }
  }
  return best;
}

TEST(DType, HalfRoundsToNearestEven) {
  for (float value : {0.1f, 1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 0x1p-25f,
                      0x1.8p-24f, 6.1e-5f, 6.09e-5f, 65519.0f, 3.14159f})
    EXPECT_EQ(floatToHalf(value), nearestHalf(value)) << value;
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00) << "halfway to 65536";
  EXPECT_EQ(floatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(floatToHalf(-0.0f), 0x8000);
}

TEST(DType, Bfloat16RoundsToNearestEven) {
  EXPECT_EQ(floatToBfloat16(1.0f + 0x1p-8f), 0x3f80) << "tie to even";
  EXPECT_EQ(floatToBfloat16(1.0f + 3 * 0x1p-8f), 0x3f82) << "tie to even";
  EXPECT_EQ(floatToBfloat16(1.0f + 0x1.1p-8f), 0x3f81);
  EXPECT_EQ(floatToBfloat16(std::numeric_limits<float>::max()), 0x7f80);
  // A NaN whose high mantissa bits are zero must not become infinity.
  float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(nan))));
  EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(nan))));
}
