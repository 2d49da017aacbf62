//===- ParamExprTest.cpp - Every window of every kind of weight -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ParamExpr.h"
#include "../plan/TestProgram.h"
#include "runtime/params/Layouts.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

using namespace moe;
using namespace moe::test;
using Dims = std::vector<int64_t>;

namespace {
/// Builds expressions over one file of floats and compares windows of them
/// with an evaluation of single elements.
class ParamExprTest : public testing::Test {
protected:
  void SetUp() override {
    std::vector<float> values(4096);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i) / 8 - 100;
    writeFile("w.bin", std::as_bytes(std::span(values)));
  }

  void writeFile(const std::string &name, std::span<const std::byte> bytes) {
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char *>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    plan::WeightFileT &file = add(tables.files);
    file.path = name;
    file.size = bytes.size();
  }

  uint32_t make(plan::ParamExprKind kind, Dims dims,
                std::vector<uint32_t> operands = {}, Dims ints = {},
                double f = 0, DType dtype = DType::F32) {
    plan::ParamExprT &expr = add(tables.param_exprs);
    expr.kind = kind;
    expr.dims = std::move(dims);
    expr.operands = std::move(operands);
    expr.ints = std::move(ints);
    expr.f = f;
    expr.dtype = static_cast<uint8_t>(dtype);
    return static_cast<uint32_t>(tables.param_exprs.size() - 1);
  }
  /// A float tensor in w.bin that begins at element `first`.
  uint32_t file(Dims dims, int64_t first = 0) {
    int64_t count = 1;
    for (int64_t dim : dims)
      count *= dim;
    return make(plan::ParamExprKind_File, std::move(dims), {},
                {first * 4, count * 4});
  }

  ParamEvaluator evaluator() {
    StatusOr<ParamEvaluator> made =
        ParamEvaluator::create(tables, {folder.path()});
    EXPECT_TRUE(made.isOk()) << made.status().message();
    return *std::move(made);
  }

  /// One element, by the definition of its kind.
  float element(uint32_t index, Dims at);
  float joined(const plan::ParamExprT &expr, Dims at);
  float broadcast(uint32_t operand, const Dims &at);
  /// Compares the whole, then random windows.
  void check(uint32_t expr);

  TemporaryFolder folder;
  plan::ProgramT tables;
};
} // namespace

float ParamExprTest::broadcast(uint32_t operand, const Dims &at) {
  const Dims &dims = tables.param_exprs[operand]->dims;
  Dims inner(at.end() - dims.size(), at.end());
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] == 1)
      inner[i] = 0;
  return element(operand, inner);
}

float ParamExprTest::joined(const plan::ParamExprT &expr, Dims at) {
  int64_t &position = at[expr.ints[0]];
  for (uint32_t operand : expr.operands) {
    int64_t size = tables.param_exprs[operand]->dims[expr.ints[0]];
    if (position < size)
      return element(operand, at);
    position -= size;
  }
  ADD_FAILURE();
  return 0;
}

float ParamExprTest::element(uint32_t index, Dims at) {
  const plan::ParamExprT &expr = *tables.param_exprs[index];
  size_t rank = at.size();
  auto operand = [&](size_t i) { return expr.operands[i]; };
  int64_t linear = 0;
  for (size_t i = 0; i < rank; ++i)
    linear = linear * expr.dims[i] + at[i];
  switch (expr.kind) {
  case plan::ParamExprKind_File:
    return static_cast<float>(expr.ints[0] / 4 + linear) / 8 - 100;
  case plan::ParamExprKind_Fill:
    return static_cast<float>(expr.f);
  case plan::ParamExprKind_Slice:
    for (size_t i = 0; i < rank; ++i)
      at[i] = expr.ints[i] + at[i] * expr.ints[rank + i];
    return element(operand(0), at);
  case plan::ParamExprKind_Transpose: {
    Dims inner(rank);
    for (size_t i = 0; i < rank; ++i)
      inner[expr.ints[i]] = at[i];
    return element(operand(0), inner);
  }
  case plan::ParamExprKind_Reshape: {
    Dims inner = tables.param_exprs[operand(0)]->dims;
    for (size_t i = inner.size(); i-- > 0;) {
      int64_t size = inner[i];
      inner[i] = linear % size;
      linear /= size;
    }
    return element(operand(0), inner);
  }
  case plan::ParamExprKind_Concat:
    return joined(expr, at);
  case plan::ParamExprKind_Stack:
    return element(operand(at[0]), Dims(at.begin() + 1, at.end()));
  case plan::ParamExprKind_Take:
    at[expr.ints[0]] = expr.ints[1 + at[expr.ints[0]]];
    return element(operand(0), at);
  case plan::ParamExprKind_Scale:
    return element(operand(0), at) * static_cast<float>(expr.f);
  case plan::ParamExprKind_Add:
    return broadcast(operand(0), at) + broadcast(operand(1), at);
  case plan::ParamExprKind_Mul:
    return broadcast(operand(0), at) * broadcast(operand(1), at);
  default:
    ADD_FAILURE();
    return 0;
  }
}

void ParamExprTest::check(uint32_t expr) {
  ParamEvaluator evaluator = this->evaluator();
  const Dims &dims = tables.param_exprs[expr]->dims;
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    Dims starts(dims.size(), 0), sizes = dims;
    for (size_t i = 0; i < dims.size() && round > 0; ++i) {
      starts[i] = static_cast<int64_t>(random() % dims[i]);
      sizes[i] = 1 + static_cast<int64_t>(random() % (dims[i] - starts[i]));
    }
    int64_t count = 1;
    for (int64_t size : sizes)
      count *= size;
    std::vector<float> out(count);
    Status status = evaluator.evaluate(expr, starts, sizes,
                                       std::as_writable_bytes(std::span(out)));
    ASSERT_TRUE(status.isOk()) << status.message();
    for (int64_t k = 0; k < count; ++k) {
      Dims at(dims.size());
      int64_t rest = k;
      for (size_t i = dims.size(); i-- > 0;) {
        at[i] = starts[i] + rest % sizes[i];
        rest /= sizes[i];
      }
      ASSERT_EQ(out[k], element(expr, at)) << "element " << k;
    }
  }
}

TEST_F(ParamExprTest, File) {
  check(file({}));
  check(file({7}, 9));
  check(file({5, 6, 7}, 3));
  check(file({2, 3, 4, 5}));
}

TEST_F(ParamExprTest, Fill) {
  check(make(plan::ParamExprKind_Fill, {3, 4}, {}, {}, 2.5));
}

TEST_F(ParamExprTest, Slice) {
  uint32_t w = file({6, 50, 8});
  // starts 1, 2, 0; steps 1.
  check(make(plan::ParamExprKind_Slice, {4, 10, 8}, {w}, {1, 2, 0, 1, 1, 1}));
  check(make(plan::ParamExprKind_Slice, {6, 50, 4}, {w}, {0, 0, 1, 1, 1, 2}));
  check(
      make(plan::ParamExprKind_Slice, {6, 50, 8}, {w}, {5, 49, 7, -1, -1, -1}));
  check(make(plan::ParamExprKind_Slice, {2, 3, 4}, {w}, {0, 1, 0, 3, 20, 2}));
}

TEST_F(ParamExprTest, Transpose) {
  check(
      make(plan::ParamExprKind_Transpose, {40, 33}, {file({33, 40})}, {1, 0}));
  check(make(plan::ParamExprKind_Transpose, {4, 2, 5, 3}, {file({2, 3, 4, 5})},
             {2, 0, 3, 1}));
}

TEST_F(ParamExprTest, Reshape) {
  check(make(plan::ParamExprKind_Reshape, {4, 6, 5}, {file({24, 5})}));
  check(make(plan::ParamExprKind_Reshape, {24, 5}, {file({2, 3, 4, 5})}));
  check(make(plan::ParamExprKind_Reshape, {5, 4, 6}, {file({10, 12})}));
  check(make(plan::ParamExprKind_Reshape, {3, 1, 7}, {file({21})}));
  check(make(plan::ParamExprKind_Reshape, {}, {file({1, 1})}));
  check(make(plan::ParamExprKind_Reshape, {1, 1}, {file({})}));
  check(make(plan::ParamExprKind_Reshape, {6, 4, 1}, {file({2, 3, 4})}));
}

TEST_F(ParamExprTest, ConcatAndStack) {
  uint32_t a = file({3, 4, 5}), b = file({3, 2, 5}, 100);
  check(make(plan::ParamExprKind_Concat, {3, 6, 5}, {a, b}, {1}));
  check(make(plan::ParamExprKind_Concat, {3, 10, 5}, {a, b, a}, {1}));
  check(make(plan::ParamExprKind_Concat, {6, 4, 5}, {a, file({3, 4, 5}, 200)},
             {0}));
  check(make(plan::ParamExprKind_Concat, {3, 4, 10}, {a, a}, {2}));
  check(make(plan::ParamExprKind_Stack, {3, 3, 4, 5},
             {a, file({3, 4, 5}, 7), a}));
}

TEST_F(ParamExprTest, Take) {
  uint32_t w = file({3, 4, 5});
  check(make(plan::ParamExprKind_Take, {3, 4, 5}, {w}, {1, 2, 0, 3, 1}));
  check(
      make(plan::ParamExprKind_Take, {7, 4, 5}, {w}, {0, 2, 2, 0, 1, 1, 0, 2}));
  check(make(plan::ParamExprKind_Take, {3, 4, 2}, {w}, {2, 4, 1}));
}

TEST_F(ParamExprTest, Arithmetic) {
  uint32_t a = file({3, 4, 5}), row = file({5}, 9), column = file({4, 1}, 30);
  check(make(plan::ParamExprKind_Scale, {3, 4, 5}, {a}, {}, 0.125));
  check(make(plan::ParamExprKind_Add, {3, 4, 5}, {a, row}));
  check(make(plan::ParamExprKind_Mul, {3, 4, 5}, {column, a}));
  check(make(plan::ParamExprKind_Mul, {4, 5}, {column, row}));
}

TEST_F(ParamExprTest, NestedExpressions) {
  // Experts whose matrices were [out, in], every second column, joined.
  std::vector<uint32_t> experts;
  for (int64_t e = 0; e < 4; ++e) {
    uint32_t w = file({20, 12}, e * 240);
    uint32_t t = make(plan::ParamExprKind_Transpose, {12, 20}, {w}, {1, 0});
    uint32_t odd = make(plan::ParamExprKind_Slice, {12, 10}, {t}, {0, 1, 1, 2});
    uint32_t even =
        make(plan::ParamExprKind_Slice, {12, 10}, {t}, {0, 0, 1, 2});
    experts.push_back(
        make(plan::ParamExprKind_Concat, {12, 20}, {even, odd}, {1}));
  }
  uint32_t all = make(plan::ParamExprKind_Stack, {4, 12, 20}, experts);
  check(all);
  check(make(plan::ParamExprKind_Reshape, {4, 3, 4, 20}, {all}));
}

TEST_F(ParamExprTest, CastAndInline) {
  const int32_t values[] = {-3, 7, 1 << 20, 0, 1, 2};
  plan::ConstantT &constant = add(tables.constants);
  constant.data.resize(sizeof(values));
  std::memcpy(constant.data.data(), values, sizeof(values));
  uint32_t ints =
      make(plan::ParamExprKind_Inline, {2, 3}, {}, {0}, 0, DType::I32);
  uint32_t halves =
      make(plan::ParamExprKind_Cast, {2, 3}, {ints}, {}, 0, DType::F16);
  uint16_t out[2];
  ASSERT_TRUE(evaluator()
                  .evaluate(halves, Dims{0, 0}, Dims{2, 1},
                            std::as_writable_bytes(std::span(out)))
                  .isOk());
  EXPECT_EQ(halfToFloat(out[0]), -3.0f);
  EXPECT_EQ(halfToFloat(out[1]), 0.0f);
}

TEST_F(ParamExprTest, Dequantize) {
  // Two rows of 10 values of 4 bits in blocks of 4: q 5, scales 3, zero
  // points ceil(3 / 2) = 2 bytes a row.
  std::vector<std::byte> q = pattern(10, 3), zeros = pattern(4, 77);
  writeFile("q.bin", q);
  writeFile("z.bin", zeros);
  auto bytes = [&](uint32_t file, Dims dims) {
    uint32_t expr = make(plan::ParamExprKind_File, dims, {},
                         {0, dims[0] * dims[1]}, 0, DType::U8);
    tables.param_exprs[expr]->file = file;
    return expr;
  };
  uint32_t qExpr = bytes(1, {2, 5}), zeroExpr = bytes(2, {2, 2});
  uint32_t scales = file({2, 3}, 1000);
  auto nibble = [](std::byte b, int64_t i) {
    return static_cast<int>(b) >> (i % 2 * 4) & 15;
  };
  for (bool hasZeros : {false, true}) {
    std::vector<uint32_t> operands = {qExpr, scales};
    if (hasZeros)
      operands.push_back(zeroExpr);
    uint32_t expr =
        make(plan::ParamExprKind_Dequantize, {2, 10}, operands, {4, 4});
    for (int64_t first = 0; first < 10; ++first)
      for (int64_t count = 1; count <= 10 - first; ++count) {
        std::vector<float> out(2 * count);
        ASSERT_TRUE(evaluator()
                        .evaluate(expr, Dims{0, first}, Dims{2, count},
                                  std::as_writable_bytes(std::span(out)))
                        .isOk());
        for (int64_t r = 0; r < 2; ++r)
          for (int64_t i = 0; i < count; ++i) {
            int64_t n = first + i, b = n / 4;
            int zero = hasZeros ? nibble(zeros[r * 2 + b / 2], b) : 8;
            float scale = element(scales, {r, b});
            ASSERT_EQ(out[r * count + i],
                      static_cast<float>(nibble(q[r * 5 + n / 2], n) - zero) *
                          scale);
          }
      }
  }
}

TEST_F(ParamExprTest, VarInts) {
  // 1, 300, -1 (ten bytes), 127.
  std::vector<uint8_t> bytes = {1, 0xac, 2};
  bytes.insert(bytes.end(), 9, 0xff);
  bytes.insert(bytes.end(), {1, 127});
  writeFile("v.bin", std::as_bytes(std::span(bytes)));
  uint32_t expr = make(plan::ParamExprKind_VarInt, {2, 2}, {},
                       {0, static_cast<int64_t>(bytes.size())}, 0, DType::I64);
  tables.param_exprs[expr]->file = 1;
  int64_t out[4];
  ASSERT_TRUE(evaluator()
                  .evaluate(expr, std::as_writable_bytes(std::span(out)))
                  .isOk());
  EXPECT_EQ(std::vector<int64_t>(out, out + 4),
            (std::vector<int64_t>{1, 300, -1, 127}));
  ASSERT_TRUE(evaluator()
                  .evaluate(expr, Dims{0, 1}, Dims{2, 1},
                            std::as_writable_bytes(std::span(out).first(2)))
                  .isOk());
  EXPECT_EQ(out[0], 300);
  EXPECT_EQ(out[1], 127);
  // The last integer lacks its end.
  tables.param_exprs[expr]->ints[1] -= 1;
  EXPECT_EQ(
      evaluator().evaluate(expr, std::as_writable_bytes(std::span(out))).code(),
      StatusCode::BadModel);
}

TEST_F(ParamExprTest, FilesStayInTheirFoldersAndKeepTheirSize) {
  uint32_t expr = file({4});
  float out[4];
  auto run = [&](std::vector<std::string> folders) {
    ParamEvaluator evaluator = *ParamEvaluator::create(tables, folders);
    return evaluator.evaluate(expr, std::as_writable_bytes(std::span(out)));
  };
  EXPECT_TRUE(run({folder.path()}).isOk());
  TemporaryFolder other;
  EXPECT_EQ(run({other.path()}).code(), StatusCode::IoError);
  EXPECT_TRUE(run({other.path(), folder.path()}).isOk());
  tables.files[0]->path = folder / "w.bin";
  EXPECT_TRUE(run({folder.path()}).isOk()) << "absolute, but inside";
  EXPECT_EQ(run({other.path()}).code(), StatusCode::IoError);
  tables.files[0]->path = "../w.bin";
  EXPECT_EQ(run({other.path()}).code(), StatusCode::IoError);
  tables.files[0]->path = "w.bin";
  tables.files[0]->size -= 1;
  Status status = run({folder.path()});
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_NE(status.message().find("has 16384 bytes, expected 16383"),
            std::string::npos);
}

TEST_F(ParamExprTest, WindowsAreChecked) {
  uint32_t expr = file({4, 4});
  std::vector<std::byte> out(64);
  ParamEvaluator made = evaluator();
  EXPECT_TRUE(made.evaluate(expr, Dims{0, 0}, Dims{4, 4}, out).isOk());
  EXPECT_FALSE(made.evaluate(expr, Dims{1, 0}, Dims{4, 4}, out).isOk());
  EXPECT_FALSE(made.evaluate(expr, Dims{-1, 0}, Dims{4, 4}, out).isOk());
  EXPECT_FALSE(made.evaluate(expr, Dims{0}, Dims{16}, out).isOk());
  EXPECT_FALSE(made.evaluate(expr, Dims{0, 0}, Dims{2, 4}, out).isOk());
  EXPECT_FALSE(made.evaluate(9, Dims{0, 0}, Dims{4, 4}, out).isOk());
}

TEST_F(ParamExprTest, StreamsAreThePackedWhole) {
  // Large enough for several pieces, in both layouts and both directions.
  for (Dims dims : {Dims{40, 100}, {3000000, 3}, {2, 1500007}, {0, 4}}) {
    uint32_t big = make(plan::ParamExprKind_Fill, dims, {}, {}, 0.5);
    uint32_t column = make(plan::ParamExprKind_Fill, {dims[0], 1}, {}, {}, 3);
    uint32_t expr = make(plan::ParamExprKind_Mul, dims, {big, column});
    if (dims[0] == 40)
      expr = file(dims);
    ParamEvaluator made = evaluator();
    std::vector<std::byte> rows(dims[0] * dims[1] * 4);
    ASSERT_TRUE(made.evaluate(expr, rows).isOk());
    for (std::string_view layout : {kRowLayout, kPanel16Layout}) {
      std::vector<std::byte> expected(*layoutBytes(layout, DType::F32, dims));
      ASSERT_TRUE(packLayout(layout, DType::F32, dims, rows, expected).isOk());
      std::vector<std::byte> streamed;
      size_t largest = 0;
      ASSERT_TRUE(streamPacked(made, expr, layout,
                               [&](std::span<const std::byte> piece) {
                                 largest = std::max(largest, piece.size());
                                 streamed.insert(streamed.end(), piece.begin(),
                                                 piece.end());
                                 return Status::ok();
                               })
                      .isOk());
      EXPECT_EQ(streamed, expected);
      EXPECT_LE(largest, size_t(8) << 20);
    }
  }
}
