//===- SameBitsTest.cpp - Rows on their own, whatever is beside them ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a product makes of a row has the same bits in every number of rows and
// on every number of threads, for every way to store weights and to read rows.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

#include <set>
#include <tuple>

using namespace moe;
using namespace moe::test;

namespace {

constexpr int64_t kMostRows = 64;
// Blocks of 32 end within 80 hidden values, panels of 16 within 40 outputs.
constexpr int64_t kInputs = 96, kHidden = 80, kOutputs = 40, kExperts = 3;

/// How weights are stored and rows are read.
struct Way {
  std::string name;
  DType dtype = DType::F32;
  std::optional<QuantFormat> format = std::nullopt;
  const char *arithmetic = "float";
};

std::vector<Way> allWays() {
  std::vector<Way> ways = {{"f32"}, {"f16", DType::F16}, {"bf16", DType::BF16}};
  for (const char *arithmetic : {"float", "int8"})
    for (bool hasZeroPoints : {false, true})
      for (int bits : {4, 8}) {
        std::string name = "int" + std::to_string(bits);
        if (hasZeroPoints)
          name += "_zeros";
        ways.push_back({name + "_" + arithmetic, DType::F32,
                        QuantFormat{bits, 32, DType::F16, hasZeroPoints},
                        arithmetic});
      }
  return ways;
}

std::set<std::string> allIsaNames() {
  std::set<std::string> names;
  for (const Machine &machine : allMachines())
    names.insert(machine.isa);
  return names;
}

class SameBits : public testing::TestWithParam<std::tuple<std::string, Way>> {
protected:
  const Way &way = std::get<1>(GetParam());

  Tensor weight(std::vector<int64_t> dims) {
    Tensor w = Tensor::random(DType::F32, std::move(dims), rng, 0.2f);
    if (way.format)
      return QuantWeights::of(w, *way.format).codes;
    return w.as(way.dtype).packed();
  }

  KernelRunner &network(KernelRunner &runner, const char *step) const {
    runner.step(step).with("activation", "silu").with("gating", "split");
    return runner.with("arithmetic", way.arithmetic);
  }

  /// `run` gives what a runner makes of the first rows of x.
  template <typename Run> void expectSameBits(Run run) {
    KernelRunner reference({std::get<0>(GetParam()), 1});
    Tensor expected = run(reference, kMostRows);
    for (int threads = 1; threads <= 4; ++threads) {
      KernelRunner runner({std::get<0>(GetParam()), threads});
      for (int64_t rows = 1; rows <= kMostRows; ++rows) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " +
                     std::to_string(threads) + " threads");
        expectEqual(run(runner, rows), firstRows(expected, rows));
        if (HasFailure())
          return;
      }
    }
  }

  std::mt19937 rng{5};
  Tensor x = Tensor::random(DType::F32, {kMostRows, kInputs}, rng);
};

TEST_P(SameBits, OfMatmul) {
  Tensor w = weight({kInputs, kOutputs});
  Tensor bias = Tensor::random(DType::F32, {kOutputs}, rng);
  expectSameBits([&](KernelRunner &runner, int64_t rows) {
    Tensor some = firstRows(x, rows);
    Tensor y = Tensor::zeros(DType::F32, {rows, kOutputs});
    runner.step("matmul").with("arithmetic", way.arithmetic);
    runner.run({&some, &w, &bias}, {&y});
    return y;
  });
}

// Deep enough for few rows to read panels in another order than many rows.
TEST_P(SameBits, OfDeepMatmul) {
  constexpr int64_t kDepth = 544, kColumns = 112;
  Tensor deep = Tensor::random(DType::F32, {kMostRows, kDepth}, rng);
  Tensor w = weight({kDepth, kColumns});
  expectSameBits([&](KernelRunner &runner, int64_t rows) {
    Tensor some = firstRows(deep, rows);
    Tensor y = Tensor::zeros(DType::F32, {rows, kColumns});
    runner.step("matmul").with("arithmetic", way.arithmetic);
    runner.run({&some, &w}, {&y});
    return y;
  });
}

TEST_P(SameBits, OfFfn) {
  Tensor w1 = weight({kInputs, kHidden}), w2 = weight({kHidden, kOutputs});
  Tensor w3 = weight({kInputs, kHidden});
  Tensor b1 = Tensor::random(DType::F32, {kHidden}, rng);
  Tensor b2 = Tensor::random(DType::F32, {kOutputs}, rng);
  expectSameBits([&](KernelRunner &runner, int64_t rows) {
    Tensor some = firstRows(x, rows), absent = Tensor::absent();
    Tensor y = Tensor::zeros(DType::F32, {rows, kOutputs});
    network(runner, "ffn").run({&some, &w1, &b1, &w2, &b2, &w3, &absent}, {&y});
    return y;
  });
}

// Row t is for expert t mod 3, so that rows of an expert change their place
// with the number of rows.
TEST_P(SameBits, OfExperts) {
  Tensor w1 = weight({kExperts, kInputs, kHidden});
  Tensor w2 = weight({kExperts, kHidden, kOutputs});
  Tensor w3 = weight({kExperts, kInputs, kHidden});
  Tensor b1 = Tensor::random(DType::F32, {kExperts, kHidden}, rng);
  Tensor b2 = Tensor::random(DType::F32, {kExperts, kOutputs}, rng);
  expectSameBits([&](KernelRunner &runner, int64_t rows) {
    std::vector<int64_t> tokens;
    std::vector<int32_t> counts(kExperts);
    for (int64_t e = 0; e < kExperts; ++e)
      for (int64_t t = e; t < rows; t += kExperts) {
        tokens.push_back(t);
        ++counts[e];
      }
    Tensor sorted = Tensor::zeros(DType::F32, {rows, kInputs});
    for (int64_t i = 0; i < rows; ++i)
      std::copy_n(x.view.as<float>() + tokens[i] * kInputs, kInputs,
                  sorted.view.as<float>() + i * kInputs);
    Tensor c = Tensor::i32({kExperts}, counts), absent = Tensor::absent();
    Tensor out = Tensor::zeros(DType::F32, {rows, kOutputs}), y = out;
    network(runner, "experts")
        .run({&sorted, &c, &w1, &b1, &w2, &b2, &w3, &absent}, {&out});
    for (int64_t i = 0; i < rows; ++i)
      std::copy_n(out.view.as<float>() + i * kOutputs, kOutputs,
                  y.view.as<float>() + tokens[i] * kOutputs);
    return y;
  });
}

// The second expert of a token comes before its first one in every third token.
TEST_P(SameBits, OfRoutedExperts) {
  Tensor w1 = weight({kExperts, kInputs, kHidden});
  Tensor w2 = weight({kExperts, kHidden, kOutputs});
  Tensor w3 = weight({kExperts, kInputs, kHidden});
  Tensor b1 = Tensor::random(DType::F32, {kExperts, kHidden}, rng);
  Tensor b2 = Tensor::random(DType::F32, {kExperts, kOutputs}, rng);
  Tensor mix = Tensor::random(DType::F32, {kMostRows, 2}, rng);
  expectSameBits([&](KernelRunner &runner, int64_t rows) {
    Tensor chosen = Tensor::zeros(DType::I32, {rows, 2});
    for (int64_t i = 0; i < 2 * rows; ++i)
      chosen.set(i, (i / 2 + i % 2) % kExperts);
    Tensor some = firstRows(x, rows), weights = firstRows(mix, rows);
    Tensor absent = Tensor::absent();
    Tensor y = Tensor::zeros(DType::F32, {rows, kOutputs});
    network(runner, "routed_experts")
        .with("num_experts", kExperts)
        .run({&some, &chosen, &weights, &w1, &b1, &w2, &b2, &w3, &absent},
             {&y});
    return y;
  });
}

INSTANTIATE_TEST_SUITE_P(Ways, SameBits,
                         testing::Combine(testing::ValuesIn(allIsaNames()),
                                          testing::ValuesIn(allWays())),
                         [](const auto &info) {
                           return std::get<0>(info.param) + "_" +
                                  std::get<1>(info.param).name;
                         });

} // namespace
