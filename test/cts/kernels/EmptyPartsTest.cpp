//===- EmptyPartsTest.cpp - Ranks that own no heads, columns or rows ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of more ranks than there are parts, some own nothing and run the same steps.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

using namespace moe;
using namespace moe::test;

namespace {

using EmptyParts = KernelTest;

TEST_P(EmptyParts, Matmul) {
  Tensor x = Tensor::random(DType::F32, {5, 8}, rng);
  for (bool isPacked : {false, true}) {
    auto weight = [&](std::vector<int64_t> dims) {
      Tensor w = Tensor::zeros(DType::F32, dims);
      return isPacked ? w.packed() : w;
    };
    // No columns, no rows.
    Tensor none = weight({8, 0}), y = Tensor::zeros(DType::F32, {5, 0});
    runner.step("matmul").run({&x, &none}, {&y});
    Tensor noRows = Tensor::zeros(DType::F32, {0, 8});
    Tensor w = weight({8, 7}), noResults = Tensor::zeros(DType::F32, {0, 7});
    runner.step("matmul").run({&noRows, &w}, {&noResults});
    // Nothing to add up: a partial sum of zeros.
    Tensor thin = Tensor::zeros(DType::F32, {5, 0}), noDepth = weight({0, 7});
    Tensor sum = Tensor::zeros(DType::F32, {5, 7});
    runner.step("matmul").run({&thin, &noDepth}, {&sum});
    expectEqual(sum, Tensor::zeros(DType::F32, {5, 7}));
  }
}

TEST_P(EmptyParts, Ffn) {
  Tensor x = Tensor::random(DType::F32, {5, 8}, rng);
  Tensor b2 = Tensor::random(DType::F32, {6}, rng);
  for (bool isPacked : {false, true}) {
    Tensor w1 = Tensor::zeros(DType::F32, {8, 0});
    Tensor w2 = Tensor::zeros(DType::F32, {0, 6});
    if (isPacked) {
      w1 = w1.packed();
      w2 = w2.packed();
    }
    Tensor b1 = Tensor::zeros(DType::F32, {0}), absent = Tensor::absent();
    Tensor y = Tensor::zeros(DType::F32, {5, 6});
    runner.step("ffn").with("activation", "gelu_erf");
    runner.run({&x, &w1, &b1, &w2, &b2}, {&y});
    for (int64_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(y.at(i), b2.at(i % 6));
    runner.step("ffn").with("activation", "silu").with("gating", "split");
    runner.run({&x, &w1, &absent, &w2, &absent, &w1}, {&y});
    expectEqual(y, Tensor::zeros(DType::F32, {5, 6}));
  }
}

TEST_P(EmptyParts, AttentionWithoutHeads) {
  Tensor q = Tensor::zeros(DType::F32, {2, 0, 3, 8});
  Tensor k = Tensor::zeros(DType::F32, {2, 0, 5, 8});
  Tensor mask = Tensor::zeros(DType::Bool, {2, 1, 3, 5});
  Tensor ofHeads = Tensor::zeros(DType::F32, {1, 0, 3, 5});
  Tensor sink = Tensor::zeros(DType::F32, {0}), y = q;
  runner.step("attention").with("scale", 1.0).with("causal", 1);
  runner.run({&q, &k, &k, &mask, &sink}, {&y});
  runner.step("attention").with("scale", 1.0).run({&q, &k, &k, &ofHeads}, {&y});
  // Rows of a batch that another rank has.
  Tensor none = Tensor::zeros(DType::F32, {0, 4, 3, 8}), result = none;
  Tensor keys = Tensor::zeros(DType::F32, {0, 2, 5, 8});
  runner.step("attention").with("scale", 1.0);
  runner.run({&none, &keys, &keys}, {&result});
}

TEST_P(EmptyParts, AttentionRefusesHeadsWithoutKeys) {
  Tensor q = Tensor::zeros(DType::F32, {2, 4, 3, 8}), y = q;
  Tensor k = Tensor::zeros(DType::F32, {2, 0, 5, 8});
  runner.step("attention").with("scale", 1.0);
  EXPECT_EQ(runner.tryRun({&q, &k, &k}, {&y}).code(), StatusCode::BadPlan);
}

TEST_P(EmptyParts, Rotary) {
  for (std::vector<int64_t> dims :
       {std::vector<int64_t>{2, 0, 3, 8}, std::vector<int64_t>{0, 4, 3, 8}}) {
    Tensor x = Tensor::zeros(DType::F32, dims), y = x;
    Tensor angles = Tensor::zeros(DType::F32, {dims[0], 3, 4});
    runner.step("rotary").with("interleaved", 0).with("rotary_dim", 8);
    runner.run({&x, &angles, &angles}, {&y});
  }
}

TEST_P(EmptyParts, RowsAndElements) {
  Tensor x = Tensor::zeros(DType::F32, {0, 8}), y = x;
  Tensor scale = Tensor::random(DType::F32, {8}, rng);
  runner.step("norm").with("kind", "layer").with("axis", 1);
  runner.with("epsilon", 1e-5).run({&x, &scale, &scale}, {&y});
  runner.step("softmax").with("axis", 1).run({&x}, {&y});
  Tensor noColumns = Tensor::zeros(DType::F32, {8, 0}), result = noColumns;
  runner.step("softmax").with("axis", 1).run({&noColumns}, {&result});
  for (const Tensor *each : {&x, &noColumns}) {
    Tensor to = *each;
    runner.step("elementwise").instr("add", DType::F32, 0, 1).results({2});
    runner.run({each, each}, {&to});
    Tensor turned =
        Tensor::zeros(DType::F32, {each->view.dims[1], each->view.dims[0]});
    runner.step("transpose").withInts("permutation", {1, 0});
    runner.run({each}, {&turned});
  }
}

MOE_ON_ALL_MACHINES(EmptyParts);

} // namespace
