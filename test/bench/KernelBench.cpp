//===- KernelBench.cpp - Speed of the kernels -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Times of one step. The first two rows measure the machine in the same run:
// multiply-add throughput of registers and bandwidth of a plain read. Compare
// ratios; on shared machines absolute times say little. Threads are set by the
// environment variable MOE_BENCH_THREADS (default: all).
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Isa.h"
#include "test/cts/kernels/QuantWeights.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <functional>
#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

Machine machine() {
  const char *isa = std::getenv("MOE_CPU_ISA");
  const char *threads = std::getenv("MOE_BENCH_THREADS");
  Machine result{"portable",
                 static_cast<int>(std::thread::hardware_concurrency())};
  for (const cpu::Isa *each : cpu::allIsas())
    if (each->isSupported()) {
      result.isa = each->name;
      break;
    }
  if (isa)
    result.isa = isa;
  if (threads)
    result.threads = std::atoi(threads);
  return result;
}

/// Runs one step for as long as the benchmark wants, `before` each run once;
/// reports its rates.
void runStep(
    benchmark::State &state, KernelRunner &runner,
    const std::vector<const Tensor *> &inputs,
    const std::vector<Tensor *> &outputs, double bytes,
    const std::function<void()> &before = [] {}) {
  auto prepared = runner.prepare(inputs, outputs);
  if (!prepared.isOk())
    return state.SkipWithError(prepared.status().message().c_str());
  for (auto _ : state) {
    before();
    if (Status status = (*prepared)->run(); !status.isOk())
      return state.SkipWithError(status.message().c_str());
  }
  auto rate = [](double value) {
    return benchmark::Counter(value, benchmark::Counter::kIsRate,
                              benchmark::Counter::kIs1000);
  };
  state.counters["flop/s"] = rate(static_cast<double>(runner.counters.flops));
  state.counters["B/s"] = rate(bytes * static_cast<double>(state.iterations()));
}

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

void peakMultiplyAdd(benchmark::State &state) {
  // A product whose operands stay in the first cache.
  const cpu::Isa &isa = *cpu::findIsa(machine().isa);
  ThreadPool pool(machine().threads);
  constexpr int64_t kRows = 6, kDepth = 128, kRepeats = 2000;
  std::vector<float> a(kRows * kDepth, 0.5f), b(16 * kDepth, 0.5f);
  std::vector<std::vector<float>> c(pool.numThreads(),
                                    std::vector<float>(kRows * 16));
  auto body = [&](int64_t, int thread) {
    cpu::GemmArgs args{a.data(),         kDepth, b.data(), 16, 0,
                       c[thread].data(), 16,     kRows,    1,  kDepth};
    for (int64_t i = 0; i < kRepeats; ++i)
      isa.gemm(args);
  };
  for (auto _ : state)
    pool.parallelFor(pool.numThreads(), body);
  state.counters["flop/s"] = benchmark::Counter(
      2.0 * kRows * 16 * kDepth * kRepeats * pool.numThreads() *
          static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

void readBandwidth(benchmark::State &state) {
  ThreadPool pool(machine().threads);
  std::vector<float> memory(64 << 20, 1.0f); // 256 MiB
  constexpr int64_t kPiece = 1 << 18;
  std::vector<float> sums(pool.numThreads() * 16);
  auto body = [&](int64_t piece, int thread) {
    const float *p = memory.data() + piece * kPiece;
    float lanes[32] = {};
    for (int64_t i = 0; i < kPiece; i += 32)
      for (int j = 0; j < 32; ++j)
        lanes[j] += p[i + j];
    for (float lane : lanes)
      sums[thread * 16] += lane;
  };
  for (auto _ : state)
    pool.parallelFor(static_cast<int64_t>(memory.size()) / kPiece, body);
  benchmark::DoNotOptimize(sums.data());
  state.counters["B/s"] = benchmark::Counter(
      static_cast<double>(memory.size()) * 4 *
          static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Args: rows, K, N.
void matmul(benchmark::State &state) {
  KernelRunner runner(machine());
  int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  Tensor x = Tensor::random(DType::F32, {m, k}, runner.rng);
  Tensor w = Tensor::random(DType::F32, {k, n}, runner.rng).packed();
  Tensor y = Tensor::zeros(DType::F32, {m, n});
  runner.step("matmul");
  runStep(state, runner, {&x, &w}, {&y}, 4.0 * static_cast<double>(k * n));
}

/// Args: tokens, experts, k, hidden, intermediate, gated.
void experts(benchmark::State &state) {
  KernelRunner runner(machine());
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

/// Floats, or codes for them.
struct WeightType {
  DType dtype = DType::F32;
  std::optional<QuantFormat> format;
};

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
  KernelRunner runner(machine());
  int64_t rows = state.range(0) * kUsed;
  Tensor x = Tensor::random(DType::F32, {rows, kHidden}, runner.rng);
  Tensor counts = Tensor::zeros(DType::I32, {kExperts});
  Tensor w1 = expertMatrix(type, kExperts, kHidden, kInner, runner);
  Tensor w2 = expertMatrix(type, kExperts, kInner, kHidden, runner);
  Tensor w3 = expertMatrix(type, kExperts, kHidden, kInner, runner);
  Tensor y = Tensor::zeros(DType::F32, {rows, kHidden});
  Tensor absent = Tensor::absent();
  runner.step("experts").with("activation", "silu").with("gating", "split");
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
          active * bytes, route);
}

/// Args: batch, heads, queries, keys, depth.
void attention(benchmark::State &state) {
  KernelRunner runner(machine());
  int64_t B = state.range(0), H = state.range(1), S = state.range(2);
  int64_t T = state.range(3), D = state.range(4);
  Tensor q = Tensor::random(DType::F32, {B, H, S, D}, runner.rng);
  Tensor k = Tensor::random(DType::F32, {B, H, T, D}, runner.rng);
  Tensor v = Tensor::random(DType::F32, {B, H, T, D}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {B, H, S, D});
  runner.step("attention").with("scale", 0.1).with("causal", 1);
  runStep(state, runner, {&q, &k, &v}, {&y},
          8.0 * static_cast<double>(B * H * T * D));
}

/// Args: elements; the program is a * silu(x + b).
void elementwise(benchmark::State &state) {
  KernelRunner runner(machine());
  int64_t n = state.range(0);
  Tensor x = Tensor::random(DType::F32, {n}, runner.rng);
  Tensor a = Tensor::random(DType::F32, {n}, runner.rng);
  Tensor b = Tensor::f32({1}, {0.5f}), y = Tensor::zeros(DType::F32, {n});
  runner.step("elementwise")
      .instr("add", DType::F32, 0, 2)
      .instr("silu", DType::F32, 3)
      .instr("mul", DType::F32, 1, 4)
      .results({5});
  runStep(state, runner, {&x, &a, &b}, {&y}, 12.0 * static_cast<double>(n));
}

/// Args: rows, width.
void norm(benchmark::State &state) {
  KernelRunner runner(machine());
  int64_t rows = state.range(0), width = state.range(1);
  Tensor x = Tensor::random(DType::F32, {rows, width}, runner.rng);
  Tensor scale = Tensor::random(DType::F32, {width}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {rows, width});
  runner.step("norm").with("kind", "layer").with("axis", 1);
  runner.with("epsilon", 1e-5);
  runStep(state, runner, {&x, &scale}, {&y},
          8.0 * static_cast<double>(rows * width));
}

/// Args: tokens, experts, k.
void gate(benchmark::State &state) {
  KernelRunner runner(machine());
  int64_t tokens = state.range(0), E = state.range(1), k = state.range(2);
  Tensor logits = Tensor::random(DType::F32, {tokens, E}, runner.rng);
  Tensor weights = Tensor::zeros(DType::F32, {tokens, k});
  Tensor chosen = Tensor::zeros(DType::I32, {tokens, k});
  runner.step("gate").with("k", k).with("normalize", "sum_max");
  runStep(state, runner, {&logits}, {&weights, &chosen},
          4.0 * static_cast<double>(tokens * E));
}

} // namespace

BENCHMARK(peakMultiplyAdd)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(readBandwidth)->UseRealTime()->Unit(benchmark::kMillisecond);
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
BENCHMARK_CAPTURE(layerA, int4, WeightType{DType::F32, QuantFormat{4, 32}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256);
BENCHMARK(attention)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 4, 1, 129, 28})
    ->Args({1, 4, 256, 256, 28})
    ->Args({1, 16, 1, 2048, 128})
    ->Args({1, 16, 512, 512, 64});
BENCHMARK(elementwise)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({112})
    ->Args({1 << 20});
BENCHMARK(norm)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 112})
    ->Args({256, 112})
    ->Args({256, 4096});
BENCHMARK(gate)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 8, 1})
    ->Args({256, 128, 8});

BENCHMARK_MAIN();
