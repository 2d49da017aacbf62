//===- GatherCodesTest.cpp - Rows of tables of integers -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// gather_codes gives the bytes that gather gives for the same table in floats.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

using namespace moe;
using namespace moe::test;

namespace {

constexpr int64_t kSize = 37; // packed rows do not end with a byte

/// How a table [5, 3, kSize] is made.
struct Form {
  int64_t bits = 4, block = 16;
  DType type = DType::F32;
  bool isPacked = true, hasZeros = true;

  int64_t numBlocks() const {
    return block == 0 ? 1 : (kSize + block - 1) / block;
  }
};

class GatherCodes : public KernelTest {
protected:
  /// Integers of `bits` bits in rows of `count`.
  std::vector<uint8_t> integers(int64_t rows, int64_t count, int64_t bits) {
    std::uniform_int_distribution<int> any(0, (1 << bits) - 1);
    std::vector<uint8_t> result(rows * count);
    for (uint8_t &integer : result)
      integer = static_cast<uint8_t>(any(rng));
    return result;
  }
  /// [5, 3, count] of them, or packed, low bits first.
  static Tensor stored(const std::vector<uint8_t> &integers, int64_t count,
                       const Form &form) {
    int64_t each = form.isPacked ? 8 / form.bits : 1;
    int64_t bytes = (count + each - 1) / each;
    Tensor result = Tensor::zeros(DType::U8, {5, 3, bytes});
    for (size_t i = 0; i < integers.size(); ++i) {
      auto row = static_cast<int64_t>(i) / count;
      auto column = static_cast<int64_t>(i) % count;
      auto &byte = result.bytes[row * bytes + column / each];
      byte |=
          static_cast<std::byte>(integers[i] << (column % each * form.bits));
    }
    return result;
  }
  void make(const Form &form) {
    int64_t blocks = form.numBlocks(), block = form.block ? form.block : kSize;
    std::vector<uint8_t> q = integers(15, kSize, form.bits);
    std::vector<uint8_t> z = integers(15, blocks, form.bits);
    codes = stored(q, kSize, form);
    zeros = form.hasZeros ? stored(z, blocks, form) : Tensor::absent();
    scales = Tensor::random(form.type, {5, 3, blocks}, rng);
    table = Tensor::zeros(form.type, {5, 3, kSize});
    for (int64_t i = 0; i < table.size(); ++i) {
      int64_t at = i / kSize * blocks + i % kSize / block;
      int zero = form.hasZeros ? z[at] : 1 << (form.bits - 1);
      table.set(i, static_cast<float>(q[i] - zero) *
                       static_cast<float>(scales.at(at)));
    }
    runner.step("gather_codes").with("size", kSize);
    runner.with("bits", form.bits).with("block", form.block);
  }
  /// Of both kernels, along an axis; `dims` are those of the result.
  void compare(const Form &form, int64_t axis, const Tensor &indices,
               std::vector<int64_t> dims) {
    make(form);
    Tensor found = Tensor::zeros(form.type, dims), expected = found;
    runner.with("axis", axis)
        .run({&codes, &indices, &scales, &zeros}, {&found});
    runner.step("gather")
        .with("axis", axis)
        .run({&table, &indices}, {&expected});
    EXPECT_EQ(found.bytes, expected.bytes)
        << form.bits << " bits, blocks of " << form.block << ", axis " << axis;
  }

  Tensor codes, scales, zeros, table;
};

TEST_P(GatherCodes, IsGatherOfTheTableInFloats) {
  Tensor rows = Tensor::i64({2, 3}, {4, 0, -1, 2, -5, 2});
  for (int64_t bits : {2, 4, 8})
    for (int64_t block : {0, 16, 32, 5})
      for (DType type : {DType::F32, DType::F16, DType::BF16})
        for (bool isPacked : {true, false})
          for (bool hasZeros : {true, false})
            compare({bits, block, type, isPacked, hasZeros}, 0, rows,
                    {2, 3, 3, kSize});
}

TEST_P(GatherCodes, TakesIndicesOfEveryAxis) {
  Tensor some = Tensor::i32({4}, {0, 2, -1, -3}), scalar = Tensor::i64({}, {1});
  Tensor columns = Tensor::i32({3}, {36, -37, 17});
  compare({}, 1, some, {5, 4, kSize});
  compare({}, -2, scalar, {5, kSize});
  compare({}, 2, columns, {5, 3, 3});
  compare({8, 0, DType::F16}, -1, columns, {5, 3, 3});
}

TEST_P(GatherCodes, RefusesIndicesBeyondTheTable) {
  make({});
  Tensor bad = Tensor::i32({1}, {5}), y = Tensor::zeros(DType::F32, {1, 3, 37});
  EXPECT_EQ(runner.with("axis", 0)
                .tryRun({&codes, &bad, &scales, &zeros}, {&y})
                .message(),
            "gather_codes: index 5 at position 0 is out of range for a "
            "dimension of size 5");
}

TEST_P(GatherCodes, RefusesOperandsThatDoNotFit) {
  Tensor at = Tensor::i32({1}, {0}), y = Tensor::zeros(DType::F32, {1, 3, 37});
  auto errorWith = [&](auto change) {
    make({});
    runner.with("axis", 0);
    change();
    Status status = runner.tryRun({&codes, &at, &scales, &zeros}, {&y});
    EXPECT_EQ(status.code(), StatusCode::BadPlan) << status.message();
  };
  errorWith([&] { codes = Tensor::zeros(DType::U8, {5, 3, 18}); });
  errorWith([&] { codes = Tensor::zeros(DType::I8, {5, 3, 19}); });
  errorWith([&] { scales = Tensor::zeros(DType::F32, {5, 3, 2}); });
  errorWith([&] { scales = Tensor::zeros(DType::F32, {4, 3, 3}); });
  errorWith([&] { scales = Tensor::zeros(DType::F64, {5, 3, 3}); });
  errorWith([&] { zeros = Tensor::zeros(DType::U8, {5, 3, 1}); });
  errorWith([&] { zeros = Tensor::zeros(DType::U8, {5, 3}); });
  errorWith([&] { y = Tensor::zeros(DType::F32, {1, 3, 36}); });
  errorWith([&] { runner.with("bits", 3); });
  errorWith([&] { runner.with("size", int64_t(1) << 62); });
  errorWith([&] { runner.with("block", -16); });
  errorWith([&] { runner.with("axis", 3); });
}

MOE_ON_ALL_MACHINES(GatherCodes);

} // namespace
