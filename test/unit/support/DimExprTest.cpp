//===- DimExprTest.cpp - Algebra of size expressions ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/DimExpr.h"

#include <gtest/gtest.h>

#include <random>

using namespace moe;

/// The normal form of `text`, or the error.
static std::string normal(std::string_view text) {
  StatusOr<DimExpr> expr = DimExpr::parse(text);
  return expr.isOk() ? expr->toString() : "error: " + expr.status().message();
}

static DimExpr parse(std::string_view text) { return *DimExpr::parse(text); }

TEST(DimExpr, NormalForm) {
  EXPECT_EQ(normal("0"), "0");
  EXPECT_EQ(normal("-7"), "-7");
  EXPECT_EQ(normal("seq*batch * 2"), "2 * batch * seq");
  EXPECT_EQ(normal("(past + seq) * 2 - past"), "past + 2 * seq");
  EXPECT_EQ(normal("1 + seq"), "seq + 1");
  EXPECT_EQ(normal("a - b - 1"), "a - b - 1");
  EXPECT_EQ(normal("b - a"), "-a + b");
  EXPECT_EQ(normal("(a + b) * (a - b)"), "a * a - b * b");
  EXPECT_EQ(normal("a - a"), "0");
  EXPECT_EQ(normal("-(a + 2)"), "-a - 2");
}

TEST(DimExpr, DivisionsFold) {
  EXPECT_EQ(normal("floordiv(4 * batch * seq, seq)"), "4 * batch");
  EXPECT_EQ(normal("(a + b) * (a - b) // (a + b)"), "a - b");
  EXPECT_EQ(normal("ceildiv(7, 2)"), "4");
  EXPECT_EQ(normal("floordiv(-7, 2)"), "-4");
  EXPECT_EQ(normal("mod(-7, 4)"), "1");
  EXPECT_EQ(normal("ceildiv(seq, 16)"), "ceildiv(seq, 16)");
  EXPECT_EQ(normal("ceildiv(32 * b + seq + 17, 16)"),
            "2 * b + ceildiv(seq + 1, 16) + 1");
  EXPECT_EQ(normal("floordiv(6 * s, 4)"), "floordiv(3 * s, 2)");
  EXPECT_EQ(normal("floordiv(a * s, b * s)"), "floordiv(a, b)");
  EXPECT_EQ(normal("mod(8 * s + r, 4)"), "mod(r, 4)");
  EXPECT_EQ(normal("mod(a * b, b)"), "0");
  EXPECT_EQ(normal("floordiv(0, a)"), "0");
}

TEST(DimExpr, ExtremesFold) {
  EXPECT_EQ(normal("max(3, 5)"), "5");
  EXPECT_EQ(normal("min(3, 5)"), "3");
  EXPECT_EQ(normal("max(s, s + 2)"), "s + 2");
  EXPECT_EQ(normal("max(s, 0)"), "s");
  EXPECT_EQ(normal("min(s, s + t)"), "s");
  EXPECT_EQ(normal("max(b, a)"), "max(a, b)");
  EXPECT_EQ(normal("max(max(c, a), max(b, a))"), normal("max(a, max(b, c))"));
  EXPECT_EQ(normal("max(a, a)"), "a");
  EXPECT_EQ(normal("max(1, s)"), "max(1, s)");
}

TEST(DimExpr, EqualExpressionsAreEqual) {
  DimExpr a = DimExpr::symbol("a"), b = DimExpr::symbol("b");
  EXPECT_EQ((a + b) * (a + b), a * a + a * b * 2 + b * b);
  EXPECT_NE(a + b, a - b);
  EXPECT_EQ(DimExpr::floorDiv(a * 4 + b, 4), a + DimExpr::floorDiv(b, 4));
}

TEST(DimExpr, ExactDivision) {
  EXPECT_EQ(DimExpr::divideExactly(parse("6 * a * b"), parse("2 * b")),
            parse("3 * a"));
  EXPECT_EQ(DimExpr::divideExactly(parse("a * a + 2 * a * b + b * b"),
                                   parse("a + b")),
            parse("a + b"));
  EXPECT_EQ(DimExpr::divideExactly(parse("3 * a"), 2), std::nullopt);
  EXPECT_EQ(DimExpr::divideExactly(parse("a + 1"), parse("a")), std::nullopt);
  EXPECT_EQ(DimExpr::divideExactly(parse("a"), 0), std::nullopt);
  EXPECT_EQ(DimExpr::divideExactly(0, parse("a")), DimExpr(0));
}

TEST(DimExpr, Queries) {
  EXPECT_EQ(parse("2 + 3").constantValue(), 5);
  EXPECT_FALSE(parse("s + 1").isConstant());
  EXPECT_EQ(parse("batch.local").symbolName(), "batch.local");
  EXPECT_EQ(parse("2 * s").symbolName(), std::nullopt);
  EXPECT_EQ(parse("ceildiv(a * b, c) + d").symbols(),
            (std::set<std::string>{"a", "b", "c", "d"}));
}

TEST(DimExpr, SubstitutesAllAtOnce) {
  DimExpr expr = parse("a + 2 * b + max(a, 7)");
  EXPECT_EQ(expr.substitute({{"a", parse("b")}, {"b", parse("a")}}),
            parse("b + 2 * a + max(b, 7)"));
  EXPECT_EQ(expr.substitute({{"a", DimExpr(8)}}), parse("2 * b + 16"));
}

TEST(DimExpr, Evaluates) {
  SymbolValues values = {{"past", 5}, {"seq", 3}};
  EXPECT_EQ(*parse("2 * past * seq - ceildiv(seq, 2)").evaluate(values), 28);
  EXPECT_EQ(parse("other").evaluate(values).status().code(),
            StatusCode::Internal);
  EXPECT_EQ(parse("past // (seq - 3)").evaluate(values).status().code(),
            StatusCode::BadModel);
  EXPECT_EQ(parse("a * a * a").evaluate({{"a", 1ll << 40}}).status().code(),
            StatusCode::OutOfMemory);
  // Only the value must fit, not what is added on the way.
  EXPECT_EQ(*parse("a * a - a * a + a").evaluate({{"a", 1ll << 40}}),
            1ll << 40);
}

TEST(DimExpr, RandomExpressionsKeepTheirValueAndText) {
  std::mt19937 random(7);
  const char *names[] = {"a", "b", "c"};
  SymbolValues values = {{"a", 3}, {"b", 10}, {"c", 7}};
  struct Sample {
    DimExpr expr;
    int64_t value;
  };
  auto floorDiv = [](int64_t x, int64_t y) {
    return x / y - (x % y != 0 && (x < 0) != (y < 0));
  };
  for (int round = 0; round < 2000; ++round) {
    std::vector<Sample> pool;
    for (const char *name : names)
      pool.push_back({DimExpr::symbol(name), values.find(name)->second});
    pool.push_back({DimExpr(int64_t(random() % 9) + 1), 0});
    pool.back().value = *pool.back().expr.constantValue();
    for (int i = 0; i < 6; ++i) {
      Sample x = pool[random() % pool.size()], y = pool[random() % pool.size()];
      Sample z;
      switch (random() % 8) {
      case 0:
        z = {DimExpr::max(x.expr, y.expr), std::max(x.value, y.value)};
        break;
      case 1:
        z = {DimExpr::min(x.expr, y.expr), std::min(x.value, y.value)};
        break;
      case 2:
        z = {x.expr - y.expr, x.value - y.value};
        break;
      case 3:
        z = {x.expr * y.expr, x.value * y.value};
        break;
      case 4:
        if (y.value == 0)
          continue;
        z = {DimExpr::floorDiv(x.expr, y.expr), floorDiv(x.value, y.value)};
        break;
      case 5:
        if (y.value == 0)
          continue;
        z = {DimExpr::ceilDiv(x.expr, y.expr), -floorDiv(-x.value, y.value)};
        break;
      case 6:
        if (y.value == 0)
          continue;
        z = {DimExpr::mod(x.expr, y.expr),
             x.value - y.value * floorDiv(x.value, y.value)};
        break;
      default:
        z = {x.expr + y.expr, x.value + y.value};
      }
      if (std::abs(z.value) > (1ll << 30))
        continue;
      StatusOr<int64_t> value = z.expr.evaluate(values);
      ASSERT_TRUE(value.isOk()) << z.expr.toString();
      ASSERT_EQ(*value, z.value) << z.expr.toString();
      ASSERT_EQ(normal(z.expr.toString()), z.expr.toString());
      pool.push_back(z);
    }
  }
}

TEST(DimExpr, RefusesBadText) {
  for (const char *text :
       {"", "a +", "(a", "a)", "1 2", "foo(a, b)", "max(a)", "max(a, b", "$",
        "9223372036854775808", "a ** b", ".a", "4 * 5000000000000000000"})
    EXPECT_EQ(DimExpr::parse(text).status().code(), StatusCode::BadModel)
        << text;
  EXPECT_EQ(normal("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(normal(std::string(5000, 'a')).substr(0, 5), "error");
  EXPECT_EQ(
      normal(std::string(70, '(') + "a" + std::string(70, ')')).substr(0, 5),
      "error");
}

TEST(DimExpr, WhatIsTooLargeStaysTooLarge) {
  DimExpr large = DimExpr(INT64_MAX) + 1;
  EXPECT_FALSE(large.isConstant());
  EXPECT_EQ((large - large).evaluate({}).status().code(),
            StatusCode::OutOfMemory);
  DimExpr nested = DimExpr::symbol("s");
  for (int i = 0; i < 200; ++i)
    nested = DimExpr::ceilDiv(nested + 1, 3);
  EXPECT_EQ(nested.evaluate({{"s", 1}}).status().code(),
            StatusCode::OutOfMemory);
}
