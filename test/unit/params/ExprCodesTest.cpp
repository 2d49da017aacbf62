//===- ExprCodesTest.cpp - Weights that come as codes ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../plan/TestProgram.h"
#include "QuantTestData.h"
#include "runtime/params/Elements.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/params/Quantize.h"
#include "runtime/plan/QuantExprs.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace moe;
using namespace moe::test;

using Dims = std::vector<int64_t>;
using Bytes = std::vector<std::byte>;
using Kind = plan::ParamExprKind;

static int64_t countOf(const Dims &dims) {
  int64_t count = 1;
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

namespace {
/// Expressions over a file of random bytes; what is read as a float is one.
class ExprCodes : public testing::Test {
protected:
  uint32_t make(Kind kind, Dims dims, std::vector<uint32_t> operands,
                Dims ints = {}, DType dtype = DType::F32) {
    plan::ParamExprT &expr = add(tables.param_exprs);
    expr.kind = kind;
    expr.dims = std::move(dims);
    expr.operands = std::move(operands);
    expr.ints = std::move(ints);
    expr.dtype = static_cast<uint8_t>(dtype);
    return static_cast<uint32_t>(tables.param_exprs.size() - 1);
  }
  /// A tensor in a file of its own.
  uint32_t file(Dims dims, DType dtype) {
    std::vector<float> numbers = randomNumbers(countOf(dims), ++seed);
    Bytes bytes(numbers.size() * dtypeSize(dtype));
    if (dtype == DType::U8) {
      std::mt19937 random(seed);
      for (std::byte &byte : bytes)
        byte = static_cast<std::byte>(random());
    } else {
      convertElements(DType::F32, std::as_bytes(std::span(numbers)).data(),
                      dtype, bytes.data(), numbers.size());
    }
    std::string name = std::to_string(seed) + ".bin";
    EXPECT_TRUE(writeWholeFile(folder / name, bytes).isOk());
    plan::WeightFileT &entry = add(tables.files);
    entry.path = name;
    entry.size = bytes.size();
    uint32_t expr = make(plan::ParamExprKind_File, std::move(dims), {},
                         {0, static_cast<int64_t>(bytes.size())}, dtype);
    tables.param_exprs[expr]->file =
        static_cast<uint32_t>(tables.files.size() - 1);
    return expr;
  }
  /// Codes of a file along the last dimension.
  uint32_t dequantize(Dims dims, int bits, int64_t block, DType scales,
                      bool hasZeroPoints, DType dtype = DType::F32) {
    auto lastIs = [&](int64_t last) {
      Dims with = dims;
      with.back() = last;
      return with;
    };
    int64_t size = dims.back();
    int64_t numBlocks = block == 0 ? 1 : (size + block - 1) / block;
    std::vector<uint32_t> operands = {
        file(lastIs((size * bits + 7) / 8), DType::U8),
        file(lastIs(numBlocks), scales)};
    if (hasZeroPoints)
      operands.push_back(file(lastIs((numBlocks * bits + 7) / 8), DType::U8));
    return make(plan::ParamExprKind_Dequantize, dims, operands, {bits, block},
                dtype);
  }
  uint32_t quantize(uint32_t from, int bits, int64_t block,
                    bool hasZeroPoints = false) {
    return make(plan::ParamExprKind_Quantize, tables.param_exprs[from]->dims,
                {from}, {bits, block, hasZeroPoints},
                DType(tables.param_exprs[from]->dtype));
  }
  uint32_t transpose(uint32_t from, Dims order) {
    Dims dims;
    for (int64_t i : order)
      dims.push_back(tables.param_exprs[from]->dims[i]);
    return make(plan::ParamExprKind_Transpose, dims, {from}, order,
                DType(tables.param_exprs[from]->dtype));
  }
  uint32_t slice(uint32_t from, Dims starts, Dims dims) {
    Dims ints = std::move(starts);
    ints.resize(2 * dims.size(), 1);
    return make(plan::ParamExprKind_Slice, std::move(dims), {from}, ints);
  }
  uint32_t reshape(uint32_t from, Dims dims) {
    return make(plan::ParamExprKind_Reshape, std::move(dims), {from});
  }

  std::optional<QuantFormat> formatOf(uint32_t expr) {
    return QuantExprs(tables).formatOf(expr);
  }
  ParamEvaluator evaluator() {
    StatusOr<ParamEvaluator> made =
        ParamEvaluator::create(tables, {folder.path()});
    EXPECT_TRUE(made.isOk()) << made.status().message();
    return *std::move(made);
  }
  /// The expression has this format, and its codes its values.
  void check(uint32_t expr, const std::string &layout);

  TemporaryFolder folder;
  plan::ProgramT tables;
  unsigned seed = 0;
};
} // namespace

void ExprCodes::check(uint32_t expr, const std::string &layout) {
  SCOPED_TRACE(layout);
  ParamEvaluator made = evaluator();
  std::optional<QuantFormat> format = formatOf(expr);
  ASSERT_TRUE(format.has_value());
  EXPECT_EQ(quantLayoutName(*format), layout);
  Dims dims = tables.param_exprs[expr]->dims;
  DType dtype = made.dtype(expr);
  Bytes values(countOf(dims) * dtypeSize(dtype)), unpacked(values.size());
  ASSERT_TRUE(made.evaluate(expr, values).isOk());
  Bytes packed;
  Status status =
      streamPacked(made, expr, layout, [&](std::span<const std::byte> piece) {
        packed.insert(packed.end(), piece.begin(), piece.end());
        return Status::ok();
      });
  ASSERT_TRUE(status.isOk()) << status.message();
  ASSERT_TRUE(unpackLayout(layout, dtype, dims, packed, unpacked).isOk());
  EXPECT_EQ(unpacked, values);

  // Windows of the codes.
  WindowSource windows =
      dequantizedWindows(made.codes(expr)->source, DType::F32);
  std::mt19937 random(3);
  for (int round = 0; round < 30 && dtype == DType::F32; ++round) {
    Dims starts(2), sizes(2);
    for (int i = 0; i < 2; ++i) {
      starts[i] = static_cast<int64_t>(random() % dims[i]);
      sizes[i] = 1 + static_cast<int64_t>(random() % (dims[i] - starts[i]));
    }
    Bytes expected(sizes[0] * sizes[1] * 4), found(expected.size());
    ASSERT_TRUE(made.evaluate(expr, starts, sizes, expected).isOk());
    ASSERT_TRUE(windows(starts, sizes, found).isOk());
    ASSERT_EQ(found, expected);
  }
}

TEST_F(ExprCodes, OfFiles) {
  // What MatMulNBits has, [N, K].
  auto matrix = [&](Dims dims, int bits, int64_t block, DType scales,
                    bool hasZeros) {
    return transpose(dequantize(dims, bits, block, scales, hasZeros), {1, 0});
  };
  check(matrix({20, 96}, 4, 32, DType::F16, false), "panel16.q4x32");
  check(matrix({20, 100}, 4, 32, DType::F16, true), "panel16.q4x32.z");
  check(matrix({33, 96}, 8, 16, DType::F32, true), "panel16.q8x16.f32.z");
  check(matrix({16, 130}, 8, 64, DType::BF16, false), "panel16.q8x64.f32");
  check(matrix({5, 300}, 4, 128, DType::F32, true), "panel16.q4x128.f32.z");
  // Whole rows, and blocks that are longer than them.
  check(matrix({20, 96}, 4, 0, DType::F16, true), "panel16.q4x96.z");
  check(matrix({20, 40}, 8, 128, DType::F16, false), "panel16.q8x64");
  check(matrix({20, 32}, 4, 32, DType::F16, false), "panel16.q4x32");
}

TEST_F(ExprCodes, OfTwoBitsBecomeFour) {
  check(transpose(dequantize({9, 70}, 2, 16, DType::F16, false), {1, 0}),
        "panel16.q4x16");
  check(transpose(dequantize({9, 70}, 2, 16, DType::F32, true), {1, 0}),
        "panel16.q4x16.f32.z");
}

TEST_F(ExprCodes, OfAByteEach) {
  uint32_t q = file({12, 64}, DType::U8), scales = file({12, 2}, DType::F32);
  uint32_t zeros = file({12, 2}, DType::U8);
  uint32_t expr = make(plan::ParamExprKind_Dequantize, {12, 64},
                       {q, scales, zeros}, {4, 32});
  check(transpose(expr, {1, 0}), "panel16.q4x32.f32.z");
}

TEST_F(ExprCodes, OfRoundedNumbers) {
  for (int bits : {4, 8})
    for (bool hasZeros : {false, true}) {
      std::string name = "panel16.q" + std::to_string(bits) + "x";
      std::string zeros = hasZeros ? ".z" : "";
      uint32_t w = file({100, 36}, DType::F32);
      check(quantize(w, bits, 32, hasZeros), name + "32" + zeros);
      check(quantize(w, bits, 16, hasZeros), name + "16" + zeros);
      check(quantize(w, bits, 0, hasZeros), name + "128" + zeros);
      check(quantize(w, bits, 256, hasZeros), name + "128" + zeros);
      uint32_t columns = transpose(file({36, 100}, DType::F32), {1, 0});
      check(quantize(columns, bits, 64, hasZeros), name + "64" + zeros);
    }
}

TEST_F(ExprCodes, OfNarrowTypes) {
  for (DType dtype : {DType::F16, DType::BF16}) {
    check(quantize(file({64, 20}, dtype), 8, 32), "panel16.q8x32");
    check(transpose(dequantize({20, 64}, 4, 32, DType::F16, false, dtype),
                    {1, 0}),
          "panel16.q4x32");
  }
}

TEST_F(ExprCodes, ThroughMovements) {
  // Experts in one tensor [E, N, K]: expert 2, its columns 3 .. 12.
  uint32_t all = dequantize({4, 20, 96}, 4, 32, DType::F16, true);
  uint32_t turned = transpose(all, {0, 2, 1});
  uint32_t expert = reshape(slice(turned, {2, 0, 0}, {1, 96, 20}), {96, 20});
  check(expert, "panel16.q4x32.z");
  check(slice(expert, {0, 3}, {96, 10}), "panel16.q4x32.z");
  // Rows from a block on, to the end of the file or of no block.
  check(slice(expert, {32, 0}, {64, 20}), "panel16.q4x32.z");
  check(slice(expert, {32, 0}, {50, 20}), "panel16.q4x32.z");
  // Gate and up, joined, every second column.
  uint32_t both =
      make(plan::ParamExprKind_Concat, {96, 40}, {expert, expert}, {1});
  check(both, "panel16.q4x32.z");
  check(make(plan::ParamExprKind_Slice, {96, 20}, {both}, {0, 1, 1, 2}),
        "panel16.q4x32.z");
  // Along the blocks, the last part ends within one.
  uint32_t cut = slice(expert, {0, 0}, {40, 20});
  check(make(plan::ParamExprKind_Concat, {136, 20}, {expert, cut}, {0}),
        "panel16.q4x32.z");
  // One entry of a stack.
  uint32_t stack = make(plan::ParamExprKind_Stack, {2, 96, 20},
                        {expert, slice(both, {0, 20}, {96, 20})});
  check(reshape(slice(stack, {1, 0, 0}, {1, 96, 20}), {96, 20}),
        "panel16.q4x32.z");
}

TEST_F(ExprCodes, OfRoundedNumbersThroughMovements) {
  uint32_t all = quantize(file({3, 96, 20}, DType::F32), 4, 32);
  uint32_t expert = reshape(slice(all, {1, 0, 0}, {1, 96, 20}), {96, 20});
  check(expert, "panel16.q4x32");
  check(slice(expert, {32, 5}, {64, 3}), "panel16.q4x32");
  check(slice(expert, {64, 0}, {32, 20}), "panel16.q4x32");
}

TEST_F(ExprCodes, NothingWhereBlocksAreCutOrChanged) {
  uint32_t rows = dequantize({32, 96}, 4, 32, DType::F16, false);
  uint32_t matrix = transpose(rows, {1, 0});
  EXPECT_NE(formatOf(matrix), std::nullopt);
  EXPECT_EQ(formatOf(rows), std::nullopt) << "blocks along N";
  EXPECT_EQ(formatOf(slice(matrix, {16, 0}, {64, 32})), std::nullopt);
  EXPECT_EQ(formatOf(make(plan::ParamExprKind_Slice, {48, 32}, {matrix},
                          {0, 0, 2, 1})),
            std::nullopt);
  EXPECT_EQ(formatOf(make(plan::ParamExprKind_Slice, {96, 32}, {matrix},
                          {95, 0, -1, 1})),
            std::nullopt);
  EXPECT_EQ(formatOf(reshape(matrix, {48, 64})), std::nullopt);
  EXPECT_EQ(formatOf(make(plan::ParamExprKind_Scale, {96, 32}, {matrix})),
            std::nullopt);
  EXPECT_EQ(formatOf(make(plan::ParamExprKind_Cast, {96, 32}, {matrix}, {},
                          DType::F16)),
            std::nullopt);
  uint32_t other =
      transpose(dequantize({32, 96}, 8, 32, DType::F16, false), {1, 0});
  EXPECT_EQ(formatOf(make(plan::ParamExprKind_Concat, {96, 64}, {matrix, other},
                          {1})),
            std::nullopt);
  uint32_t cut = slice(matrix, {0, 0}, {40, 32});
  EXPECT_EQ(
      formatOf(make(plan::ParamExprKind_Concat, {136, 32}, {cut, matrix}, {0})),
      std::nullopt);
  // No layout has such blocks or scales.
  EXPECT_EQ(formatOf(transpose(dequantize({32, 96}, 4, 8, DType::F16, false),
                               {1, 0})),
            std::nullopt);
  EXPECT_EQ(formatOf(transpose(dequantize({32, 96}, 4, 48, DType::F16, false),
                               {1, 0})),
            std::nullopt);
  EXPECT_EQ(formatOf(transpose(dequantize({32, 96}, 4, 32, DType::F64, false),
                               {1, 0})),
            std::nullopt);
  // Rounded blocks depend on numbers that are gone.
  uint32_t w = file({96, 20}, DType::F32);
  EXPECT_EQ(formatOf(slice(quantize(w, 4, 32), {0, 0}, {40, 20})),
            std::nullopt);
  EXPECT_EQ(formatOf(slice(quantize(w, 4, 0), {0, 0}, {32, 20})), std::nullopt);
  EXPECT_EQ(formatOf(transpose(quantize(w, 4, 32), {1, 0})), std::nullopt);
}

TEST_F(ExprCodes, OtherLayoutsOfCodesAreRefused) {
  uint32_t expr = quantize(file({64, 20}, DType::F32), 4, 32);
  uint32_t plain = file({64, 20}, DType::F32);
  ParamEvaluator made = evaluator();
  auto sink = [](std::span<const std::byte>) { return Status::ok(); };
  EXPECT_EQ(streamPacked(made, expr, "panel16.q8x32", sink).message(),
            "has codes for layout 'panel16.q4x32', not 'panel16.q8x32'");
  EXPECT_EQ(streamPacked(made, plain, "panel16.q4x32", sink).message(),
            "has no codes for layout 'panel16.q4x32'");
}

TEST_F(ExprCodes, QuantizeIsTheRuleInAllWindows) {
  // [2, 70, 9] in blocks of 32; windows cover blocks in part.
  uint32_t w = file({2, 70, 9}, DType::F32);
  uint32_t expr = quantize(w, 4, 32, true);
  ParamEvaluator made = evaluator();
  std::vector<float> numbers(2 * 70 * 9), expected(numbers.size());
  ASSERT_TRUE(
      made.evaluate(w, std::as_writable_bytes(std::span(numbers))).isOk());
  std::vector<uint8_t> codes(32);
  for (int64_t e = 0; e < 2; ++e)
    for (int64_t n = 0; n < 9; ++n)
      for (int64_t k = 0; k < 70; k += 32) {
        int64_t first = (e * 70 + k) * 9 + n,
                count = std::min<int64_t>(32, 70 - k);
        BlockScale block =
            quantizeBlock({4, 32, DType::F16, true}, numbers.data() + first, 9,
                          count, codes.data(), 1);
        for (int64_t i = 0; i < count; ++i)
          expected[first + i * 9] = dequantized(codes[i], block);
      }
  std::mt19937 random(3);
  const Dims dims = {2, 70, 9};
  for (int round = 0; round < 40; ++round) {
    Dims starts(3, 0), sizes = dims;
    for (int i = 0; i < 3 && round > 0; ++i) {
      starts[i] = static_cast<int64_t>(random() % dims[i]);
      sizes[i] = 1 + static_cast<int64_t>(random() % (dims[i] - starts[i]));
    }
    std::vector<float> found(countOf(sizes));
    ASSERT_TRUE(made.evaluate(expr, starts, sizes,
                              std::as_writable_bytes(std::span(found)))
                    .isOk());
    size_t at = 0;
    for (int64_t e = 0; e < sizes[0]; ++e)
      for (int64_t k = 0; k < sizes[1]; ++k)
        for (int64_t n = 0; n < sizes[2]; ++n)
          ASSERT_EQ(found[at++],
                    expected[((starts[0] + e) * 70 + starts[1] + k) * 9 +
                             starts[2] + n]);
  }
}

TEST_F(ExprCodes, OfTurnedBytes) {
  // Bytes [K, N] under a transpose, moved by 8: the low bits count.
  uint32_t eight = make(plan::ParamExprKind_Fill, {1, 1}, {}, {}, DType::U8);
  tables.param_exprs[eight]->i = 8;
  uint32_t bytes = make(plan::ParamExprKind_Add, {80, 20},
                        {file({80, 20}, DType::U8), eight}, {}, DType::U8);
  uint32_t turned =
      make(plan::ParamExprKind_Transpose, {20, 80}, {bytes}, {1, 0}, DType::U8);
  uint32_t scales = file({20, 3}, DType::F32);
  uint32_t zeros = file({20, 3}, DType::U8);
  check(transpose(make(plan::ParamExprKind_Dequantize, {20, 80},
                       {turned, scales, zeros}, {4, 32}),
                  {1, 0}),
        "panel16.q4x32.f32.z");
}

TEST_F(ExprCodes, OfScalesThatWereF16) {
  uint32_t scales = make(plan::ParamExprKind_Cast, {20, 2},
                         {file({20, 2}, DType::F16)}, {}, DType::F32);
  uint32_t codes = file({20, 32}, DType::U8);
  check(transpose(make(plan::ParamExprKind_Dequantize, {20, 64},
                       {codes, scales}, {4, 32}),
                  {1, 0}),
        "panel16.q4x32");
}
