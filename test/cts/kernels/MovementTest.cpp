//===- MovementTest.cpp - slice, concat, transpose, broadcast, append -----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <numeric>

using namespace moe;
using namespace moe::test;

namespace {

class Movement : public KernelTest {};

/// The coordinates of element i.
std::vector<int64_t> indexOf(const TensorView &view, int64_t i) {
  std::vector<int64_t> index(view.rank);
  for (int d = view.rank - 1; d >= 0; --d) {
    index[d] = i % view.dims[d];
    i /= view.dims[d];
  }
  return index;
}
int64_t linear(const TensorView &view, const std::vector<int64_t> &index) {
  int64_t i = 0;
  for (int d = 0; d < view.rank; ++d)
    i = i * view.dims[d] + index[d];
  return i;
}

TEST_P(Movement, Transpose) {
  std::vector<int64_t> permutation = {0, 1, 2, 3};
  for (DType dtype : {DType::F32, DType::I64, DType::F16, DType::Bool}) {
    Tensor x = Tensor::random(dtype, {3, 20, 1, 37}, rng);
    do {
      std::vector<int64_t> dims;
      for (int64_t p : permutation)
        dims.push_back(x.view.dims[p]);
      Tensor y = Tensor::zeros(dtype, dims);
      runner.step("transpose")
          .withInts("permutation", permutation)
          .run({&x}, {&y});
      for (int64_t i = 0; i < y.size(); ++i) {
        std::vector<int64_t> to = indexOf(y.view, i), from(4);
        for (int d = 0; d < 4; ++d)
          from[permutation[d]] = to[d];
        ASSERT_EQ(y.at(i), x.at(linear(x.view, from)));
      }
    } while (std::next_permutation(permutation.begin(), permutation.end()));
  }
}

TEST_P(Movement, BigTranspose) {
  Tensor x = Tensor::random(DType::F32, {300, 513}, rng);
  Tensor y = Tensor::zeros(DType::F32, {513, 300});
  runner.step("transpose").withInts("permutation", {1, 0}).run({&x}, {&y});
  for (int64_t i = 0; i < 300; ++i)
    for (int64_t j = 0; j < 513; ++j)
      ASSERT_EQ(y.at(j * 300 + i), x.at(i * 513 + j));
}

TEST_P(Movement, SliceWithSteps) {
  Tensor x = Tensor::random(DType::F32, {10, 9, 8}, rng);
  Tensor y = Tensor::zeros(DType::F32, {4, 3, 5});
  for (const Tensor &from : {x, x.strided({2, 0, 1})}) {
    runner.step("slice")
        .withExprs("starts", {1, 8, 2})
        .withInts("steps", {2, -4, 1})
        .run({&from}, {&y});
    for (int64_t i = 0; i < y.size(); ++i) {
      auto at = indexOf(y.view, i);
      EXPECT_EQ(y.at(i), x.at(linear(x.view, {1 + 2 * at[0], 8 - 4 * at[1],
                                              2 + at[2]})));
    }
  }
  EXPECT_EQ(runner.step("slice")
                .withExprs("starts", {5, 8, 2})
                .withInts("steps", {2, -4, 1})
                .tryRun({&x}, {&y})
                .message(),
            "slice: dimension 0 of [10, 9, 8] has no 4 elements from 5 in "
            "steps of 2");
  Tensor none = Tensor::zeros(DType::F32, {0, 9, 8});
  runner.step("slice")
      .withExprs("starts", {10, 0, 0})
      .withInts("steps", {1, 1, 1})
      .run({&x}, {&none});
}

TEST_P(Movement, Concat) {
  Tensor a = Tensor::random(DType::I32, {3, 2, 5}, rng);
  Tensor b = Tensor::random(DType::I32, {3, 0, 5}, rng);
  Tensor c = Tensor::random(DType::I32, {3, 4, 5}, rng).strided({1, 0, 2});
  Tensor y = Tensor::zeros(DType::I32, {3, 6, 5});
  runner.step("concat").with("axis", 1).run({&a, &b, &c}, {&y});
  for (int64_t i = 0; i < y.size(); ++i) {
    auto at = indexOf(y.view, i);
    bool isFirst = at[1] < 2;
    const Tensor &from = isFirst ? a : c;
    at[1] -= isFirst ? 0 : 2;
    EXPECT_EQ(y.at(i), from.at(linear(from.view, at)));
  }
  Tensor wrong = Tensor::zeros(DType::I32, {3, 7, 5});
  EXPECT_EQ(runner.step("concat")
                .with("axis", 1)
                .tryRun({&a, &c}, {&wrong})
                .message(),
            "concat: operands have 6 elements along axis 1, expected 7");
}

TEST_P(Movement, Broadcast) {
  Tensor x = Tensor::random(DType::F16, {7, 1, 6}, rng);
  Tensor y = Tensor::zeros(DType::F16, {2, 7, 5, 6});
  runner.step("broadcast").run({&x}, {&y});
  for (int64_t i = 0; i < y.size(); ++i) {
    auto at = indexOf(y.view, i);
    EXPECT_EQ(y.at(i), x.at(at[1] * 6 + at[3]));
  }
}

TEST_P(Movement, CopyOfStridedViews) {
  Tensor x = Tensor::random(DType::F64, {6, 5, 4}, rng).strided({1, 2, 0});
  Tensor y = Tensor::zeros(DType::F64, {6, 5, 4});
  runner.step("copy").run({&x}, {&y});
  expectClose(y, x, 0);
}

TEST_P(Movement, CacheAppend) {
  // [B, KV, T, D] of length 3 in a memory for 10 entries; 2 are appended.
  Tensor whole = Tensor::random(DType::F32, {2, 3, 10, 4}, rng);
  Tensor past = whole, full = whole;
  past.view.dims[2] = 3;
  full.view.dims[2] = 5;
  Tensor added = Tensor::random(DType::F32, {2, 3, 2, 4}, rng);
  auto check = [&](int64_t length) {
    for (int64_t i = 0; i < whole.size(); ++i) {
      auto at = indexOf(whole.view, i);
      if (at[2] < 3 || at[2] >= length)
        continue;
      EXPECT_EQ(full.at(linear(full.view, at)),
                added.at(((at[0] * 3 + at[1]) * 2 + at[2] - 3) * 4 + at[3]));
    }
  };
  // In place: the past is in the memory of the result and stays there.
  Tensor inPlace = Tensor::absent();
  inPlace.view = full.view;
  inPlace.view.dims[2] = 3;
  runner.step("cache_append").with("axis", 2).with("state", "k");
  runner.run({&inPlace, &added}, {&full});
  check(5);
  // From other memory: the past is copied too.
  runner.step("cache_append").with("axis", 2).with("state", "k");
  runner.run({&past, &added}, {&full});
  check(5);
  for (int64_t i = 0; i < past.size(); ++i) {
    auto at = indexOf(past.view, i);
    EXPECT_EQ(full.at(linear(full.view, at)), past.at(i));
  }
}

TEST_P(Movement, CacheAppendBehindLengths) {
  // Two rows of a past of 3 entries, of which 1 and 3 count; 2 are appended.
  Tensor past = Tensor::random(DType::F32, {2, 1, 3, 4}, rng);
  Tensor added = Tensor::random(DType::F32, {2, 1, 2, 4}, rng);
  Tensor lengths = Tensor::i64({2}, {1, 3});
  Tensor full = Tensor::zeros(DType::F32, {2, 1, 5, 4});
  runner.step("cache_append").with("axis", 2).with("state", "k");
  runner.run({&past, &added, &lengths}, {&full});
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0; t < (b == 0 ? 3 : 5); ++t)
      for (int64_t d = 0; d < 4; ++d) {
        int64_t length = b == 0 ? 1 : 3;
        double expected = t < length ? past.at((b * 3 + t) * 4 + d)
                                     : added.at((b * 2 + t - length) * 4 + d);
        EXPECT_EQ(full.at((b * 5 + t) * 4 + d), expected);
      }
}

MOE_ON_ALL_MACHINES(Movement);

} // namespace
