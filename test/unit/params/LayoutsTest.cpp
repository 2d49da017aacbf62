//===- LayoutsTest.cpp - Packing of weights -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

using namespace moe;
using Dims = std::vector<int64_t>;

template <typename T> static void expectPanels(DType dtype) {
  for (Dims dims : {Dims{3, 16}, {1, 1}, {5, 33}, {4, 40}}) {
    int64_t k = dims[0], n = dims[1];
    std::vector<T> rows(k * n);
    std::iota(rows.begin(), rows.end(), T(1));
    size_t bytes = *layoutBytes(kPanel16Layout, dtype, dims);
    EXPECT_EQ(bytes, (n + 15) / 16 * k * 16 * sizeof(T));
    std::vector<T> packed(bytes / sizeof(T), T(7)), back(rows.size());
    auto packedBytes = std::as_writable_bytes(std::span(packed));
    ASSERT_TRUE(packLayout(kPanel16Layout, dtype, dims,
                           std::as_bytes(std::span(rows)), packedBytes)
                    .isOk());
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < (n + 15) / 16 * 16; ++j)
        EXPECT_EQ(packed[(j / 16 * k + i) * 16 + j % 16],
                  j < n ? rows[i * n + j] : T(0));
    ASSERT_TRUE(unpackLayout(kPanel16Layout, dtype, dims, packedBytes,
                             std::as_writable_bytes(std::span(back)))
                    .isOk());
    EXPECT_EQ(back, rows);
  }
}

TEST(Layouts, Panel16IsWhatTheHeaderSays) {
  expectPanels<float>(DType::F32);
  expectPanels<uint16_t>(DType::F16);
  expectPanels<uint16_t>(DType::BF16);
}

TEST(Layouts, SizesAreChecked) {
  EXPECT_EQ(*layoutBytes("row", DType::F16, Dims{2, 3, 4}), 48u);
  EXPECT_EQ(*layoutBytes("row", DType::F64, Dims{}), 8u);
  EXPECT_EQ(*layoutBytes("panel16", DType::F32, Dims{0, 5}), 0u);
  EXPECT_FALSE(layoutBytes("row", DType::F32, Dims{INT64_MAX, 2}).isOk());
  EXPECT_FALSE(layoutBytes("row", DType::F32, Dims{-1}).isOk());
  EXPECT_FALSE(layoutBytes("panel16", DType::F32, Dims{1, INT64_MAX}).isOk());
  EXPECT_FALSE(layoutBytes("panel16", DType::F32, Dims{-1, 4}).isOk());
  EXPECT_FALSE(layoutBytes("panel16", DType::F32, Dims{1, -4}).isOk());
  EXPECT_EQ(*layoutBytes("panel16", DType::F16, Dims{4, 17}), 256u);
  EXPECT_EQ(*layoutBytes("panel16", DType::BF16, Dims{4, 4}), 128u);
  EXPECT_FALSE(layoutBytes("panel16", DType::F64, Dims{4, 4}).isOk());
  EXPECT_FALSE(layoutBytes("panel16", DType::I16, Dims{4, 4}).isOk());
  EXPECT_FALSE(layoutBytes("panel16", DType::F32, Dims{4}).isOk());
  EXPECT_FALSE(layoutBytes("other", DType::F32, Dims{4}).isOk());
  std::vector<std::byte> small(15), right(64);
  EXPECT_FALSE(
      packLayout("panel16", DType::F32, Dims{1, 4}, small, right).isOk());
}
