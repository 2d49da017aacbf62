//===- SizeBoundsTest.cpp - The largest value of a size -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/SizeBounds.h"

#include <gtest/gtest.h>

using namespace moe;

/// The bound for d <= batch and e <= 4.
static std::string boundOf(const char *size) {
  StatusOr<DimExpr> expr = DimExpr::parse(size);
  EXPECT_TRUE(expr.isOk()) << size;
  return dialect::upperBoundOf(
             *expr, {{"d", DimExpr::symbol("batch")}, {"e", DimExpr(4)}})
      .toString();
}

TEST(SizeBounds, WithoutDataSymbolsNothingChanges) {
  EXPECT_EQ(boundOf("2 * batch - seq"), "2 * batch - seq");
}

TEST(SizeBounds, GrowWithTheirSymbols) {
  EXPECT_EQ(boundOf("2 * d * seq + e"), "2 * batch * seq + 4");
  EXPECT_EQ(boundOf("max(d, e)"), "max(4, batch)");
  EXPECT_EQ(boundOf("ceildiv(d, 16)"), "ceildiv(batch, 16)");
}

TEST(SizeBounds, AreLargestWhereWhatIsSubtractedIsZero) {
  EXPECT_EQ(boundOf("batch - d"), "batch");
  EXPECT_EQ(boundOf("batch * seq - 3 * d * e"), "batch * seq");
  EXPECT_EQ(boundOf("batch - e * floordiv(d, 2) + d"), "2 * batch");
}

TEST(SizeBounds, AreLargestWhereDivisorsAreOne) {
  EXPECT_EQ(boundOf("floordiv(batch, e)"), "batch");
  EXPECT_EQ(boundOf("mod(batch, e)"), "3");
}
