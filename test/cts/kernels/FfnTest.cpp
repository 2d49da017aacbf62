//===- FfnTest.cpp - ffn and experts --------------------------------------===//
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

double activate(const std::string &kind, double x) {
  if (kind == "relu" || kind == "relu2")
    return x <= 0 ? 0 : kind == "relu" ? x : x * x;
  if (kind == "gelu_erf")
    return x * std::erfc(-x * M_SQRT1_2) / 2;
  if (kind == "gelu_tanh")
    return x / 2 *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  if (kind == "silu")
    return x / (1 + std::exp(-x));
  if (kind == "sigmoid")
    return 1 / (1 + std::exp(-x));
  return kind == "tanh" ? std::tanh(x) : x;
}

/// Weights of E networks with I hidden values, in the order of the operands.
struct Networks {
  std::string activation = "gelu_erf", gating = "none";
  double alpha = 1.702, beta = 1, limit = 1.5;
  int64_t experts, inputs, hidden, outputs;
  Tensor w1, b1, w2, b2, w3 = Tensor::absent(), b3 = Tensor::absent();

  Networks(std::mt19937 &rng, int64_t e, int64_t m, int64_t i, int64_t n,
           std::string gating = "none", std::string activation = "gelu_erf",
           DType dtype = DType::F32)
      : activation(activation), gating(gating), experts(e), inputs(m),
        hidden(i), outputs(n) {
    bool isDouble = gating == "interleaved" || gating == "concatenated";
    int64_t f = isDouble ? 2 * i : i;
    float scale = 1 / std::sqrt(static_cast<float>(m));
    w1 = Tensor::random(dtype, {e, m, f}, rng, scale);
    b1 = Tensor::random(dtype, {e, f}, rng);
    w2 = Tensor::random(dtype, {e, i, n}, rng, scale);
    b2 = Tensor::random(dtype, {e, n}, rng);
    if (gating == "split") {
      w3 = Tensor::random(dtype, {e, m, i}, rng, scale);
      b3 = Tensor::random(dtype, {e, i}, rng);
    }
  }

  /// The hidden value i of expert e for the row x.
  double hiddenValue(int64_t e, const Tensor &x, int64_t row, int64_t i) const {
    auto column = [&](const Tensor &w, const Tensor &b, int64_t c) {
      int64_t columns = w.view.dims[2];
      double sum = b.at(e * columns + c);
      for (int64_t d = 0; d < inputs; ++d)
        sum += x.at(row * inputs + d) * w.at((e * inputs + d) * columns + c);
      return sum;
    };
    if (gating == "none")
      return activate(activation, column(w1, b1, i));
    double g = column(w1, b1, gating == "interleaved" ? 2 * i : i);
    double l = gating == "interleaved"    ? column(w1, b1, 2 * i + 1)
               : gating == "concatenated" ? column(w1, b1, hidden + i)
                                          : column(w3, b3, i);
    if (activation != "swiglu")
      return activate(activation, g) * l;
    g = std::fmin(g, limit);
    l = std::fmax(-limit, std::fmin(l, limit));
    return g / (1 + std::exp(-alpha * g)) * (l + beta);
  }

  Tensor reference(const Tensor &x, const std::vector<int> &expertOf) const {
    int64_t rows = static_cast<int64_t>(expertOf.size());
    Tensor y = Tensor::zeros(DType::F64, {rows, outputs});
    for (int64_t r = 0; r < rows; ++r) {
      int64_t e = expertOf[r];
      std::vector<double> h(hidden);
      for (int64_t i = 0; i < hidden; ++i)
        h[i] = hiddenValue(e, x, r, i);
      for (int64_t n = 0; n < outputs; ++n) {
        double sum = b2.at(e * outputs + n);
        for (int64_t i = 0; i < hidden; ++i)
          sum += h[i] * w2.at((e * hidden + i) * outputs + n);
        y.set(r * outputs + n, sum);
      }
    }
    return y;
  }

  KernelRunner &describe(KernelRunner &runner, const char *step) const {
    runner.step(step)
        .with("activation", activation.c_str())
        .with("gating", gating.c_str());
    if (activation == "swiglu")
      runner.with("alpha", alpha).with("beta", beta).with("limit", limit);
    return runner;
  }
};

std::vector<int> expertOf(const std::vector<int32_t> &counts) {
  std::vector<int> result;
  for (size_t e = 0; e < counts.size(); ++e)
    result.insert(result.end(), counts[e], static_cast<int>(e));
  return result;
}

class Ffn : public KernelTest {
protected:
  Tensor experts(const Networks &n, const Tensor &x,
                 const std::vector<int32_t> &counts, bool isPacked,
                 KernelRunner &runner) {
    Tensor c = Tensor::i32({static_cast<int64_t>(counts.size())}, counts);
    Tensor y = Tensor::zeros(x.view.dtype, {x.view.dims[0], n.outputs});
    Tensor w1 = isPacked ? n.w1.packed() : n.w1;
    Tensor w2 = isPacked ? n.w2.packed() : n.w2;
    Tensor w3 = isPacked && n.w3.view.present() ? n.w3.packed() : n.w3;
    Tensor b1 = isPacked ? n.b1.inBlocks() : n.b1;
    Tensor b2 = isPacked ? n.b2.inBlocks() : n.b2;
    n.describe(runner, "experts")
        .run({&x, &c, &w1, &b1, &w2, &b2, &w3, &n.b3}, {&y});
    return y;
  }
};

TEST_P(Ffn, EveryGatingAndActivation) {
  for (const char *gating : {"none", "interleaved", "concatenated", "split"})
    for (const char *activation :
         {"identity", "relu", "relu2", "gelu_erf", "gelu_tanh", "silu",
          "swiglu", "sigmoid", "tanh"}) {
      if (std::string(gating) == "none" && std::string(activation) == "swiglu")
        continue;
      // Hidden sizes that end inside a panel, at one, and behind several.
      for (int64_t hidden : {5, 48, 77, 200}) {
        Networks n(rng, 1, 24, hidden, 19, gating, activation);
        Tensor x = Tensor::random(DType::F32, {2, 4, 24}, rng);
        Tensor y = Tensor::zeros(DType::F32, {2, 4, 19});
        auto first = [](const Tensor &t) { // without the expert dimension
          Tensor result = t;
          if (!t.view.present())
            return result;
          --result.view.rank;
          std::copy_n(t.view.dims + 1, result.view.rank, result.view.dims);
          result.view.setContiguous();
          return result;
        };
        Tensor w1 = first(n.w1).packed(), w2 = first(n.w2).packed();
        Tensor w3 =
            n.w3.view.present() ? first(n.w3).packed() : Tensor::absent();
        Tensor b1 = first(n.b1), b2 = first(n.b2), b3 = first(n.b3);
        n.describe(runner, "ffn").run({&x, &w1, &b1, &w2, &b2, &w3, &b3}, {&y});
        SCOPED_TRACE(std::string(gating) + " " + activation);
        expectClose(y, n.reference(x, std::vector<int>(8, 0)), 1e-5, 3e-5);
      }
    }
}

TEST_P(Ffn, RowsOfEachExpert) {
  std::vector<int32_t> counts = {3, 0, 1, 130, 2};
  Networks n(rng, 5, 40, 72, 33, "split", "silu");
  // Two rows more than the counts say: nobody touches them.
  Tensor x = Tensor::random(DType::F32, {138, 40}, rng);
  Tensor y = experts(n, x, counts, true, runner);
  Tensor used = Tensor::zeros(DType::F32, {136, 33}), rest = used;
  std::memcpy(used.bytes.data(), y.bytes.data(), used.bytes.size());
  expectClose(used, n.reference(x, expertOf(counts)), 1e-5, 3e-5);
  for (size_t i = used.bytes.size(); i < y.bytes.size(); ++i)
    ASSERT_EQ(y.bytes[i], std::byte(0xa5));
  EXPECT_EQ(runner.counters.expertRows, 136u);
  EXPECT_EQ(runner.counters.flops, 136u * 2 * 72 * (2 * 40 + 33));
  // Row-major weights give the same bits.
  expectEqual(experts(n, x, counts, false, runner), y);
}

TEST_P(Ffn, RowsDoNotDependOnTheirNeighbours) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    Networks n(rng, 2, 112, 448, 112, "none", "gelu_erf", dtype);
    Tensor x = Tensor::random(DType::F32, {40, 112}, rng);
    KernelRunner reference({GetParam().isa, 1});
    Tensor all = experts(n, x, {40, 0}, true, reference);
    for (int64_t first : {0, 13, 39}) {
      for (int64_t rows = 1; rows <= 40 - first; rows += 6) {
        Tensor some = Tensor::zeros(DType::F32, {rows, 112});
        std::memcpy(some.bytes.data(), x.bytes.data() + first * 112 * 4,
                    some.bytes.size());
        Tensor y =
            experts(n, some, {static_cast<int32_t>(rows), 0}, true, runner);
        EXPECT_EQ(std::memcmp(y.bytes.data(),
                              all.bytes.data() + first * 112 * 4,
                              y.bytes.size()),
                  0)
            << rows << " rows from " << first;
      }
    }
  }
}

TEST_P(Ffn, HalfPrecision) {
  for (DType dtype : {DType::F16, DType::BF16}) {
    Networks n(rng, 3, 32, 64, 24, "interleaved", "swiglu", dtype);
    std::vector<int32_t> counts = {4, 1, 19};
    Tensor x = Tensor::random(dtype, {24, 32}, rng);
    Tensor y = experts(n, x, counts, true, runner);
    double rtol = dtype == DType::F16 ? 2e-3 : 1e-2;
    expectClose(y, n.reference(x, expertOf(counts)), rtol, rtol);
    // The layout does not change a bit of the result.
    expectEqual(experts(n, x, counts, false, runner), y);
  }
}

TEST_P(Ffn, NoRows) {
  Networks n(rng, 2, 8, 16, 8);
  Tensor x = Tensor::zeros(DType::F32, {0, 8});
  EXPECT_EQ(experts(n, x, {0, 0}, true, runner).size(), 0);
}

TEST_P(Ffn, PlacedExpertsUseTheirBlocks) {
  // This rank of two holds experts 2 and 3: its counts are theirs, b1 is whole.
  Networks n(rng, 4, 16, 32, 16);
  plan::LayerT layer;
  layer.experts = 4;
  for (uint32_t rank : {1u, 1u, 0u, 0u}) {
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
    layer.places.back()->ranks = {rank};
  }
  auto communicators = createThreadCommunicators(2, std::chrono::seconds(5));
  Tensor x = Tensor::random(DType::F32, {5, 16}, rng);
  Tensor counts = Tensor::i32({2}, {2, 3});
  auto local = [](const Tensor &t) {
    Tensor packed = t.view.rank == 3 ? t.packed() : t.inBlocks();
    packed.blockBytes.erase(packed.blockBytes.begin(),
                            packed.blockBytes.begin() + 2);
    return Tensor(packed); // copying makes the blocks anew
  };
  Tensor w1 = local(n.w1), w2 = local(n.w2), b2 = local(n.b2);
  Tensor y = Tensor::zeros(DType::F32, {5, 16});
  n.describe(runner, "experts").onRank(*communicators[0], &layer);
  runner.run({&x, &counts, &w1, &n.b1, &w2, &b2}, {&y});
  expectClose(y, n.reference(x, {2, 2, 3, 3, 3}), 1e-5, 3e-5);
}

TEST_P(Ffn, RefusesOperandsThatDoNotFit) {
  Networks n(rng, 2, 8, 16, 8);
  Tensor x = Tensor::zeros(DType::F32, {3, 8}), y = x;
  Tensor counts = Tensor::i32({2}, {2, 2});
  auto tryRun = [&](const Tensor &w1, const Tensor &c) {
    return n.describe(runner, "experts")
        .tryRun({&x, &c, &w1, &n.b1, &n.w2, &n.b2}, {&y})
        .message();
  };
  EXPECT_EQ(tryRun(n.w1, counts),
            "experts: count 2 of expert 1 exceeds the rows [3, 8]");
  Tensor wide = Tensor::zeros(DType::F32, {2, 8, 32});
  EXPECT_EQ(tryRun(wide, Tensor::i32({2}, {1, 1})),
            "experts: operand 'w1' has shape [2, 8, 32], expected [8, 16] of "
            "f32, f16 or bf16, contiguous");
  EXPECT_EQ(tryRun(n.w1, Tensor::i32({3}, {1, 1, 1})),
            "experts: rows for expert 2 of this rank, whose weights are not "
            "here");
}

MOE_ON_ALL_MACHINES(Ffn);

} // namespace
