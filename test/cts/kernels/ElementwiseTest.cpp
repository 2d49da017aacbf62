//===- ElementwiseTest.cpp - elementwise and its single operations --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>
#include <cstring>

using namespace moe;
using namespace moe::test;

namespace {

class Elementwise : public KernelTest {
protected:
  Tensor binary(const char *kind, const Tensor &a, const Tensor &b,
                std::vector<int64_t> dims) {
    Tensor y = Tensor::zeros(a.view.dtype, dims);
    runner.step("binary").with("kind", kind).run({&a, &b}, {&y});
    return y;
  }
  Tensor cast(const Tensor &x, DType to) {
    Tensor y = Tensor::zeros(
        to, std::vector<int64_t>(x.view.dims, x.view.dims + x.view.rank));
    runner.step("cast").run({&x}, {&y});
    return y;
  }
};

TEST_P(Elementwise, ProgramOfSeveralInstructions) {
  // y = silu(x + b) * s, z = x + b > 0, for sizes around the tile.
  for (int64_t n : {0, 1, 7, 16, 255, 256, 257, 1000, 70000}) {
    Tensor x = Tensor::random(DType::F32, {n}, rng);
    Tensor b = Tensor::f32({1}, {0.25f}), s = Tensor::f32({}, {2});
    Tensor y = Tensor::zeros(DType::F32, {n});
    Tensor z = Tensor::zeros(DType::Bool, {n});
    Tensor expected = y, sign = z;
    runner.step("elementwise")
        .instr("add", DType::F32, 0, 1)
        .instr("silu", DType::F32, 3)
        .instr("mul", DType::F32, 4, 2)
        .instr("constant", DType::F32)
        .instr("gt", DType::Bool, 3, 6)
        .results({5, 7})
        .run({&x, &b, &s}, {&y, &z});
    for (int64_t i = 0; i < n; ++i) {
      double sum = x.at(i) + 0.25;
      expected.set(i, 2 * sum / (1 + std::exp(-sum)));
      sign.set(i, sum > 0);
    }
    expectClose(y, expected, 1e-6, 1e-7);
    expectEqual(z, sign);
  }
}

TEST_P(Elementwise, BroadcastsByStrides) {
  Tensor a = Tensor::random(DType::F32, {5, 1, 7}, rng);
  Tensor b = Tensor::random(DType::F32, {3, 1}, rng);
  Tensor y = binary("sub", a, b, {5, 3, 7});
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 7; ++k)
        EXPECT_EQ(y.at((i * 3 + j) * 7 + k),
                  static_cast<float>(a.at(i * 7 + k) - b.at(j)));
}

TEST_P(Elementwise, ReadsAndWritesLongRowsWhereTheyLie) {
  // Tiles of 256 lie within rows of x and y, or go on in the next one; rows of
  // y have gaps.
  constexpr int64_t kRows = 5, kColumns = 700, kGap = 9;
  Tensor x = Tensor::random(DType::F32, {kRows, kColumns}, rng);
  Tensor b = Tensor::random(DType::F32, {kColumns}, rng);
  Tensor y = Tensor::zeros(DType::F32, {kRows, kColumns + kGap});
  y.view.dims[1] = kColumns;
  runner.step("binary").with("kind", "add").run({&x, &b}, {&y});
  std::byte gap[kGap * sizeof(float)]; // as the runner has filled it
  std::memset(gap, 0xa5, sizeof gap);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kColumns; ++i)
      EXPECT_EQ(y.at(row * kColumns + i),
                static_cast<float>(x.at(row * kColumns + i)) +
                    static_cast<float>(b.at(i)));
    const float *end = y.view.as<float>() + (row + 1) * (kColumns + kGap);
    EXPECT_EQ(std::memcmp(end - kGap, gap, sizeof gap), 0);
  }
}

TEST_P(Elementwise, ReadsAndWritesStridedViews) {
  Tensor a = Tensor::random(DType::F32, {4, 33, 9}, rng).strided({1, 2, 0});
  Tensor b = Tensor::random(DType::F32, {4, 33, 9}, rng);
  Tensor y = Tensor::zeros(DType::F32, {4, 33, 9}).strided({2, 0, 1});
  runner.step("binary").with("kind", "mul").run({&a, &b}, {&y});
  for (int64_t i = 0; i < y.size(); ++i)
    EXPECT_EQ(y.at(i),
              static_cast<float>(a.at(i)) * static_cast<float>(b.at(i)));
}

TEST_P(Elementwise, WorksInPlace) {
  Tensor x = Tensor::random(DType::F32, {1000}, rng), expected = x;
  for (int64_t i = 0; i < x.size(); ++i)
    expected.set(i, x.at(i) * x.at(i) + x.at(i));
  runner.step("elementwise")
      .instr("square", DType::F32, 0)
      .instr("add", DType::F32, 1, 0)
      .results({2})
      .run({&x}, {&x});
  expectClose(x, expected, 1e-6, 1e-6);
}

TEST_P(Elementwise, SmallTypesWrapAndHalfTypesRound) {
  Tensor a = Tensor::of<int8_t>(DType::I8, {3}, {100, -128, 5});
  Tensor b = Tensor::of<int8_t>(DType::I8, {3}, {100, 1, 3});
  EXPECT_EQ(binary("add", a, b, {3}).values<int8_t>(),
            (std::vector<int8_t>{-56, -127, 8}));
  EXPECT_EQ(binary("mul", a, b, {3}).values<int8_t>(),
            (std::vector<int8_t>{16, -128, 15}));
  // Each operation rounds: in f16, 2048 + 1 is 2048.
  Tensor x = Tensor::f32({2}, {2048, 1}).as(DType::F16);
  Tensor one = Tensor::f32({1}, {1}).as(DType::F16);
  Tensor y = Tensor::zeros(DType::F16, {2});
  runner.step("elementwise")
      .instr("add", DType::F16, 0, 1)
      .instr("add", DType::F16, 2, 1)
      .results({3})
      .run({&x, &one}, {&y});
  EXPECT_EQ(y.at(0), 2048);
  EXPECT_EQ(y.at(1), 3);
}

TEST_P(Elementwise, IntegerDivisionAndRemainders) {
  Tensor a = Tensor::i64({6}, {7, -7, 7, -7, 5, INT64_MIN});
  Tensor b = Tensor::i64({6}, {3, 3, -3, -3, 0, -1});
  using V = std::vector<int64_t>;
  EXPECT_EQ(binary("div", a, b, {6}).values<int64_t>(),
            (V{2, -2, -2, 2, 0, INT64_MIN}));
  Tensor few = Tensor::i64({4}, {7, -7, 7, -7}),
         by = Tensor::i64({4}, {3, 3, -3, -3});
  EXPECT_EQ(binary("mod", few, by, {4}).values<int64_t>(), (V{1, 2, -2, -1}));
  EXPECT_EQ(binary("fmod", few, by, {4}).values<int64_t>(), (V{1, -1, 1, -1}));
  Tensor x = Tensor::f32({2}, {-7.5f, 7.5f}), y = Tensor::f32({2}, {2, -2});
  EXPECT_EQ(binary("mod", x, y, {2}).values<float>(),
            (std::vector<float>{0.5f, -0.5f}));
  EXPECT_EQ(binary("fmod", x, y, {2}).values<float>(),
            (std::vector<float>{-1.5f, 1.5f}));
  EXPECT_EQ(binary("pow", Tensor::i64({3}, {3, -2, 2}),
                   Tensor::i64({3}, {4, 3, -1}), {3})
                .values<int64_t>(),
            (V{81, -8, 0}));
}

TEST_P(Elementwise, PowTakesTheTypeOfItsBase) {
  Tensor x = Tensor::f32({3}, {3, 4, 2});
  Tensor y = binary("pow", x, Tensor::i64({3}, {2, -1, 10}), {3});
  EXPECT_EQ(y.values<float>(), (std::vector<float>{9, 0.25f, 1024}));
}

TEST_P(Elementwise, UnsignedNumbersOf64Bits) {
  uint64_t big = 0xffffffffffffff00u;
  Tensor a = Tensor::of<uint64_t>(DType::U64, {2}, {big, 10});
  Tensor b = Tensor::of<uint64_t>(DType::U64, {2}, {16, 3});
  EXPECT_EQ(binary("div", a, b, {2}).values<uint64_t>(),
            (std::vector<uint64_t>{big / 16, 3}));
  Tensor y = Tensor::zeros(DType::Bool, {2});
  runner.step("compare").with("kind", "gt").run({&a, &b}, {&y});
  EXPECT_EQ(y.at(0), 1);
  EXPECT_EQ(cast(a, DType::F64).at(0), static_cast<double>(big));
}

TEST_P(Elementwise, NotANumberSurvives) {
  Tensor a = Tensor::f32({4}, {NAN, 1, NAN, 2});
  Tensor b = Tensor::f32({4}, {1, NAN, NAN, 3});
  for (const char *kind : {"min", "max"}) {
    Tensor y = binary(kind, a, b, {4});
    EXPECT_TRUE(std::isnan(y.at(0)) && std::isnan(y.at(1)));
    EXPECT_TRUE(std::isnan(y.at(2)) && !std::isnan(y.at(3)));
  }
  Tensor y = Tensor::zeros(DType::Bool, {4});
  runner.step("compare").with("kind", "ne").run({&a, &b}, {&y});
  EXPECT_EQ(y.at(0) + y.at(1) + y.at(2) + y.at(3), 4);
  runner.step("unary").with("kind", "is_nan").run({&a}, {&y});
  EXPECT_EQ(y.values<uint8_t>(), (std::vector<uint8_t>{1, 0, 1, 0}));
}

TEST_P(Elementwise, Casts) {
  Tensor x = Tensor::f32({6}, {1.9f, -1.9f, 300, -0.0f, NAN, 1e30f});
  EXPECT_EQ(cast(x, DType::I32).values<int32_t>(),
            (std::vector<int32_t>{1, -1, 300, 0, 0, -1}));
  EXPECT_EQ(cast(x, DType::U8).values<uint8_t>(),
            (std::vector<uint8_t>{1, 255, 44, 0, 0, 255}));
  EXPECT_EQ(cast(x, DType::Bool).values<uint8_t>(),
            (std::vector<uint8_t>{1, 1, 1, 0, 1, 1}));
  // Every f16 survives the way to f32 and back.
  std::vector<uint16_t> halves(1 << 16);
  for (size_t i = 0; i < halves.size(); ++i)
    halves[i] = static_cast<uint16_t>(i);
  for (DType dtype : {DType::F16, DType::BF16}) {
    Tensor all = Tensor::of(dtype, {1 << 16}, halves);
    Tensor back = cast(cast(all, DType::F32), dtype);
    expectClose(back, all, 0);
  }
  Tensor fine = Tensor::random(DType::F32, {999}, rng);
  for (DType dtype : {DType::F16, DType::BF16})
    expectEqual(cast(fine, dtype), fine.as(dtype));
}

TEST_P(Elementwise, SelectAndLogic) {
  Tensor c = Tensor::of<uint8_t>(DType::Bool, {3, 1}, {1, 0, 1});
  Tensor a = Tensor::random(DType::F32, {3, 300}, rng);
  Tensor b = Tensor::random(DType::F32, {300}, rng);
  Tensor y = Tensor::zeros(DType::F32, {3, 300});
  runner.step("select").run({&c, &a, &b}, {&y});
  for (int64_t i = 0; i < y.size(); ++i)
    EXPECT_EQ(y.at(i), i / 300 == 1 ? b.at(i % 300) : a.at(i));
  Tensor p = Tensor::of<uint8_t>(DType::Bool, {4}, {0, 0, 1, 1});
  Tensor q = Tensor::of<uint8_t>(DType::Bool, {4}, {0, 1, 0, 1});
  using V = std::vector<uint8_t>;
  EXPECT_EQ(binary("and", p, q, {4}).values<uint8_t>(), (V{0, 0, 0, 1}));
  EXPECT_EQ(binary("or", p, q, {4}).values<uint8_t>(), (V{0, 1, 1, 1}));
  EXPECT_EQ(binary("xor", p, q, {4}).values<uint8_t>(), (V{0, 1, 1, 0}));
}

TEST_P(Elementwise, EveryUnaryKindInF64) {
  Tensor x = Tensor::f32({3}, {0.5f, 1.25f, 3}).as(DType::F64);
  const std::pair<const char *, double (*)(double)> kinds[] = {
      {"neg", [](double v) { return -v; }},
      {"abs", [](double v) { return std::fabs(v); }},
      {"sqrt", [](double v) { return std::sqrt(v); }},
      {"rsqrt", [](double v) { return 1 / std::sqrt(v); }},
      {"reciprocal", [](double v) { return 1 / v; }},
      {"exp", [](double v) { return std::exp(v); }},
      {"log", [](double v) { return std::log(v); }},
      {"sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }},
      {"tanh", [](double v) { return std::tanh(v); }},
      {"erf", [](double v) { return std::erf(v); }},
      {"relu", [](double v) { return std::fmax(v, 0); }},
      {"gelu_erf",
       [](double v) { return v * (1 + std::erf(v / M_SQRT2)) / 2; }},
      {"gelu_tanh",
       [](double v) {
         return v / 2 *
                (1 +
                 std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
       }},
      {"silu", [](double v) { return v / (1 + std::exp(-v)); }},
      {"softplus", [](double v) { return std::log1p(std::exp(v)); }},
      {"floor", [](double v) { return std::floor(v); }},
      {"ceil", [](double v) { return std::ceil(v); }},
      {"round", [](double v) { return std::nearbyint(v); }},
      {"sign", [](double v) { return double((v > 0) - (v < 0)); }},
      {"sin", [](double v) { return std::sin(v); }},
      {"cos", [](double v) { return std::cos(v); }},
      {"quick_gelu", [](double v) { return v / (1 + std::exp(-1.702 * v)); }},
      {"square", [](double v) { return v * v; }}};
  for (DType dtype : {DType::F64, DType::F32}) {
    for (auto [kind, reference] : kinds) {
      Tensor in = x.as(dtype), y = Tensor::zeros(dtype, {3}), expected = y;
      runner.step("unary").with("kind", kind).run({&in}, {&y});
      for (int64_t i = 0; i < 3; ++i)
        expected.set(i, reference(x.at(i)));
      expectClose(y, expected, dtype == DType::F64 ? 1e-14 : 1e-6);
    }
  }
}

TEST_P(Elementwise, RefusesProgramsThatDoNotFit) {
  Tensor x = Tensor::zeros(DType::F32, {4}), y = x;
  Tensor i = Tensor::zeros(DType::I64, {4});
  auto message = [&](const Status &status) { return status.message(); };
  EXPECT_EQ(message(runner.step("elementwise")
                        .instr("add", DType::F32, 0, 2)
                        .results({1})
                        .tryRun({&x}, {&y})),
            "step elementwise: 'add' reads register 2, expected one of the 1 "
            "before it");
  EXPECT_EQ(message(runner.step("elementwise")
                        .instr("add", DType::F32, 0, 1)
                        .results({2})
                        .tryRun({&x, &i}, {&y})),
            "step elementwise: 'add' of f32 i64 cannot give f32");
  EXPECT_EQ(
      message(runner.step("unary").with("kind", "sqrt").tryRun({&i}, {&i})),
      "elementwise: 'sqrt' of i64 is not supported");
  Tensor wide = Tensor::zeros(DType::F32, {5});
  EXPECT_EQ(
      message(
          runner.step("binary").with("kind", "add").tryRun({&x, &wide}, {&y})),
      "binary: an operand of shape [5] does not broadcast to [4]");
}

MOE_ON_ALL_MACHINES(Elementwise);

} // namespace
