//===- IndexTest.cpp - gather, scatter ------------------------------------===//
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

class Index : public KernelTest {
protected:
  /// Indices in [-size, size).
  Tensor indices(DType dtype, std::vector<int64_t> dims, int64_t size) {
    Tensor result = Tensor::zeros(dtype, std::move(dims));
    std::uniform_int_distribution<int64_t> any(-size, size - 1);
    for (int64_t i = 0; i < result.size(); ++i)
      result.set(i, static_cast<double>(any(rng)));
    return result;
  }
  static int64_t normal(double index, int64_t size) {
    auto i = static_cast<int64_t>(index);
    return i < 0 ? i + size : i;
  }
};

TEST_P(Index, Gather) {
  for (DType dtype : {DType::F32, DType::I64, DType::F16, DType::Bool}) {
    Tensor data = Tensor::random(dtype, {4, 6, 5}, rng);
    Tensor at = indices(DType::I64, {2, 3}, 6);
    Tensor y = Tensor::zeros(dtype, {4, 2, 3, 5});
    runner.step("gather").with("axis", 1).run({&data, &at}, {&y});
    for (int64_t i = 0; i < y.size(); ++i) {
      int64_t row = i / 30, pick = i / 5 % 6, t = i % 5;
      EXPECT_EQ(y.at(i), data.at((row * 6 + normal(at.at(pick), 6)) * 5 + t));
    }
  }
}

TEST_P(Index, GatherOfAScalarIndexAndOfBatches) {
  Tensor data = Tensor::random(DType::F32, {3, 7, 4}, rng);
  Tensor scalar = Tensor::i32({}, {-1});
  Tensor y = Tensor::zeros(DType::F32, {7, 4});
  runner.step("gather").with("axis", 0).run({&data, &scalar}, {&y});
  for (int64_t i = 0; i < 28; ++i)
    EXPECT_EQ(y.at(i), data.at(56 + i));
  // result[b, j, t] = data[b, indices[b, j], t]
  Tensor at = indices(DType::I32, {3, 5}, 7);
  Tensor z = Tensor::zeros(DType::F32, {3, 5, 4});
  runner.step("gather").with("axis", 1).with("batch_dims", 1);
  runner.run({&data, &at}, {&z});
  for (int64_t i = 0; i < z.size(); ++i)
    EXPECT_EQ(z.at(i),
              data.at((i / 20 * 7 + normal(at.at(i / 4), 7)) * 4 + i % 4));
  Tensor bad = Tensor::i32({1}, {7}),
         row = Tensor::zeros(DType::F32, {3, 1, 4});
  EXPECT_EQ(runner.step("gather")
                .with("axis", 1)
                .tryRun({&data, &bad}, {&row})
                .message(),
            "gather: index 7 at position 0 is out of range for a dimension of "
            "size 7");
}

TEST_P(Index, GatherNd) {
  Tensor data = Tensor::random(DType::F32, {3, 4, 5}, rng);
  Tensor at = Tensor::i64({2, 2}, {2, -1, 0, 3});
  Tensor y = Tensor::zeros(DType::F32, {2, 5});
  runner.step("gather_nd").run({&data, &at}, {&y});
  for (int64_t t = 0; t < 5; ++t) {
    EXPECT_EQ(y.at(t), data.at((2 * 4 + 3) * 5 + t));
    EXPECT_EQ(y.at(5 + t), data.at(3 * 5 + t));
  }
  // One batch dimension, whole tuples.
  Tensor inBatch = Tensor::i64({3, 1, 2}, {0, 1, 3, 4, -1, -5});
  Tensor z = Tensor::zeros(DType::F32, {3, 1});
  runner.step("gather_nd").with("batch_dims", 1).run({&data, &inBatch}, {&z});
  EXPECT_EQ(z.at(0), data.at(1));
  EXPECT_EQ(z.at(1), data.at(20 + 19));
  EXPECT_EQ(z.at(2), data.at(40 + 15));
  Tensor bad = Tensor::i64({2, 2}, {2, -1, 3, 3});
  EXPECT_EQ(runner.step("gather_nd").tryRun({&data, &bad}, {&y}).message(),
            "gather_nd: index 3 at position 2 is out of range for a dimension "
            "of size 3");
}

TEST_P(Index, GatherElements) {
  Tensor data = Tensor::random(DType::F64, {4, 6}, rng);
  Tensor at = indices(DType::I64, {3, 9}, 6);
  Tensor y = Tensor::zeros(DType::F64, {3, 9});
  runner.step("gather_elements").with("axis", 1).run({&data, &at}, {&y});
  for (int64_t i = 0; i < 27; ++i)
    EXPECT_EQ(y.at(i), data.at(i / 9 * 6 + normal(at.at(i), 6)));
}

double combine(const std::string &kind, double a, double b) {
  return kind == "none"  ? b
         : kind == "add" ? a + b
         : kind == "mul" ? a * b
         : kind == "max" ? std::fmax(a, b)
                         : std::fmin(a, b);
}

TEST_P(Index, ScatterElements) {
  for (DType dtype : {DType::F32, DType::I32, DType::I8})
    for (std::string kind : {"none", "add", "mul", "max", "min"}) {
      Tensor data = Tensor::random(dtype, {5, 4}, rng);
      Tensor at = indices(DType::I64, {3, 4}, 5);
      Tensor updates = Tensor::random(dtype, {3, 4}, rng);
      Tensor y = Tensor::zeros(dtype, {5, 4}), expected = data.as(DType::F64);
      runner.step("scatter_elements").with("axis", 0);
      runner.with("kind", kind.c_str()).run({&data, &at, &updates}, {&y});
      for (int64_t i = 0; i < 12; ++i) {
        int64_t to = normal(at.at(i), 5) * 4 + i % 4;
        double value = combine(kind, expected.at(to), updates.at(i));
        expected.set(to, dtype == DType::I8
                             ? static_cast<int8_t>(static_cast<int>(value))
                             : value);
      }
      expectClose(y, expected, 1e-6, 1e-6);
    }
}

TEST_P(Index, ScatterNd) {
  for (std::string kind : {"none", "add", "mul", "max", "min"}) {
    Tensor data = Tensor::random(DType::F32, {3, 4, 2}, rng);
    Tensor at = Tensor::i64({3, 2}, {1, -1, 0, 2, 1, 3}); // one place twice
    Tensor updates = Tensor::random(DType::F32, {3, 2}, rng);
    Tensor y = Tensor::zeros(DType::F32, {3, 4, 2});
    Tensor expected = data.as(DType::F64);
    runner.step("scatter_nd").with("kind", kind.c_str());
    runner.run({&data, &at, &updates}, {&y});
    const int64_t places[] = {7, 2, 7};
    for (int64_t i = 0; i < 6; ++i) {
      int64_t to = places[i / 2] * 2 + i % 2;
      expected.set(to, combine(kind, expected.at(to), updates.at(i)));
    }
    expectClose(y, expected, 1e-6, 1e-6);
  }
}

MOE_ON_ALL_MACHINES(Index);

} // namespace
