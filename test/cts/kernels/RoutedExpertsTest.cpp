//===- RoutedExpertsTest.cpp - routed_experts: the bits of three steps ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

using namespace moe;
using namespace moe::test;

namespace {

// Blocks of 32 end within 80 hidden values, panels of 16 within 40 outputs.
constexpr int64_t kInputs = 64, kHidden = 80, kOutputs = 40, kNumExperts = 6;

/// The operands of one layer, absent where it has none.
struct Layer {
  Tensor w1, b1 = Tensor::absent(), w2, b2 = Tensor::absent(),
             w3 = Tensor::absent(), b3 = Tensor::absent();
  const char *gating = "none";
  const char *activation = "silu";
  const char *arithmetic = "float";

  std::vector<const Tensor *> weights() const {
    return {&w1, &b1, &w2, &b2, &w3, &b3};
  }
};

class RoutedExperts : public KernelTest {
protected:
  using Store = std::function<Tensor(const Tensor &)>;

  /// A layer whose matrices are stored by `store`.
  Layer layer(const char *gating, const Store &store) {
    bool isSplit = std::string(gating) == "split";
    bool isDouble = !isSplit && std::string(gating) != "none";
    int64_t columns = isDouble ? 2 * kHidden : kHidden;
    auto matrix = [&](int64_t rows, int64_t cols) {
      return store(
          Tensor::random(DType::F32, {kNumExperts, rows, cols}, rng, 0.2f));
    };
    Layer result;
    result.gating = gating;
    result.w1 = matrix(kInputs, columns);
    result.w2 = matrix(kHidden, kOutputs);
    if (isSplit)
      result.w3 = matrix(kInputs, kHidden);
    return result;
  }
  Layer packedLayer(const char *gating = "split") {
    return layer(gating, [](const Tensor &w) { return w.packed(); });
  }
  void addBiases(Layer &layer, DType dtype) {
    auto bias = [&](int64_t count) {
      return Tensor::random(DType::F32, {kNumExperts, count}, rng).as(dtype);
    };
    bool isSplit = std::string(layer.gating) == "split";
    layer.b1 = bias(
        isSplit || std::string(layer.gating) == "none" ? kHidden : 2 * kHidden);
    layer.b2 = bias(kOutputs);
    if (isSplit)
      layer.b3 = bias(kHidden);
  }

  /// Distinct experts of each token, some of them dropped; nobody chooses the
  /// last expert.
  Tensor choices(int64_t tokens, int64_t k) {
    Tensor result = Tensor::zeros(DType::I32, {tokens, k});
    for (int64_t i = 0; i < tokens * k; ++i) {
      int64_t first = static_cast<int64_t>(rng() % (kNumExperts - 1));
      if (i % k > 0)
        first = static_cast<int64_t>(result.at(i - 1)) + 1;
      bool isDropped = rng() % 8 == 0;
      result.set(i, isDropped ? -1 : first % (kNumExperts - 1));
    }
    return result;
  }

  KernelRunner &expertsStep(const char *name, const Layer &layer) {
    runner.step(name).with("gating", layer.gating);
    runner.with("activation", layer.activation);
    return runner.with("arithmetic", layer.arithmetic);
  }

  Tensor runApart(const Layer &layer, const Tensor &x, const Tensor &experts,
                  const Tensor &mix) {
    int64_t tokens = x.view.dims[0], k = experts.view.dims[1];
    Tensor rows = Tensor::zeros(x.view.dtype, {tokens * k, kInputs});
    Tensor counts = Tensor::zeros(DType::I32, {kNumExperts});
    Tensor slots = Tensor::zeros(DType::I32, {tokens, k});
    Tensor computed = Tensor::zeros(x.view.dtype, {tokens * k, kOutputs});
    Tensor out = Tensor::zeros(x.view.dtype, {tokens, kOutputs});
    runner.step("dispatch").with("num_experts", kNumExperts);
    runner.run({&x, &experts}, {&rows, &counts, &slots});
    std::vector<const Tensor *> operands = layer.weights();
    operands.insert(operands.begin(), {&rows, &counts});
    expertsStep("experts", layer).run(operands, {&computed});
    runner.step("combine").run({&computed, &slots, &mix}, {&out});
    return out;
  }

  Tensor runAsOne(const Layer &layer, const Tensor &x, const Tensor &experts,
                  const Tensor &mix) {
    Tensor out = Tensor::zeros(x.view.dtype, {x.view.dims[0], kOutputs});
    std::vector<const Tensor *> operands = layer.weights();
    operands.insert(operands.begin(), {&x, &experts, &mix});
    expertsStep("routed_experts", layer).with("num_experts", kNumExperts);
    runner.run(operands, {&out});
    return out;
  }

  void expectSame(const Layer &layer, int64_t tokens, int64_t k,
                  DType dtype = DType::F32) {
    SCOPED_TRACE(std::to_string(tokens) + " tokens, k = " + std::to_string(k) +
                 ", " + layer.gating + ", " + std::string(dtypeName(dtype)));
    Tensor x = Tensor::random(DType::F32, {tokens, kInputs}, rng).as(dtype);
    Tensor mix = Tensor::random(DType::F32, {tokens, k}, rng).as(dtype);
    Tensor experts = choices(tokens, k);
    runner.counters = Counters();
    Tensor apart = runApart(layer, x, experts, mix);
    Counters counted = runner.counters;
    runner.counters = Counters();
    expectEqual(runAsOne(layer, x, experts, mix), apart);
    EXPECT_EQ(runner.counters.expertRows, counted.expertRows);
    EXPECT_EQ(runner.counters.flops, counted.flops);
    expectEqual(runAsOne(layer, x, experts, Tensor::absent()),
                runApart(layer, x, experts, Tensor::absent()));
  }
};

TEST_P(RoutedExperts, HasTheBitsOfThreeSteps) {
  Layer layer = packedLayer();
  for (int64_t tokens = 1; tokens <= 64; ++tokens)
    for (int64_t k = 1; k <= 4; ++k)
      expectSame(layer, tokens, k);
}

// More outputs than items keep, and more rows than an item has.
TEST_P(RoutedExperts, MixesManyTokensWhenAllAreThere) {
  expectSame(packedLayer(), 2500, 3);
}

TEST_P(RoutedExperts, KnowsAllGatings) {
  for (const char *gating : {"none", "split", "interleaved", "concatenated"})
    for (DType bias : {DType::F32, DType::F16}) {
      Layer layer = packedLayer(gating);
      addBiases(layer, bias);
      for (int64_t tokens : {1, 5, 70})
        expectSame(layer, tokens, 2);
    }
}

TEST_P(RoutedExperts, ReadsWeightsInEveryLayout) {
  std::vector<Store> stores = {
      [](const Tensor &w) { return w; },
      [](const Tensor &w) { return w.inBlocks(); },
      [](const Tensor &w) { return w.as(DType::F16).packed(); },
      [](const Tensor &w) { return w.as(DType::BF16).packed(); }};
  for (const Store &store : stores)
    for (int64_t tokens : {1, 9, 40})
      expectSame(layer("split", store), tokens, 3);
}

TEST_P(RoutedExperts, ReadsCodesAndRoundsRows) {
  for (QuantFormat format : {QuantFormat{4, 32},
                             {8, 32, DType::F16, true},
                             {4, 16, DType::F32},
                             {8, 64, DType::F32}})
    for (const char *arithmetic : {"float", "int8"})
      for (int64_t tokens : {1, 2, 7, 33}) {
        Layer codes = layer("split", [&](const Tensor &w) {
          return QuantWeights::of(w, format).codes;
        });
        codes.arithmetic = arithmetic;
        SCOPED_TRACE(quantLayoutName(format) + " " + arithmetic);
        expectSame(codes, tokens, 2);
      }
}

TEST_P(RoutedExperts, TakesRowsOfTwoBytes) {
  Layer layer = packedLayer();
  addBiases(layer, DType::F32);
  for (DType dtype : {DType::F16, DType::BF16})
    for (int64_t tokens : {1, 6, 90, 2500})
      expectSame(layer, tokens, 2, dtype);
}

TEST_P(RoutedExperts, TakesNoTokensAndNoChoices) {
  expectSame(packedLayer(), 0, 2);
  expectSame(packedLayer(), 3, 0);
}

TEST_P(RoutedExperts, GivesZeroToTokensWithoutExperts) {
  Layer layer = packedLayer();
  addBiases(layer, DType::F32);
  Tensor x = Tensor::random(DType::F32, {2, kInputs}, rng);
  Tensor none = Tensor::i32({2, 2}, {-1, -1, -1, -1});
  Tensor out = runAsOne(layer, x, none, Tensor::absent());
  expectEqual(out, Tensor::zeros(DType::F32, {2, kOutputs}));
}

TEST_P(RoutedExperts, RefusesWhatDoesNotFit) {
  Layer layer = packedLayer();
  Tensor x = Tensor::random(DType::F32, {2, kInputs}, rng);
  Tensor out = Tensor::zeros(DType::F32, {2, kOutputs});
  auto run = [&](const Tensor &experts, const Tensor &mix, int64_t count) {
    std::vector<const Tensor *> operands = layer.weights();
    operands.insert(operands.begin(), {&x, &experts, &mix});
    expertsStep("routed_experts", layer).with("num_experts", count);
    return runner.tryRun(operands, {&out}).message();
  };
  Tensor one = Tensor::i32({2, 1}, {0, 1}), none = Tensor::absent();
  EXPECT_EQ(run(Tensor::i32({2, 1}, {0, 6}), none, kNumExperts),
            "routed_experts: token 1 chose expert 6, expected less than 6");
  EXPECT_EQ(run(Tensor::i32({2, 1}, {-2, 0}), none, kNumExperts),
            "routed_experts: token 0 chose expert -2, expected less than 6");
  EXPECT_EQ(run(Tensor::i32({2, 1}, {0, 7}), none, 8),
            "routed_experts: rows for expert 7 of this rank, whose weights are "
            "not here");
  EXPECT_EQ(run(Tensor::i32({1, 2}, {0, 1}), none, kNumExperts),
            "routed_experts: experts [1, 2] do not fit x [2, 64]");
  EXPECT_EQ(run(one, Tensor::f32({1, 2}, {1, 1}), kNumExperts),
            "routed_experts: experts and weights have shapes [2, 1] and [1, "
            "2], expected equal ones");
  EXPECT_EQ(run(one, none, -1), "step routed_experts: attribute 'num_experts' "
                                "is -1");
}

MOE_ON_ALL_MACHINES(RoutedExperts);

} // namespace
