//===- KernelBench.cpp - Speed of products --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Times of one step, against the machine's rates in the first row (see
// BenchStep.h). Compare ratios; on shared machines absolute times say little.
//
//===----------------------------------------------------------------------===//

#include "test/bench/BenchStep.h"
#include "test/cts/kernels/QuantWeights.h"

#include <benchmark/benchmark.h>

#include <cstring>

using namespace moe;
using namespace moe::test;

namespace {

/// Args: rows, K, N.
void matmul(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  Tensor x = Tensor::random(DType::F32, {m, k}, runner.rng);
  Tensor w = Tensor::random(DType::F32, {k, n}, runner.rng).packed();
  Tensor y = Tensor::zeros(DType::F32, {m, n});
  runner.step("matmul");
  runStep(state, runner, {&x, &w}, {&y}, 4.0 * static_cast<double>(k * n));
}

/// Args: tokens, experts, k, hidden, intermediate, gated.
void experts(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), E = state.range(1), k = state.range(2);
  int64_t H = state.range(3), I = state.range(4);
  bool isGated = state.range(5);
  int64_t rows = tokens * k;
  std::vector<int32_t> counts(E, 0);
  for (int64_t i = 0; i < rows; ++i)
    ++counts[rows < E ? i * E / rows : i % E];
  Tensor x = Tensor::random(DType::F32, {rows, H}, runner.rng);
  Tensor c = Tensor::i32({E}, counts);
  Tensor w1 = Tensor::zeros(DType::F32, {E, H, I}).packed();
  Tensor w2 = Tensor::zeros(DType::F32, {E, I, H}).packed();
  Tensor w3 = isGated ? Tensor::zeros(DType::F32, {E, H, I}).packed()
                      : Tensor::absent();
  Tensor y = Tensor::zeros(DType::F32, {rows, H}), absent = Tensor::absent();
  runner.step("experts");
  runner.with("activation", isGated ? "silu" : "gelu_erf");
  runner.with("gating", isGated ? "split" : "none");
  double active = static_cast<double>(std::min(rows, E));
  runStep(state, runner, {&x, &c, &w1, &absent, &w2, &absent, &w3}, {&y},
          active * (isGated ? 3 : 2) * static_cast<double>(H * I) * 4);
}

/// Floats, or codes for them, and how rows are multiplied with codes.
struct WeightType {
  DType dtype = DType::F32;
  std::optional<QuantFormat> format;
  bool roundsRows = false;
};

/// Rounded rows and a weight in codes that stays in the second caches of two
/// threads. Args: rows.
void roundedHot(benchmark::State &state, int bits) {
  constexpr int64_t kDepth = 2048, kColumns = 512;
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0);
  Tensor x = Tensor::random(DType::F32, {rows, kDepth}, runner.rng);
  Tensor w = QuantWeights::of(
                 Tensor::random(DType::F32, {kDepth, kColumns}, runner.rng),
                 QuantFormat{bits, 32})
                 .codes;
  Tensor y = Tensor::zeros(DType::F32, {rows, kColumns});
  runner.step("matmul").with("arithmetic", "int8");
  // Nothing comes from memory, so that arithmetic alone sets the floor.
  runStep(state, runner, {&x, &w}, {&y},
          {/*bytes=*/0, /*isCold=*/false, /*isInt8=*/true});
}

/// One expert in the layout of the products, `copies` times in memory.
Tensor expertMatrix(const WeightType &type, int64_t copies, int64_t rows,
                    int64_t columns, KernelRunner &runner) {
  Tensor one =
      Tensor::random(type.dtype, {1, rows, columns}, runner.rng, 0.02f);
  Tensor result =
      type.format ? QuantWeights::of(one, *type.format).codes : one.packed();
  std::vector<std::byte> block = result.blockBytes[0];
  result.blockBytes.assign(copies, block);
  result.blocks.assign(copies, BlockView());
  return Tensor(result); // copying makes the blocks anew
}

/// Layer A of the performance targets, with a quarter of its experts if they
/// are floats: 32 gated ones, 8 for a token, 2048 to 768 columns. One token
/// after another takes the next 8 of them, so that all weights (at least 300
/// MB) pass by before one is read again. Args: tokens.
void layerA(benchmark::State &state, WeightType type) {
  constexpr int64_t kUsed = 8, kHidden = 2048, kInner = 768;
  const int64_t kExperts = type.format ? 128 : 32;
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0) * kUsed;
  Tensor x = Tensor::random(DType::F32, {rows, kHidden}, runner.rng);
  Tensor counts = Tensor::zeros(DType::I32, {kExperts});
  Tensor w1 = expertMatrix(type, kExperts, kHidden, kInner, runner);
  Tensor w2 = expertMatrix(type, kExperts, kInner, kHidden, runner);
  Tensor w3 = expertMatrix(type, kExperts, kHidden, kInner, runner);
  Tensor y = Tensor::zeros(DType::F32, {rows, kHidden});
  Tensor absent = Tensor::absent();
  runner.step("experts").with("activation", "silu").with("gating", "split");
  if (type.roundsRows)
    runner.with("arithmetic", "int8");
  double active = static_cast<double>(std::min(rows, kExperts));
  int64_t next = 0;
  auto route = [&] {
    std::memset(counts.bytes.data(), 0, counts.bytes.size());
    for (int64_t i = 0; i < rows; ++i)
      ++counts.view.as<int32_t>()[next++ % kExperts];
  };
  double bytes = static_cast<double>(w1.blocks[0].bytes + w2.blocks[0].bytes +
                                     w3.blocks[0].bytes);
  runStep(state, runner, {&x, &counts, &w1, &absent, &w2, &absent, &w3}, {&y},
          {active * bytes, /*isCold=*/true, type.roundsRows}, route);
}

} // namespace

BENCHMARK(machineRates)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(matmul)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 112, 448})
    ->Args({1, 448, 112})
    ->Args({256, 112, 336})
    ->Args({256, 112, 448})
    ->Args({1, 2048, 2048})
    ->Args({16, 2048, 2048})
    ->Args({512, 2048, 2048});
BENCHMARK(experts)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 4, 1, 112, 448, 0}) // tiny layers, one token
    ->Args({1, 8, 2, 256, 512, 1})
    ->Args({256, 4, 1, 112, 448, 0})
    ->Args({1, 32, 1, 1024, 4096, 0}) // DeepSpeed style
    ->Args({64, 32, 1, 1024, 4096, 0})
    ->Args({1, 64, 8, 2048, 768, 1}) // many small gated experts
    ->Args({256, 64, 8, 2048, 768, 1});
BENCHMARK_CAPTURE(layerA, f32, WeightType{DType::F32, {}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
BENCHMARK_CAPTURE(layerA, f16, WeightType{DType::F16, {}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
BENCHMARK_CAPTURE(layerA, bf16, WeightType{DType::BF16, {}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
BENCHMARK_CAPTURE(layerA, int8, WeightType{DType::F32, QuantFormat{8, 32}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
BENCHMARK_CAPTURE(layerA, int8_rounded,
                  WeightType{DType::F32, QuantFormat{8, 32}, true})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16) // one row for each expert
    ->Arg(32)
    ->Arg(96)
    ->Arg(256)
    ->Arg(512);
BENCHMARK_CAPTURE(layerA, int4_rounded,
                  WeightType{DType::F32, QuantFormat{4, 32}, true})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16) // one row for each expert
    ->Arg(32)
    ->Arg(96)
    ->Arg(256)
    ->Arg(512);
BENCHMARK_CAPTURE(layerA, int4, WeightType{DType::F32, QuantFormat{4, 32}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
static void fewAndManyRows(benchmark::internal::Benchmark *bench) {
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (int rows : {1, 2, 6, 16, 32})
    bench->Arg(rows);
}
BENCHMARK_CAPTURE(roundedHot, int8, 8)->Apply(fewAndManyRows);
BENCHMARK_CAPTURE(roundedHot, int4, 4)->Apply(fewAndManyRows);

BENCHMARK_MAIN();
