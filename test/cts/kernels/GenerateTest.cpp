//===- GenerateTest.cpp - shape, iota, range, one_hot, trilu, pad ... -----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

using namespace moe;
using namespace moe::test;

namespace {

class Generate : public KernelTest {};

TEST_P(Generate, ShapeAndIota) {
  Tensor y = Tensor::zeros(DType::I64, {3});
  runner.step("shape").withExprs("dims", {4, 0, 77}).run({}, {&y});
  EXPECT_EQ(y.values<int64_t>(), (std::vector<int64_t>{4, 0, 77}));
  Tensor scalar = Tensor::zeros(DType::I32, {});
  runner.step("shape").withExprs("dims", {9}).run({}, {&scalar});
  EXPECT_EQ(scalar.at(0), 9);
  runner.step("iota").withExprs("start", {5}).with("step", -3).run({}, {&y});
  EXPECT_EQ(y.values<int64_t>(), (std::vector<int64_t>{5, 2, -1}));
  Tensor f = Tensor::zeros(DType::F32, {2});
  runner.step("iota").withExprs("start", {7}).run({}, {&f});
  EXPECT_EQ(f.values<float>(), (std::vector<float>{7, 8}));
}

TEST_P(Generate, RangeLearnsItsSize) {
  auto range = [&](const Tensor &start, const Tensor &limit,
                   const Tensor &delta) {
    Tensor y = Tensor::zeros(start.view.dtype, {8});
    runner.step("range").learning({8});
    runner.run({&start, &limit, &delta}, {&y});
    std::vector<double> values;
    for (int64_t i = 0; i < runner.dataSizes[0]; ++i)
      values.push_back(y.at(i));
    return values;
  };
  auto i = [](int64_t v) { return Tensor::i64({}, {v}); };
  auto f = [](float v) { return Tensor::f32({1}, {v}); };
  using V = std::vector<double>;
  EXPECT_EQ(range(i(2), i(11), i(3)), (V{2, 5, 8}));
  EXPECT_EQ(range(i(5), i(-2), i(-3)), (V{5, 2, -1}));
  EXPECT_EQ(range(i(5), i(5), i(1)), (V{}));
  EXPECT_EQ(range(f(0), f(1), f(0.25f)), (V{0, 0.25, 0.5, 0.75}));
  Tensor y = Tensor::zeros(DType::I64, {8}), zero = i(0), ten = i(10),
         one = i(1);
  EXPECT_EQ(runner.step("range")
                .learning({8})
                .tryRun({&zero, &ten, &one}, {&y})
                .message(),
            "range: the bounds give 10 elements, expected at most 8");
  EXPECT_EQ(runner.step("range")
                .learning({8})
                .tryRun({&zero, &ten, &zero}, {&y})
                .message(),
            "range: the bounds give -1 elements, expected at most 8");
}

TEST_P(Generate, OneHot) {
  Tensor indices = Tensor::i64({2, 2}, {0, 2, -1, 9});
  Tensor values = Tensor::f32({2}, {-1, 5});
  for (int64_t axis : {0, 1, 2}) {
    std::vector<int64_t> dims = {2, 2};
    dims.insert(dims.begin() + axis, 3);
    Tensor y = Tensor::zeros(DType::F32, dims);
    runner.step("one_hot").with("axis", axis).run({&indices, &values}, {&y});
    const int64_t hot[] = {0, 2, 2, -1};
    int64_t inner = axis == 0 ? 4 : axis == 1 ? 2 : 1;
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t d = 0; d < 3; ++d)
        EXPECT_EQ(y.at((i / inner * 3 + d) * inner + i % inner),
                  d == hot[i] ? 5 : -1);
  }
  // A depth that is a value.
  Tensor depth = Tensor::i64({}, {2}), y = Tensor::zeros(DType::F32, {2, 2, 6});
  runner.step("one_hot").with("axis", 2).learning({6});
  runner.run({&indices, &values, &depth}, {&y});
  EXPECT_EQ(runner.dataSizes[0], 2);
  std::vector<float> v = y.values<float>();
  EXPECT_EQ(std::vector<float>(v.begin(), v.begin() + 8),
            (std::vector<float>{5, -1, -1, -1, -1, 5, -1, -1}));
}

TEST_P(Generate, Trilu) {
  for (int upper : {0, 1})
    for (int negate : {0, 1})
      for (int64_t diagonal : {-100, -2, 0, 1, 100}) {
        Tensor x = Tensor::random(DType::F32, {2, 5, 7}, rng);
        Tensor y = Tensor::zeros(DType::F32, {2, 5, 7});
        runner.step("trilu").with("upper", upper);
        runner.with("negate_diagonal", negate);
        runner.withExprs("diagonal", {diagonal}).run({&x}, {&y});
        int64_t k = negate ? -diagonal : diagonal;
        for (int64_t i = 0; i < x.size(); ++i) {
          int64_t distance = i % 7 - i / 7 % 5;
          bool isKept = upper ? distance >= k : distance <= k;
          EXPECT_EQ(y.at(i), isKept ? x.at(i) : 0);
        }
      }
}

TEST_P(Generate, NonZero) {
  Tensor x = Tensor::of<uint8_t>(DType::Bool, {2, 3}, {0, 1, 0, 1, 1, 0});
  Tensor y = Tensor::zeros(DType::I64, {2, 6});
  runner.step("non_zero").learning({6}).run({&x}, {&y});
  EXPECT_EQ(runner.dataSizes[0], 3);
  std::vector<int64_t> v = y.values<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(v.begin(), v.begin() + 6),
            (std::vector<int64_t>{0, 1, 1, 1, 0, 1}));
}

TEST_P(Generate, Pad) {
  Tensor x = Tensor::f32({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor y = Tensor::zeros(DType::F32, {3, 7});
  auto pad = [&](const char *mode, const Tensor &value) {
    runner.step("pad").with("mode", mode).withExprs("low", {1, 2});
    runner.run({&x, &value}, {&y});
    std::vector<float> v = y.values<float>();
    return std::vector<float>(v.begin() + 7, v.begin() + 14);
  };
  Tensor nine = Tensor::f32({}, {9}), absent = Tensor::absent();
  using V = std::vector<float>;
  EXPECT_EQ(pad("constant", nine), (V{9, 9, 1, 2, 3, 9, 9}));
  EXPECT_EQ(y.at(0), 9);
  EXPECT_EQ(pad("constant", absent), (V{0, 0, 1, 2, 3, 0, 0}));
  EXPECT_EQ(pad("edge", absent), (V{1, 1, 1, 2, 3, 3, 3}));
  EXPECT_EQ(pad("reflect", absent), (V{3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(pad("wrap", absent), (V{2, 3, 1, 2, 3, 1, 2}));
  EXPECT_EQ(y.at(0), 5);
}

MOE_ON_ALL_MACHINES(Generate);

} // namespace
