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
struct Sizes {
  int64_t inputs = 64, hidden = 80, outputs = 40;
};
constexpr int64_t kNumExperts = 6;

/// The operands of one layer, absent where it has none.
struct Layer {
  Tensor w1, b1 = Tensor::absent(), w2, b2 = Tensor::absent(),
             w3 = Tensor::absent(), b3 = Tensor::absent();
  Sizes sizes;
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
  Layer layer(const char *gating, const Store &store, Sizes sizes = {}) {
    bool isSplit = std::string(gating) == "split";
    bool isDouble = !isSplit && std::string(gating) != "none";
    int64_t columns = isDouble ? 2 * sizes.hidden : sizes.hidden;
    auto matrix = [&](int64_t rows, int64_t cols) {
      return store(
          Tensor::random(DType::F32, {kNumExperts, rows, cols}, rng, 0.2f));
    };
    Layer result;
    result.sizes = sizes;
    result.gating = gating;
    result.w1 = matrix(sizes.inputs, columns);
    result.w2 = matrix(sizes.hidden, sizes.outputs);
    if (isSplit)
      result.w3 = matrix(sizes.inputs, sizes.hidden);
    return result;
  }
  Layer packedLayer(const char *gating = "split") {
    return layer(gating, [](const Tensor &w) { return w.packed(); });
  }
  void addBiases(Layer &layer, DType dtype) {
    auto bias = [&](int64_t count) {
      return Tensor::random(DType::F32, {kNumExperts, count}, rng).as(dtype);
    };
    int64_t hidden = layer.sizes.hidden;
    bool isSplit = std::string(layer.gating) == "split";
    layer.b1 = bias(
        isSplit || std::string(layer.gating) == "none" ? hidden : 2 * hidden);
    layer.b2 = bias(layer.sizes.outputs);
    if (isSplit)
      layer.b3 = bias(hidden);
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

  /// Steps of their own, of which the last one adds `residual`, if any.
  Tensor runApart(const Layer &layer, const Tensor &x, const Tensor &experts,
                  const Tensor &mix,
                  const Tensor &residual = Tensor::absent()) {
    int64_t tokens = x.view.dims[0], k = experts.view.dims[1];
    Tensor rows = Tensor::zeros(x.view.dtype, {tokens * k, layer.sizes.inputs});
    Tensor counts = Tensor::zeros(DType::I32, {kNumExperts});
    Tensor slots = Tensor::zeros(DType::I32, {tokens, k});
    Tensor computed =
        Tensor::zeros(x.view.dtype, {tokens * k, layer.sizes.outputs});
    Tensor out = Tensor::zeros(x.view.dtype, {tokens, layer.sizes.outputs});
    runner.step("dispatch").with("num_experts", kNumExperts);
    runner.run({&x, &experts}, {&rows, &counts, &slots});
    std::vector<const Tensor *> operands = layer.weights();
    operands.insert(operands.begin(), {&rows, &counts});
    expertsStep("experts", layer).run(operands, {&computed});
    std::vector<const Tensor *> mixed = {&computed, &slots, &mix};
    if (residual.view.present())
      mixed.push_back(&residual);
    runner.step("combine").run(mixed, {&out});
    return out;
  }

  Tensor runAsOne(const Layer &layer, const Tensor &x, const Tensor &experts,
                  const Tensor &mix,
                  const Tensor &residual = Tensor::absent()) {
    Tensor out =
        Tensor::zeros(x.view.dtype, {x.view.dims[0], layer.sizes.outputs});
    std::vector<const Tensor *> operands = layer.weights();
    operands.insert(operands.begin(), {&x, &experts, &mix});
    if (residual.view.present())
      operands.push_back(&residual);
    expertsStep("routed_experts", layer).with("num_experts", kNumExperts);
    runner.run(operands, {&out});
    return out;
  }

  /// An elementwise step: a + b.
  Tensor sumOf(const Tensor &a, const Tensor &b) {
    Tensor out = b;
    runner.step("elementwise").instr("add", b.view.dtype, 0, 1).results({2});
    runner.run({&a, &b}, {&out});
    return out;
  }

  /// A residual on top has the bits of an addition behind the step.
  void expectSameResidual(const Layer &layer, const Tensor &x,
                          const Tensor &experts, const Tensor &mix,
                          const Tensor &apart) {
    Tensor residual =
        Tensor::random(DType::F32, {apart.view.dims[0], layer.sizes.outputs},
                       rng)
            .as(apart.view.dtype);
    Tensor sum = sumOf(residual, apart);
    expectEqual(runAsOne(layer, x, experts, mix, residual), sum);
    expectEqual(runApart(layer, x, experts, mix, residual), sum);
  }

  void expectSame(const Layer &layer, int64_t tokens, int64_t k,
                  DType dtype = DType::F32) {
    SCOPED_TRACE(std::to_string(tokens) + " tokens, k = " + std::to_string(k) +
                 ", " + layer.gating + ", " + std::string(dtypeName(dtype)));
    Tensor x =
        Tensor::random(DType::F32, {tokens, layer.sizes.inputs}, rng).as(dtype);
    Tensor mix = Tensor::random(DType::F32, {tokens, k}, rng).as(dtype);
    Tensor experts = choices(tokens, k);
    runner.counters = Counters();
    Tensor apart = runApart(layer, x, experts, mix);
    Counters counted = runner.counters;
    runner.counters = Counters();
    expectEqual(runAsOne(layer, x, experts, mix), apart);
    EXPECT_EQ(runner.counters.expertRows, counted.expertRows);
    EXPECT_EQ(runner.counters.flops, counted.flops);
    expectSameResidual(layer, x, experts, mix, apart);
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

// 64 MiB keep 1024 hidden values of 16384 rows: 5461 tokens of three choices
// are the first pass, too many to be mixed by items, and 9 the second.
TEST_P(RoutedExperts, TakesSeveralPasses) {
  Layer layer = this->layer("none", [](const Tensor &w) { return w.packed(); },
                            {4, 1024, 20});
  layer.activation = "relu";
  constexpr int64_t kTokens = 5470;
  Tensor x = Tensor::random(DType::F32, {kTokens, layer.sizes.inputs}, rng);
  Tensor mix = Tensor::random(DType::F32, {kTokens, 3}, rng);
  Tensor experts = choices(kTokens, 3);
  for (int64_t i = 0; i < experts.size(); ++i) // none is dropped
    experts.set(i, std::max(experts.at(i), 0.0));
  Tensor apart = runApart(layer, x, experts, mix);
  expectEqual(runAsOne(layer, x, experts, mix), apart);
  expectSameResidual(layer, x, experts, mix, apart);
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
  Tensor x = Tensor::random(DType::F32, {2, layer.sizes.inputs}, rng);
  Tensor none = Tensor::i32({2, 2}, {-1, -1, -1, -1});
  Tensor out = runAsOne(layer, x, none, Tensor::absent());
  expectEqual(out, Tensor::zeros(DType::F32, {2, layer.sizes.outputs}));
  Tensor residual = Tensor::random(DType::F32, {2, layer.sizes.outputs}, rng);
  expectEqual(runAsOne(layer, x, none, Tensor::absent(), residual), residual);
}

MOE_ON_ALL_MACHINES(RoutedExperts);

} // namespace
