//===- ExprTableTest.cpp - Values and bounds of sizes ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ExprTable.h"

#include <gtest/gtest.h>

#include <random>

using namespace moe;

static const std::vector<std::string> kSymbols = {"a", "b", "c"};

static ExprTable tableOf(const std::vector<std::string> &texts) {
  StatusOr<ExprTable> table = ExprTable::create(texts, kSymbols);
  EXPECT_TRUE(table.isOk()) << table.status().message();
  return *std::move(table);
}

static const std::vector<std::string> kTexts = {
    "0",
    "7",
    "a",
    "a + b",
    "2 * a * b - 3 * c",
    "a - b",
    "-a - 1",
    "ceildiv(a, 4)",
    "floordiv(a + b, c + 1)",
    "mod(a, 3)",
    "max(a, b) * min(b, c)",
    "a * a * b + ceildiv(a * b, c + 2) - max(a - c, 1)",
    "mod(a * b, c + 1) + mod(a, 2 * b + 1)"};

TEST(ExprTable, AgreesWithDimExpr) {
  ExprTable table = tableOf(kTexts);
  std::minstd_rand random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> values(3);
    SymbolValues named;
    for (int i = 0; i < 3; ++i)
      named[kSymbols[i]] = values[i] = random() % 50;
    for (size_t i = 0; i < kTexts.size(); ++i)
      EXPECT_EQ(*table.evaluate(i, values),
                *DimExpr::parse(kTexts[i])->evaluate(named))
          << kTexts[i];
  }
}

TEST(ExprTable, UpperBoundHoldsForAllSmallerValues) {
  ExprTable table = tableOf(kTexts);
  std::minstd_rand random(2);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> maxima(3), values(3);
    for (int i = 0; i < 3; ++i) {
      maxima[i] = random() % 30;
      values[i] = random() % (maxima[i] + 1);
    }
    for (size_t i = 0; i < kTexts.size(); ++i)
      EXPECT_LE(*table.evaluate(i, values), *table.upperBound(i, maxima))
          << kTexts[i];
  }
}

TEST(ExprTable, UpperBoundIsTightForSumsAndProducts) {
  ExprTable table = tableOf({"a * b + 2 * c", "a - b", "ceildiv(a, 16)"});
  std::vector<int64_t> maxima = {8, 100, 5};
  EXPECT_EQ(*table.upperBound(0, maxima), 8 * 100 + 2 * 5);
  EXPECT_EQ(*table.upperBound(1, maxima), 8);
  EXPECT_EQ(*table.upperBound(2, maxima), 1);
}

TEST(ExprTable, KnowsWhoReadsASymbol) {
  ExprTable table = tableOf({"a", "a + b", "7", "floordiv(c, b + 1)"});
  auto readers = [&](int symbol) {
    std::span<const uint32_t> list = table.readersOf(symbol);
    return std::vector<uint32_t>(list.begin(), list.end());
  };
  EXPECT_EQ(readers(0), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(readers(1), (std::vector<uint32_t>{1, 3}));
  EXPECT_EQ(readers(2), (std::vector<uint32_t>{3}));
  EXPECT_EQ(table.symbolOf(0), 0);
  EXPECT_EQ(table.symbolOf(1), -1);
}

TEST(ExprTable, ReportsOverflowAndDivisionByZero) {
  ExprTable table =
      tableOf({"a * a * a", "floordiv(a, b)", "a * b - a * b + c"});
  std::vector<int64_t> values = {int64_t(1) << 40, 0, 3};
  EXPECT_EQ(table.evaluate(0, values).status().code(), StatusCode::OutOfMemory);
  EXPECT_EQ(table.upperBound(0, values).status().code(),
            StatusCode::OutOfMemory);
  EXPECT_EQ(table.evaluate(1, values).status().code(), StatusCode::BadModel);
  EXPECT_EQ(*table.evaluate(2, values), 3);
}

TEST(ExprTable, RefusesUnknownSymbols) {
  std::vector<std::string> texts = {"a + d"};
  StatusOr<ExprTable> table = ExprTable::create(texts, kSymbols);
  ASSERT_FALSE(table.isOk());
  EXPECT_EQ(table.status().code(), StatusCode::BadPlan);
  EXPECT_NE(table.status().message().find("'d'"), std::string::npos);
}
