//===- InputSymbolsTest.cpp - Tests of InputSymbols.h ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/InputSymbols.h"

#include <gtest/gtest.h>

#include <deque>

namespace moe::onnx_import {
namespace {

class InputSymbolsTest : public testing::Test {
protected:
  /// A number, a name, or "" for a size without either.
  void input(const std::string &name, std::vector<std::string> dims) {
    onnx::ValueInfoProto &info = protos.emplace_back();
    info.set_name(name);
    auto *shape = info.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (const std::string &dim : dims) {
      auto *entry = shape->add_dim();
      if (dim.empty())
        continue;
      if (dim.find_first_not_of("0123456789") == std::string::npos)
        entry->set_dim_value(std::stoll(dim));
      else
        entry->set_dim_param(dim);
    }
  }
  Status declare() {
    std::vector<const onnx::ValueInfoProto *> inputs;
    for (const onnx::ValueInfoProto &info : protos)
      inputs.push_back(&info);
    return symbols.declare(inputs);
  }
  std::string text(size_t i) {
    std::string result;
    for (const DimExpr &dim : symbols.dimsOf(i)) {
      if (!result.empty())
        result += ", ";
      result += dim.toString();
    }
    return result;
  }
  static DimExpr parse(const char *text) { return *DimExpr::parse(text); }

  std::deque<onnx::ValueInfoProto> protos;
  InputSymbols symbols;
};

TEST_F(InputSymbolsTest, NamesBecomeSymbols) {
  input("x", {"batch", "7", "", "s 53%"});
  input("y", {"batch", "d0", "max", "1st"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_EQ(text(0), "batch, 7, x_2, s_53");
  // Data symbols and functions keep their names for themselves.
  EXPECT_EQ(text(1), "batch, d0_2, max_2, n1st");
}

TEST_F(InputSymbolsTest, DifferentNamesStayDifferent) {
  input("x", {"a b", "a_b", "a.b"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_EQ(text(0), "a_b, a_b_2, a_b_3");
}

TEST_F(InputSymbolsTest, ExpressionsOverKnownNames) {
  input("mask", {"batch", "past + seq", "2*batch*seq"});
  input("ids", {"batch", "seq"});
  input("past", {"past"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_EQ(text(0), "batch, past + seq, 2 * batch * seq");
}

TEST_F(InputSymbolsTest, ExpressionsOverUnknownNamesAreSymbols) {
  input("mask", {"batch", "past_len + seq_len"});
  input("bias", {"past_len + seq_len"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_EQ(text(0), "batch, past_len_seq_len");
  EXPECT_EQ(text(1), "past_len_seq_len");
}

TEST_F(InputSymbolsTest, OneUnknownNameIsSolved) {
  input("x", {"seq"});
  input("mask", {"past + seq"});
  input("other", {"past"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_EQ(text(1), "past + seq");
  EXPECT_EQ(text(2), "past");
}

TEST_F(InputSymbolsTest, DemandedEqualities) {
  input("ids", {"batch", "seq"});
  input("mask", {"b", "total"});
  input("past", {"batch", "past", "depth"});
  ASSERT_TRUE(declare().isOk());
  // The later symbol goes.
  EXPECT_TRUE(symbols.demandEqual(parse("b"), parse("batch")));
  EXPECT_EQ(text(1), "batch, total");
  // A sum rather than a difference.
  EXPECT_TRUE(symbols.demandEqual(parse("past + seq"), parse("total")));
  EXPECT_EQ(text(1), "batch, past + seq");
  EXPECT_TRUE(symbols.demandEqual(parse("depth"), parse("16")));
  EXPECT_EQ(text(2), "batch, past, 16");
}

TEST_F(InputSymbolsTest, DemandsWithoutSolution) {
  input("x", {"a", "b", "c"});
  ASSERT_TRUE(declare().isOk());
  EXPECT_FALSE(symbols.demandEqual(parse("2 * a"), parse("3 * b * c")));
  EXPECT_FALSE(symbols.demandEqual(parse("a"), parse("d0")));
  // No size is negative, and no input is always empty.
  EXPECT_FALSE(symbols.demandEqual(parse("a + 2"), parse("1")));
  EXPECT_FALSE(symbols.demandEqual(parse("a"), parse("0")));
  EXPECT_EQ(text(0), "a, b, c");
}

TEST_F(InputSymbolsTest, RefusesNegativeSizes) {
  input("x", {"1"});
  protos[0]
      .mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(-1);
  EXPECT_EQ(declare().code(), StatusCode::BadModel);
}

TEST(SignsTest, AreSeenInText) {
  auto parse = [](const char *text) { return *DimExpr::parse(text); };
  EXPECT_TRUE(isNonNegative(parse("a * b + 3")));
  EXPECT_FALSE(isNonNegative(parse("a - 1")));
  EXPECT_TRUE(isAtLeast(parse("a + b"), parse("b")));
  EXPECT_TRUE(isAtLeast(parse("a + 4"), parse("3")));
  EXPECT_FALSE(isAtLeast(parse("a"), parse("1")));
}

} // namespace
} // namespace moe::onnx_import
