//===- RouterTest.cpp - router: the bits of matmul, gate and dispatch -----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

using namespace moe;
using namespace moe::test;

namespace {

struct Results {
  Tensor weights, experts, rows, counts, slots;

  Results(int64_t tokens, int64_t k, int64_t experts, int64_t width)
      : weights(Tensor::zeros(DType::F32, {tokens, k})),
        experts(Tensor::zeros(DType::I32, {tokens, k})),
        rows(Tensor::zeros(DType::F32, {tokens * k, width})),
        counts(Tensor::zeros(DType::I32, {experts})),
        slots(Tensor::zeros(DType::I32, {tokens, k})) {}
};

/// The operands of one router, absent where it has none.
struct Operands {
  Tensor x, w, bias = Tensor::absent(), selectionBias = Tensor::absent(),
               scale = Tensor::absent(), used = Tensor::absent();
};

class Router : public KernelTest {
protected:
  using Settings = void (*)(KernelRunner &);

  Operands operands(int64_t tokens, int64_t width, int64_t experts) {
    Operands o;
    o.x = Tensor::random(DType::F32, {tokens, width}, rng);
    o.w = Tensor::random(DType::F32, {width, experts}, rng).packed();
    return o;
  }

  void runApart(const Operands &o, int64_t k, Settings settings, Results &r) {
    int64_t tokens = o.x.view.dims[0], experts = o.w.view.dims[1];
    Tensor logits = Tensor::zeros(DType::F32, {tokens, experts});
    Tensor none = Tensor::absent();
    runner.step("matmul").run({&o.x, &o.w, &o.bias}, {&logits});
    runner.step("gate").with("k", k);
    settings(runner);
    runner.run({&logits, &o.selectionBias, &o.scale, &none, &o.used},
               {&r.weights, &r.experts});
    runner.step("dispatch").with("num_experts", experts);
    runner.learning({tokens * k});
    runner.run({&o.x, &r.experts}, {&r.rows, &r.counts, &r.slots});
  }

  void runAsOne(const Operands &o, int64_t k, Settings settings, Results &r) {
    Tensor none = Tensor::absent();
    runner.step("router").with("k", k).with("num_experts", o.w.view.dims[1]);
    settings(runner);
    runner.learning({o.x.view.dims[0] * k});
    runner.run(
        {&o.x, &o.w, &o.bias, &o.selectionBias, &o.scale, &none, &o.used, &o.x},
        {&r.weights, &r.experts, &r.rows, &r.counts, &r.slots});
  }

  void expectSame(const Operands &o, int64_t k, Settings settings) {
    int64_t tokens = o.x.view.dims[0], width = o.x.view.dims[1];
    int64_t experts = o.w.view.dims[1];
    Results apart(tokens, k, experts, width), one(tokens, k, experts, width);
    runApart(o, k, settings, apart);
    ASSERT_EQ(runner.dataSizes.size(), 1u);
    int64_t numRows = runner.dataSizes[0];
    runAsOne(o, k, settings, one);
    EXPECT_EQ(runner.dataSizes[0], numRows);
    expectEqual(one.weights, apart.weights);
    expectEqual(one.experts, apart.experts);
    expectEqual(one.counts, apart.counts);
    expectEqual(one.slots, apart.slots);
    expectEqual(firstRows(one.rows, numRows), firstRows(apart.rows, numRows));
  }
};

void softmax(KernelRunner &runner) { runner.with("normalize", "sum_max"); }

TEST_P(Router, HasTheBitsOfThreeSteps) {
  for (int64_t tokens : {1, 2, 7, 64, 200, 517})
    for (int64_t experts : {8, 48, 100}) {
      SCOPED_TRACE(std::to_string(tokens) + " tokens, " +
                   std::to_string(experts) + " experts");
      expectSame(operands(tokens, 72, experts), 4, softmax);
    }
}

TEST_P(Router, ChoosesInGroupsWithBiases) {
  Operands o = operands(150, 40, 32);
  o.bias = Tensor::random(DType::F32, {32}, rng);
  o.selectionBias = Tensor::random(DType::F32, {32}, rng);
  o.scale = Tensor::random(DType::F32, {32}, rng);
  expectSame(o, 3, [](KernelRunner &runner) {
    runner.with("score", "sigmoid").with("num_groups", 8);
    runner.with("topk_groups", 3).with("group_score", "top2_sum");
    runner.with("normalize", "sum_plus").with("scale", 2.5);
  });
}

TEST_P(Router, DropsWhatOverflows) {
  Operands o = operands(130, 24, 8);
  o.used = Tensor::zeros(DType::Bool, {130});
  for (int64_t t = 0; t < 130; ++t)
    o.used.set(t, t % 5 != 0);
  expectSame(o, 2, [](KernelRunner &runner) {
    runner.with("drop_policy", "probs").with("capacity_factor", 0.5);
    runner.with("normalize", "sum_max").with("normalize_after_drop", 1);
  });
}

TEST_P(Router, MayLeaveRowsWhereTheyAre) {
  Operands o = operands(70, 32, 16);
  Results apart(70, 2, 16, 32), one(70, 2, 16, 32);
  runApart(o, 2, softmax, apart);
  Tensor none = Tensor::absent();
  runner.step("router").with("k", 2);
  softmax(runner);
  runner.run({&o.x, &o.w, &none, &none, &none, &none, &none, &none},
             {&one.weights, &one.experts});
  expectEqual(one.weights, apart.weights);
  expectEqual(one.experts, apart.experts);
}

TEST_P(Router, ReadsWeightsAsTheyAre) {
  for (int64_t tokens : {1, 9, 140}) {
    Operands o = operands(tokens, 40, 24);
    o.w = Tensor::random(DType::F32, {40, 24}, rng);
    expectSame(o, 2, softmax);
  }
}

TEST_P(Router, TakesNoTokens) { expectSame(operands(0, 16, 8), 2, softmax); }

TEST_P(Router, RefusesWhatDoesNotFit) {
  Operands o = operands(3, 16, 8);
  Tensor wide = Tensor::random(DType::F32, {3, 17}, rng);
  Tensor strange = o.w;
  strange.view.layout = "panel8";
  Tensor none = Tensor::absent();
  Results r(3, 2, 8, 16);
  auto run = [&](const Tensor &x, const Tensor &w) {
    runner.step("router").with("k", 2);
    return runner
        .tryRun({&x, &w, &none, &none, &none, &none, &none, &none},
                {&r.weights, &r.experts})
        .message();
  };
  EXPECT_EQ(run(wide, o.w),
            "router: x [3, 17] does not fit the weight [16, 8]");
  EXPECT_EQ(run(o.x, strange),
            "router: weight of layout 'panel8' cannot be read");
}

MOE_ON_ALL_MACHINES(Router);

} // namespace
