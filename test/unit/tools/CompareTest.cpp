//===- CompareTest.cpp - Found outputs against expected ones --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Compare.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe;
using namespace moe::tools;

static HostTensor floats(std::vector<float> values, std::vector<int64_t> dims) {
  HostTensor tensor = *HostTensor::create("y", DType::F32, dims);
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  return tensor;
}

static Comparison compareFloats(std::vector<float> found,
                                std::vector<float> expected,
                                Tolerance tolerance = {0.1, 0.01}) {
  Comparison result;
  std::vector<int64_t> dims = {static_cast<int64_t>(found.size())};
  compare(floats(found, dims), floats(expected, dims), tolerance, result);
  return result;
}

TEST(CompareTest, ToleranceIsAbsolutePlusRelative) {
  // 0.1 + 0.01 * 100 = 1.1.
  EXPECT_TRUE(compareFloats({101}, {100}).isEqual());
  EXPECT_FALSE(compareFloats({101.25}, {100}).isEqual());
  EXPECT_TRUE(compareFloats({0.0625}, {0}).isEqual());
  EXPECT_FALSE(compareFloats({0.25}, {0}).isEqual());
  EXPECT_TRUE(compareFloats({1}, {1}, {0, 0}).isEqual());
}

TEST(CompareTest, ReportsTheFirstElementsAndTheLargestErrors) {
  Comparison result;
  compare(floats({1, 2, 3, 4, 5, 8}, {2, 3}),
          floats({1, 2, 3, 4, 4, 4}, {2, 3}), {0.1, 0}, result);
  EXPECT_EQ(result.elements, 6);
  EXPECT_EQ(result.differing, 2);
  EXPECT_EQ(result.maxAbsoluteError, 4);
  EXPECT_EQ(result.maxRelativeError, 1);
  EXPECT_EQ(
      result.differences,
      (std::vector<std::string>{"output \"y\"[1, 1]: found 5, expected 4",
                                "output \"y\"[1, 2]: found 8, expected 4"}));
  EXPECT_EQ(result.summary(),
            "2 of 6 elements differ; largest absolute error 4, largest "
            "relative error 1");
}

TEST(CompareTest, NaNAndInfinityAgreeOnlyWithThemselves) {
  float inf = INFINITY, nan = NAN;
  EXPECT_TRUE(compareFloats({nan, inf, -inf}, {nan, inf, -inf}).isEqual());
  EXPECT_EQ(compareFloats({1, 1, inf, nan}, {nan, inf, -inf, 1}).differing, 4);
  EXPECT_EQ(compareFloats({inf}, {1}).maxAbsoluteError, HUGE_VAL);
}

TEST(CompareTest, AnotherShapeIsADifference) {
  Comparison result;
  compare(floats({1, 2}, {2, 1}), floats({1, 2}, {1, 2}), {}, result);
  EXPECT_FALSE(result.isEqual());
  EXPECT_EQ(result.differences.front(),
            "output \"y\" has shape [2, 1], expected [1, 2]");
}

TEST(CompareTest, ShowsOnlySomeOfManyDifferences) {
  Comparison result =
      compareFloats(std::vector<float>(1000, 1), std::vector<float>(1000, 0));
  EXPECT_EQ(result.differing, 1000);
  EXPECT_EQ(result.differences.size(), 5u);
}
