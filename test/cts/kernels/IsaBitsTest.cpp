//===- IsaBitsTest.cpp - Instruction sets that give the same bits ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// avx512 differs from avx2 in speed alone: its products have the same chains of
// additions in wider registers. (The portable set has no fused multiply-add.)
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

using namespace moe;
using namespace moe::test;

namespace {

class IsaBits : public testing::Test {
protected:
  void SetUp() override {
    for (const char *name : {"avx2", "avx512"})
      if (!cpu::findIsa(name) || !cpu::findIsa(name)->isSupported())
        GTEST_SKIP() << "this machine lacks " << name;
  }

  /// Runs what `describe` says on both instruction sets and compares.
  template <typename Describe>
  void expectSame(Describe describe, const std::vector<const Tensor *> &inputs,
                  const Tensor &like) {
    Tensor narrow = like, wide = like;
    KernelRunner avx2({"avx2", 2}), avx512({"avx512", 2});
    describe(avx2);
    avx2.run(inputs, {&narrow});
    describe(avx512);
    avx512.run(inputs, {&wide});
    expectEqual(wide, narrow);
  }

  std::mt19937 rng{3};
};

TEST_F(IsaBits, Products) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16})
    for (int64_t rows : {1, 2, 5, 7, 12, 13, 40, 100}) {
      Tensor x = Tensor::random(DType::F32, {rows, 515}, rng);
      Tensor w = Tensor::random(dtype, {515, 210}, rng).packed();
      expectSame([](KernelRunner &runner) { runner.step("matmul"); }, {&x, &w},
                 Tensor::zeros(DType::F32, {rows, 210}));
    }
}

TEST_F(IsaBits, Experts) {
  Tensor x = Tensor::random(DType::F32, {31, 40}, rng);
  Tensor counts = Tensor::i32({3}, {1, 4, 26}), absent = Tensor::absent();
  Tensor w1 = Tensor::random(DType::F16, {3, 40, 88}, rng, 0.2f).packed();
  Tensor w2 = Tensor::random(DType::F16, {3, 88, 24}, rng, 0.2f).packed();
  Tensor w3 = Tensor::random(DType::F16, {3, 40, 88}, rng, 0.2f).packed();
  expectSame(
      [](KernelRunner &runner) {
        runner.step("experts").with("activation", "silu");
        runner.with("gating", "split");
      },
      {&x, &counts, &w1, &absent, &w2, &absent, &w3},
      Tensor::zeros(DType::F32, {31, 24}));
}

TEST_F(IsaBits, SumsOverRows) {
  Tensor x = Tensor::random(DType::F32, {9, 77}, rng);
  Tensor scale = Tensor::random(DType::F32, {77}, rng);
  expectSame([](KernelRunner &r) { r.step("softmax").with("axis", 1); }, {&x},
             x);
  expectSame(
      [](KernelRunner &runner) {
        runner.step("norm").with("kind", "layer").with("axis", 1);
        runner.with("epsilon", 1e-5);
      },
      {&x, &scale}, x);
  Tensor q = Tensor::random(DType::F32, {1, 2, 5, 36}, rng);
  Tensor k = Tensor::random(DType::F32, {1, 2, 130, 36}, rng);
  expectSame([](KernelRunner &r) { r.step("attention").with("scale", 0.2); },
             {&q, &k, &k}, q);
}

} // namespace
