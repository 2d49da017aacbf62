//===- ElementsTest.cpp - Conversions and arithmetic on elements ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace moe;

/// One value of type From, converted and read as type To.
template <typename To, typename From>
static To convert(DType fromType, From value, DType toType) {
  std::byte from[8] = {}, to[8] = {};
  std::memcpy(from, &value, sizeof(From));
  convertElements(fromType, from, toType, to, 1);
  To result;
  std::memcpy(&result, to, sizeof(To));
  return result;
}

TEST(Elements, FloatsRoundOnce) {
  // 1 + 2^-11 + 2^-30 lies above the middle between two halves; rounded to
  // f32 first it would be the middle itself, and go down.
  double value = 1 + 0x1p-11 + 0x1p-30;
  EXPECT_EQ(convert<uint16_t>(DType::F64, value, DType::F16), 0x3c01);
  EXPECT_EQ(convert<uint16_t>(DType::F64, -value, DType::F16), 0xbc01);
  EXPECT_EQ(convert<uint16_t>(DType::F64, 1 + 0x1p-8 + 0x1p-40, DType::BF16),
            0x3f81);
  EXPECT_EQ(convert<float>(DType::I64, (int64_t(1) << 24) + 1, DType::F32),
            16777216.0f);
}

TEST(Elements, FloatsBecomeIntegersTowardsZero) {
  EXPECT_EQ(convert<int32_t>(DType::F32, -2.9f, DType::I32), -2);
  EXPECT_EQ(convert<int8_t>(DType::F32, 1e9f, DType::I8), 127);
  EXPECT_EQ(convert<uint8_t>(DType::F32, -5.0f, DType::U8), 0);
  EXPECT_EQ(convert<int64_t>(DType::F64, 1e300, DType::I64), INT64_MAX);
  EXPECT_EQ(convert<int32_t>(DType::F32, std::nanf(""), DType::I32), 0);
  EXPECT_EQ(convert<uint8_t>(DType::F32, 0.25f, DType::Bool), 1);
}

TEST(Elements, IntegersKeepTheirBits) {
  EXPECT_EQ(convert<int64_t>(DType::I64, INT64_MIN, DType::I64), INT64_MIN);
  EXPECT_EQ(convert<int64_t>(DType::I32, int32_t(-7), DType::I64), -7);
  EXPECT_EQ(convert<int64_t>(DType::U32, uint32_t(-7), DType::I64), 4294967289);
  EXPECT_EQ(convert<uint8_t>(DType::I64, int64_t(256), DType::Bool), 1);
  EXPECT_EQ(convert<double>(DType::U64, UINT64_MAX, DType::F64), 0x1p64);
}

TEST(Elements, Arithmetic) {
  std::vector<float> a(1000), b(1000), out(1000);
  for (int i = 0; i < 1000; ++i) {
    a[i] = static_cast<float>(i);
    b[i] = 0.5f;
  }
  auto bytes = [](std::vector<float> &x) {
    return reinterpret_cast<std::byte *>(x.data());
  };
  combineElements(ElementOp::Mul, DType::F32, bytes(a), bytes(b), bytes(out),
                  1000);
  EXPECT_EQ(out[999], 499.5f);
  combineElements(ElementOp::Add, DType::F32, bytes(out), bytes(a), bytes(out),
                  1000);
  EXPECT_EQ(out[999], 1498.5f);
  scaleElements(DType::F32, 2, bytes(out), 1000);
  EXPECT_EQ(out[999], 2997.0f);
  fillElements(DType::F32, 1.5, 0, bytes(out), 1000);
  EXPECT_EQ(out, std::vector<float>(1000, 1.5f));
}

TEST(Elements, BitsCountFromTheLowEnd) {
  std::byte packed[] = {std::byte(0x21), std::byte(0x43)};
  EXPECT_EQ(unpackBits(packed, 4, 0), 1u);
  EXPECT_EQ(unpackBits(packed, 4, 3), 4u);
  EXPECT_EQ(unpackBits(packed, 2, 2), 2u); // 0x21 = 0b00'10'00'01
  EXPECT_EQ(unpackBits(packed, 8, 1), 0x43u);
}
