//===- RowsTest.cpp - softmax, norm, mix ----------------------------------===//
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

class Rows : public KernelTest {
protected:
  static double tolerance(DType dtype) {
    return dtype == DType::BF16  ? 8e-3
           : dtype == DType::F16 ? 1e-3
           : dtype == DType::F64 ? 1e-6
                                 : 3e-6;
  }
};

TEST_P(Rows, Softmax) {
  for (DType dtype : {DType::F32, DType::F64, DType::F16, DType::BF16})
    for (int64_t n : {1, 3, 8, 31, 100})
      for (int axis : {0, 1, 2})
        for (int log : {0, 1}) {
          std::vector<int64_t> dims = {4, 5, 6};
          dims[axis] = n;
          Tensor x = Tensor::random(dtype, dims, rng, 3);
          Tensor y = Tensor::zeros(dtype, dims);
          Tensor expected = Tensor::zeros(DType::F64, dims);
          runner.step("softmax").with("axis", axis).with("log", log);
          runner.run({&x}, {&y});
          int64_t stride = expected.view.strides[axis];
          for (int64_t i = 0; i < x.size(); ++i) {
            int64_t first = i - i / stride % n * stride;
            double sum = 0;
            for (int64_t j = 0; j < n; ++j)
              sum += std::exp(x.at(first + j * stride));
            double p = std::exp(x.at(i)) / sum;
            expected.set(i, log ? std::log(p) : p);
          }
          expectClose(y, expected, tolerance(dtype), tolerance(dtype));
        }
}

TEST_P(Rows, SoftmaxOfHiddenElements) {
  Tensor x = Tensor::f32({2, 3}, {-INFINITY, 1, 1, 1000, -INFINITY, -1000});
  Tensor y = Tensor::zeros(DType::F32, {2, 3});
  runner.step("softmax").with("axis", -1).run({&x}, {&y});
  EXPECT_EQ(y.values<float>(), (std::vector<float>{0, 0.5f, 0.5f, 1, 0, 0}));
}

TEST_P(Rows, Norm) {
  for (const char *kind : {"layer", "rms"})
    for (DType dtype : {DType::F32, DType::F64, DType::F16, DType::BF16})
      for (int64_t n : {1, 7, 112, 1000}) {
        Tensor x = Tensor::random(dtype, {3, 2, n}, rng, 4);
        Tensor scale = Tensor::random(dtype, {n}, rng);
        Tensor bias = Tensor::random(DType::F32, {1, n}, rng);
        Tensor y = Tensor::zeros(dtype, {3, 2, n});
        Tensor expected = Tensor::zeros(DType::F64, {3, 2, n});
        runner.step("norm").with("kind", kind).with("axis", 2);
        runner.with("epsilon", 1e-3).run({&x, &scale, &bias}, {&y});
        for (int64_t row = 0; row < 6; ++row) {
          double mean = 0, square = 0;
          for (int64_t i = 0; i < n; ++i)
            mean += x.at(row * n + i) / static_cast<double>(n);
          if (std::string(kind) == "rms")
            mean = 0;
          for (int64_t i = 0; i < n; ++i)
            square +=
                std::pow(x.at(row * n + i) - mean, 2) / static_cast<double>(n);
          for (int64_t i = 0; i < n; ++i)
            expected.set(row * n + i, (x.at(row * n + i) - mean) /
                                              std::sqrt(square + 1e-3) *
                                              scale.at(i) +
                                          bias.at(i));
        }
        expectClose(y, expected, tolerance(dtype), 4 * tolerance(dtype));
      }
}

TEST_P(Rows, NormOverSeveralAxesWithoutScale) {
  Tensor x = Tensor::random(DType::F32, {2, 3, 4}, rng);
  Tensor absent = Tensor::absent();
  Tensor scale = Tensor::random(DType::F32, {3, 1}, rng);
  Tensor y = Tensor::zeros(DType::F32, {2, 3, 4}), z = y;
  runner.step("norm").with("kind", "rms").with("axis", 1).with("epsilon", 0.0);
  runner.run({&x, &absent, &absent}, {&y});
  runner.step("norm").with("kind", "rms").with("axis", 1).with("epsilon", 0.0);
  runner.run({&x, &scale}, {&z});
  for (int64_t b = 0; b < 2; ++b) {
    double square = 0;
    for (int64_t i = 0; i < 12; ++i)
      square += y.at(b * 12 + i) * y.at(b * 12 + i);
    EXPECT_NEAR(square, 12, 1e-4);
    for (int64_t i = 0; i < 12; ++i)
      EXPECT_NEAR(z.at(b * 12 + i), y.at(b * 12 + i) * scale.at(i / 4), 1e-5);
  }
}

TEST_P(Rows, Mix) {
  for (DType dtype : {DType::F32, DType::F16}) {
    Tensor a = Tensor::random(dtype, {2, 3, 21}, rng);
    Tensor b = Tensor::random(dtype, {2, 3, 21}, rng);
    Tensor two = Tensor::random(dtype, {2, 3, 2}, rng);
    Tensor one = Tensor::random(dtype, {2, 3, 1}, rng);
    Tensor y = Tensor::zeros(dtype, {2, 3, 21});
    auto expectMix = [&](auto expected) {
      for (int64_t i = 0; i < y.size(); ++i)
        EXPECT_NEAR(y.at(i), expected(i, i / 21), 2 * tolerance(dtype));
    };
    runner.step("mix").with("kind", "residual").run({&a, &b, &two}, {&y});
    expectMix([&](int64_t i, int64_t row) {
      double c = 1 / (1 + std::exp(two.at(2 * row + 1) - two.at(2 * row)));
      return a.at(i) * c + b.at(i) * (1 - c);
    });
    runner.step("mix").with("kind", "add").run({&a, &b}, {&y});
    expectMix([&](int64_t i, int64_t) { return a.at(i) + b.at(i); });
    runner.step("mix").with("kind", "sigmoid_gate").run({&a, &b, &one}, {&y});
    expectMix([&](int64_t i, int64_t row) {
      return a.at(i) + b.at(i) / (1 + std::exp(-one.at(row)));
    });
  }
}

MOE_ON_ALL_MACHINES(Rows);

} // namespace
