//===- ReduceTest.cpp - reduce, arg_reduce, cumsum, top_k -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>
#include <numeric>

using namespace moe;
using namespace moe::test;

namespace {

class Reduce : public KernelTest {};

double step(const std::string &kind, double a, double b) {
  if (kind == "max")
    return std::fmax(a, b);
  if (kind == "min")
    return std::fmin(a, b);
  return kind == "prod" ? a * b : a + b;
}

TEST_P(Reduce, AxesKindsAndTypes) {
  for (DType dtype :
       {DType::F32, DType::F64, DType::BF16, DType::I64, DType::I32, DType::U8})
    for (std::string kind : {"sum", "mean", "max", "min", "prod"})
      for (std::vector<int64_t> axes : {std::vector<int64_t>{},
                                        {0},
                                        {1},
                                        {2},
                                        {0, 1},
                                        {1, 2},
                                        {0, 2},
                                        {0, 1, 2}})
        for (int keep : {0, 1}) {
          Tensor x = Tensor::random(dtype, {3, 5, 70}, rng, 0.5f);
          if (kind == "prod" && !isFloat(dtype))
            for (int64_t i = 0; i < x.size(); ++i)
              x.set(i, 1 + (i % 97 == 0));
          std::vector<int64_t> dims, outDims;
          int64_t count = 1;
          for (int64_t d = 0; d < 3; ++d) {
            bool isReduced =
                std::find(axes.begin(), axes.end(), d) != axes.end();
            dims.push_back(isReduced ? 1 : x.view.dims[d]);
            count *= isReduced ? x.view.dims[d] : 1;
            if (keep || !isReduced)
              outDims.push_back(dims.back());
          }
          Tensor sum = Tensor::zeros(DType::F64, dims);
          std::vector<bool> begun(sum.size(), false);
          for (int64_t i = 0; i < x.size(); ++i) {
            int64_t at[3] = {i / 350, i / 70 % 5, i % 70}, to = 0;
            for (int d = 0; d < 3; ++d)
              to = to * dims[d] + (dims[d] == 1 ? 0 : at[d]);
            sum.set(to, begun[to] ? step(kind, sum.at(to), x.at(i)) : x.at(i));
            begun[to] = true;
          }
          if (kind == "mean")
            for (int64_t i = 0; i < sum.size(); ++i)
              sum.set(i,
                      isFloat(dtype)
                          ? sum.at(i) / static_cast<double>(count)
                          : std::trunc(sum.at(i) / static_cast<double>(count)));
          Tensor y = Tensor::zeros(dtype, outDims), expected = y;
          for (int64_t i = 0; i < sum.size(); ++i)
            expected.set(
                i, dtype == DType::U8
                       ? static_cast<uint8_t>(static_cast<uint64_t>(sum.at(i)))
                       : sum.at(i));
          SCOPED_TRACE(kind + " " + std::string(dtypeName(dtype)));
          double rtol = dtype == DType::BF16 ? 1e-2 : 1e-6;
          for (const Tensor &from : {x, x.strided({1, 2, 0})}) {
            runner.step("reduce").with("kind", kind.c_str());
            runner.withInts("axes", axes).with("keepdims", keep);
            runner.run({&from}, {&y});
            expectClose(y, expected, rtol, rtol);
          }
        }
}

TEST_P(Reduce, NothingToReduce) {
  Tensor x = Tensor::zeros(DType::F32, {2, 0}),
         y = Tensor::zeros(DType::F32, {2});
  auto result = [&](const char *kind) {
    runner.step("reduce").with("kind", kind).withInts("axes", {1});
    runner.with("keepdims", 0).run({&x}, {&y});
    return y.at(1);
  };
  EXPECT_EQ(result("sum"), 0);
  EXPECT_EQ(result("prod"), 1);
  EXPECT_EQ(result("max"), -INFINITY);
  EXPECT_EQ(result("min"), INFINITY);
  EXPECT_TRUE(std::isnan(result("mean")));
}

TEST_P(Reduce, NotANumberWins) {
  Tensor x = Tensor::f32({2, 3}, {1, NAN, 2, 5, 4, NAN});
  Tensor y = Tensor::zeros(DType::F32, {2});
  for (const char *kind : {"max", "min"}) {
    runner.step("reduce").with("kind", kind).withInts("axes", {1});
    runner.with("keepdims", 0).run({&x}, {&y});
    EXPECT_TRUE(std::isnan(y.at(0)) && std::isnan(y.at(1)));
  }
}

TEST_P(Reduce, ArgReduce) {
  Tensor x = Tensor::random(DType::I32, {4, 30, 6}, rng);
  for (std::string kind : {"max", "min"})
    for (int last : {0, 1}) {
      Tensor y = Tensor::zeros(DType::I64, {4, 1, 6});
      runner.step("arg_reduce").with("kind", kind.c_str()).with("axis", 1);
      runner.with("keepdims", 1).with("select_last", last).run({&x}, {&y});
      for (int64_t i = 0; i < 24; ++i) {
        int64_t best = 0;
        auto at = [&](int64_t j) {
          return x.at((i / 6 * 30 + j) * 6 + i % 6) * (kind == "max" ? 1 : -1);
        };
        for (int64_t j = 1; j < 30; ++j)
          if (at(j) > at(best) || (last && at(j) == at(best)))
            best = j;
        EXPECT_EQ(y.at(i), best);
      }
    }
}

TEST_P(Reduce, Cumsum) {
  for (DType dtype : {DType::F32, DType::I64})
    for (int exclusive : {0, 1})
      for (int reverse : {0, 1}) {
        Tensor x = Tensor::random(dtype, {3, 11, 2}, rng);
        Tensor y = Tensor::zeros(dtype, {3, 11, 2}), expected = y;
        runner.step("cumsum").with("axis", 1).with("exclusive", exclusive);
        runner.with("reverse", reverse).run({&x}, {&y});
        for (int64_t i = 0; i < x.size(); ++i) {
          int64_t j = i / 2 % 11;
          double sum = 0;
          for (int64_t n = 0; n < 11; ++n) {
            bool isBefore = reverse ? n > j : n < j;
            if (isBefore || (n == j && !exclusive))
              sum += x.at(i + (n - j) * 2);
          }
          expected.set(i, sum);
        }
        expectClose(y, expected, 1e-6, 1e-6);
      }
}

TEST_P(Reduce, TopK) {
  for (DType dtype : {DType::F32, DType::I64, DType::F16})
    for (int largest : {0, 1})
      for (int64_t k : {0, 1, 4, 20}) {
        Tensor x = Tensor::random(dtype, {3, 20, 2}, rng);
        Tensor values = Tensor::zeros(dtype, {3, k, 2});
        Tensor indices = Tensor::zeros(DType::I64, {3, k, 2});
        runner.step("top_k").with("axis", 1).with("largest", largest);
        runner.run({&x}, {&values, &indices});
        for (int64_t row = 0; row < 6; ++row) {
          std::vector<int64_t> order(20);
          std::iota(order.begin(), order.end(), 0);
          auto at = [&](int64_t j) {
            return x.at((row / 2 * 20 + j) * 2 + row % 2);
          };
          std::stable_sort(order.begin(), order.end(),
                           [&](int64_t a, int64_t b) {
                             return largest ? at(a) > at(b) : at(a) < at(b);
                           });
          for (int64_t j = 0; j < k; ++j) {
            int64_t i = (row / 2 * k + j) * 2 + row % 2;
            EXPECT_EQ(indices.at(i), order[j]);
            EXPECT_EQ(values.at(i), at(order[j]));
          }
        }
      }
}

TEST_P(Reduce, TopKLearnsItsSize) {
  Tensor x = Tensor::f32({2, 4}, {1, 9, 3, 7, 4, 8, 2, 6});
  Tensor k = Tensor::i64({1}, {2});
  Tensor values = Tensor::zeros(DType::F32, {2, 4});
  Tensor indices = Tensor::zeros(DType::I64, {2, 4});
  runner.step("top_k").with("axis", 1).learning({4});
  runner.run({&x, &k}, {&values, &indices});
  EXPECT_EQ(runner.dataSizes, (std::vector<int64_t>{2}));
  // Row major by the learned size.
  std::vector<float> v = values.values<float>();
  EXPECT_EQ(std::vector<float>(v.begin(), v.begin() + 4),
            (std::vector<float>{9, 7, 8, 6}));
  k = Tensor::i64({1}, {5});
  runner.step("top_k").with("axis", 1).learning({4});
  EXPECT_EQ(runner.tryRun({&x, &k}, {&values, &indices}).message(),
            "top_k: k is 5, expected at most 4");
}

MOE_ON_ALL_MACHINES(Reduce);

} // namespace
