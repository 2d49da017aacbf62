//===- MatmulTest.cpp - matmul --------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>

using namespace moe;
using namespace moe::test;

namespace {

/// x [m, k] w [k, n] + bias, by the definition, in f64.
Tensor product(const Tensor &x, const Tensor &w, const Tensor *bias,
               bool transposed = false) {
  int64_t m = x.view.dims[0], k = x.view.dims[1];
  int64_t n = w.view.dims[transposed ? 0 : 1];
  Tensor y = Tensor::zeros(DType::F64, {m, n});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t d = 0; d < k; ++d)
        sum += x.at(i * k + d) * w.at(transposed ? j * k + d : d * n + j);
      y.set(i * n + j, sum + (bias ? bias->at(j) : 0));
    }
  return y;
}

class Matmul : public KernelTest {};

TEST_P(Matmul, PackedWeights) {
  for (int64_t m : {0, 1, 2, 3, 5, 6, 7, 13, 97, 200})
    for (auto [k, n] : {std::pair<int64_t, int64_t>{1, 1},
                        {17, 16},
                        {112, 448},
                        {600, 35},
                        {0, 20},
                        {64, 1000}}) {
      Tensor x = Tensor::random(DType::F32, {m, k}, rng);
      Tensor w = Tensor::random(DType::F32, {k, n}, rng);
      Tensor bias = Tensor::random(DType::F32, {n}, rng);
      Tensor packed = w.packed(), y = Tensor::zeros(DType::F32, {m, n});
      runner.step("matmul").run({&x, &packed, &bias}, {&y});
      expectClose(y, product(x, w, &bias), 1e-5, 1e-4);
      // The layout does not change a bit of the result.
      Tensor plain = y;
      runner.step("matmul").run({&x, &w, &bias}, {&plain});
      expectEqual(plain, y);
      Tensor turned = w.strided({1, 0}), again = y;
      runner.step("matmul").run({&x, &turned, &bias}, {&again});
      expectEqual(again, y);
    }
}

TEST_P(Matmul, HalfPrecisionWeightsAreTheirValuesInF32) {
  for (DType dtype : {DType::F16, DType::BF16})
    for (int64_t m : {1, 2, 3, 4, 6, 7, 9, 12, 13, 30, 97})
      for (auto [k, n] : {std::pair<int64_t, int64_t>{1, 1},
                          {17, 48},
                          {300, 35},
                          {0, 20},
                          {64, 400}}) {
        Tensor x = Tensor::random(DType::F32, {m, k}, rng);
        Tensor w = Tensor::random(dtype, {k, n}, rng);
        if (k > 0) // infinite, subnormal, and minus zero
          w.set(0, INFINITY), w.set(n / 2, 3e-7), w.set(n - 1, -0.0);
        Tensor wide = w.as(DType::F32).packed();
        Tensor packed = w.packed(), turned = w.strided({1, 0});
        Tensor expected = Tensor::zeros(DType::F32, {m, n}), y = expected;
        runner.step("matmul").run({&x, &wide}, {&expected});
        for (const Tensor *rhs : {&packed, &w, &turned}) {
          runner.step("matmul").run({&x, rhs}, {&y});
          expectEqual(y, expected);
        }
      }
}

TEST_P(Matmul, RowsDoNotDependOnTheirNumber) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    Tensor x = Tensor::random(DType::F32, {211, 700}, rng);
    Tensor w = Tensor::random(dtype, {700, 200}, rng).packed();
    Tensor all = Tensor::zeros(DType::F32, {211, 200});
    KernelRunner reference({GetParam().isa, 1});
    reference.step("matmul").run({&x, &w}, {&all});
    for (int64_t rows : {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                         12, 13, 14, 19, 23, 24, 25, 64, 96, 97, 211}) {
      Tensor some = Tensor::zeros(DType::F32, {rows, 700});
      std::memcpy(some.bytes.data(), x.bytes.data(), some.bytes.size());
      Tensor y = Tensor::zeros(DType::F32, {rows, 200});
      runner.step("matmul").run({&some, &w}, {&y});
      EXPECT_EQ(std::memcmp(y.bytes.data(), all.bytes.data(), y.bytes.size()),
                0)
          << rows << " rows";
    }
  }
}

TEST_P(Matmul, BroadcastsBatchDimensions) {
  // [2, 1, 5, 9] x [3, 9, 20] -> [2, 3, 5, 20]
  Tensor x = Tensor::random(DType::F32, {2, 1, 5, 9}, rng);
  Tensor w = Tensor::random(DType::F32, {3, 9, 20}, rng);
  Tensor y = Tensor::zeros(DType::F32, {2, 3, 5, 20});
  runner.step("matmul").run({&x, &w}, {&y});
  for (int64_t a = 0; a < 2; ++a)
    for (int64_t b = 0; b < 3; ++b)
      for (int64_t i = 0; i < 5; ++i)
        for (int64_t j = 0; j < 20; ++j) {
          double sum = 0;
          for (int64_t d = 0; d < 9; ++d)
            sum += x.at((a * 5 + i) * 9 + d) * w.at((b * 9 + d) * 20 + j);
          EXPECT_NEAR(y.at(((a * 3 + b) * 5 + i) * 20 + j), sum, 1e-5);
        }
}

TEST_P(Matmul, StridedOperandsAndTransposedRhs) {
  Tensor x = Tensor::random(DType::F32, {4, 21, 40}, rng);
  Tensor w = Tensor::random(DType::F32, {4, 33, 40}, rng);
  Tensor y = Tensor::zeros(DType::F32, {4, 21, 33}), again = y;
  runner.step("matmul").with("transpose_rhs", 1).run({&x, &w}, {&y});
  for (int64_t b = 0; b < 4; ++b)
    for (int64_t i = 0; i < 21; ++i)
      for (int64_t j = 0; j < 33; ++j) {
        double sum = 0;
        for (int64_t d = 0; d < 40; ++d)
          sum += x.at((b * 21 + i) * 40 + d) * w.at((b * 33 + j) * 40 + d);
        ASSERT_NEAR(y.at((b * 21 + i) * 33 + j), sum, 2e-5);
      }
  for (std::vector<int> order :
       {std::vector<int>{1, 0, 2}, {2, 1, 0}, {0, 2, 1}}) {
    Tensor sx = x.strided(order), sw = w.strided(order);
    Tensor sy = Tensor::zeros(DType::F32, {4, 21, 33}).strided(order);
    runner.step("matmul").with("transpose_rhs", 1).run({&sx, &sw}, {&sy});
    expectClose(sy, y, 0);
  }
}

TEST_P(Matmul, OtherTypes) {
  for (DType dtype : {DType::F16, DType::BF16, DType::F64, DType::I8,
                      DType::I32, DType::I64, DType::U8}) {
    Tensor x = Tensor::random(dtype, {3, 7}, rng);
    Tensor w = Tensor::random(dtype, {7, 18}, rng);
    Tensor bias = Tensor::random(dtype, {18}, rng);
    Tensor y = Tensor::zeros(dtype, {3, 18});
    runner.step("matmul").run({&x, &w, &bias}, {&y});
    Tensor expected = product(x, w, &bias);
    if (!isFloat(dtype)) { // wraps around
      for (int64_t i = 0; i < expected.size(); ++i) {
        auto wide = static_cast<int64_t>(expected.at(i));
        expected.set(i, dtype == DType::I8   ? static_cast<int8_t>(wide)
                        : dtype == DType::U8 ? static_cast<uint8_t>(wide)
                                             : wide);
      }
    }
    double rtol = dtype == DType::BF16  ? 8e-3
                  : dtype == DType::F16 ? 1e-3
                  : dtype == DType::F64 ? 1e-13
                                        : 0;
    expectClose(y, expected, rtol, rtol);
  }
}

TEST_P(Matmul, CountsItsOperations) {
  Tensor x = Tensor::zeros(DType::F32, {2, 3, 5});
  Tensor w = Tensor::zeros(DType::F32, {5, 7});
  Tensor y = Tensor::zeros(DType::F32, {2, 3, 7});
  runner.step("matmul").run({&x, &w}, {&y});
  EXPECT_EQ(runner.counters.flops, 2u * 6 * 5 * 7);
}

TEST_P(Matmul, RefusesShapesThatDoNotFit) {
  Tensor x = Tensor::zeros(DType::F32, {2, 3});
  Tensor w = Tensor::zeros(DType::F32, {4, 5});
  Tensor y = Tensor::zeros(DType::F32, {2, 5});
  EXPECT_EQ(runner.step("matmul").tryRun({&x, &w}, {&y}).message(),
            "matmul: operands [2, 3] and [4, 5] do not give [2, 5]");
}

MOE_ON_ALL_MACHINES(Matmul);

} // namespace
