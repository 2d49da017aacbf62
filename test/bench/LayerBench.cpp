//===- LayerBench.cpp - Times of the layers around the experts ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One token and large tensors, against the machine's rates in the first row
// (see BenchStep.h) and those of a plain copy in the second. What is large is
// larger than all caches where a floor is shown. A kernel for one token should
// take less than a microsecond.
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ThreadPool.h"
#include "test/bench/BenchStep.h"

#include <benchmark/benchmark.h>

#include <cstring>

using namespace moe;
using namespace moe::test;

namespace {

benchmark::Counter rate(double value) {
  return benchmark::Counter(value, benchmark::Counter::kIsRate,
                            benchmark::Counter::kIs1000);
}

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

constexpr int64_t kLarge = 64 << 20; ///< bytes
constexpr int64_t kPiece = 1 << 20;

void copy(benchmark::State &state) {
  ThreadPool pool(benchMachine().threads);
  std::vector<char> from(kLarge, 1), to(kLarge, 2);
  auto body = [&](int64_t piece, int) {
    std::memcpy(to.data() + piece * kPiece, from.data() + piece * kPiece,
                kPiece);
  };
  for (auto _ : state)
    pool.parallelFor(kLarge / kPiece, body);
  state.counters["B/s"] =
      rate(2.0 * kLarge * static_cast<double>(state.iterations()));
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

/// Args: batch, heads, groups, queries, keys, depth.
void attention(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t B = state.range(0), H = state.range(1), G = state.range(2);
  int64_t S = state.range(3), T = state.range(4), D = state.range(5);
  Tensor q = Tensor::random(DType::F32, {B, H, S, D}, runner.rng);
  Tensor k = Tensor::random(DType::F32, {B, G, T, D}, runner.rng);
  Tensor v = Tensor::random(DType::F32, {B, G, T, D}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {B, H, S, D});
  runner.step("attention").with("scale", 0.1).with("causal", 1);
  runStep(state, runner, {&q, &k, &v}, {&y},
          8.0 * static_cast<double>(B * G * T * D));
}

/// The product of a router. Args: tokens, columns, experts.
void logits(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), width = state.range(1);
  int64_t experts = state.range(2);
  Tensor x = Tensor::random(DType::F32, {tokens, width}, runner.rng);
  Tensor w = Tensor::random(DType::F32, {width, experts}, runner.rng).packed();
  Tensor y = Tensor::zeros(DType::F32, {tokens, experts});
  runner.step("matmul");
  runStep(state, runner, {&x, &w}, {&y},
          4.0 * static_cast<double>(width * experts + tokens * width));
}

/// Args: tokens, experts, k.
void gate(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), experts = state.range(1), k = state.range(2);
  Tensor logits = Tensor::random(DType::F32, {tokens, experts}, runner.rng);
  Tensor weights = Tensor::zeros(DType::F32, {tokens, k});
  Tensor chosen = Tensor::zeros(DType::I32, {tokens, k});
  runner.step("gate").with("k", k).with("normalize", "sum_max");
  runStep(state, runner, {&logits}, {&weights, &chosen},
          4.0 * static_cast<double>(tokens * experts));
}

/// Each token's choices are neighbours, the first one moves on by one.
Tensor chosenExperts(int64_t tokens, int64_t k, int64_t experts) {
  std::vector<int32_t> values(tokens * k);
  for (int64_t i = 0; i < tokens * k; ++i)
    values[i] = static_cast<int32_t>((i / k + i % k) % experts);
  return Tensor::i32({tokens, k}, values);
}

/// Product, gate and dispatch in one. Args: tokens, columns, experts, k.
void router(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), width = state.range(1);
  int64_t experts = state.range(2), k = state.range(3);
  Tensor x = Tensor::random(DType::F32, {tokens, width}, runner.rng);
  Tensor w = Tensor::random(DType::F32, {width, experts}, runner.rng).packed();
  Tensor none = Tensor::absent();
  Tensor weights = Tensor::zeros(DType::F32, {tokens, k});
  Tensor chosen = Tensor::zeros(DType::I32, {tokens, k}), slots = chosen;
  Tensor rows = Tensor::zeros(DType::F32, {tokens * k, width});
  Tensor counts = Tensor::zeros(DType::I32, {experts});
  runner.step("router").with("k", k).with("normalize", "sum_max");
  runner.with("num_experts", experts);
  runStep(state, runner, {&x, &w, &none, &none, &none, &none, &none, &x},
          {&weights, &chosen, &rows, &counts, &slots},
          4.0 * static_cast<double>(width * (experts + (1 + k) * tokens)));
}

/// Args: tokens, experts, k, columns.
void dispatch(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), experts = state.range(1);
  int64_t k = state.range(2), width = state.range(3);
  Tensor x = Tensor::random(DType::F32, {tokens, width}, runner.rng);
  Tensor chosen = chosenExperts(tokens, k, experts);
  Tensor rows = Tensor::zeros(DType::F32, {tokens * k, width});
  Tensor counts = Tensor::zeros(DType::I32, {experts});
  Tensor slots = Tensor::zeros(DType::I32, {tokens, k});
  runner.step("dispatch").with("num_experts", experts);
  runStep(state, runner, {&x, &chosen}, {&rows, &counts, &slots},
          4.0 * static_cast<double>(tokens * (k + 1) * width));
}

/// Args: tokens, k, columns.
void combine(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), k = state.range(1), width = state.range(2);
  Tensor rows = Tensor::random(DType::F32, {tokens * k, width}, runner.rng);
  std::vector<int32_t> order(tokens * k);
  for (int64_t i = 0; i < tokens * k; ++i)
    order[i] = static_cast<int32_t>(i % k * tokens + i / k);
  Tensor slots = Tensor::i32({tokens, k}, order);
  Tensor weights = Tensor::random(DType::F32, {tokens, k}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {tokens, width});
  runner.step("combine");
  runStep(state, runner, {&rows, &slots, &weights}, {&y},
          4.0 * static_cast<double>(tokens * (k + 1) * width));
}

/// Args: rows, columns.
void norm(benchmark::State &state, const char *kind) {
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0), width = state.range(1);
  Tensor x = Tensor::random(DType::F32, {rows, width}, runner.rng);
  Tensor scale = Tensor::random(DType::F32, {width}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {rows, width});
  runner.step("norm").with("kind", kind).with("axis", 1);
  runner.with("epsilon", 1e-5);
  runStep(state, runner, {&x, &scale}, {&y},
          8.0 * static_cast<double>(rows * width));
}

/// Args: rows, columns.
void softmax(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0), width = state.range(1);
  Tensor x = Tensor::random(DType::F32, {rows, width}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {rows, width});
  runner.step("softmax").with("axis", 1);
  runStep(state, runner, {&x}, {&y}, 8.0 * static_cast<double>(rows * width));
}

/// Args: elements; x + y.
void add(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t count = state.range(0);
  Tensor x = Tensor::random(DType::F32, {count}, runner.rng);
  Tensor y = Tensor::random(DType::F32, {count}, runner.rng);
  Tensor z = Tensor::zeros(DType::F32, {count});
  runner.step("elementwise").instr("add", DType::F32, 0, 1).results({2});
  runStep(state, runner, {&x, &y}, {&z}, 12.0 * static_cast<double>(count));
}

/// Args: elements; x + y of f16.
void addHalf(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t count = state.range(0);
  Tensor x = Tensor::random(DType::F16, {count}, runner.rng);
  Tensor y = Tensor::random(DType::F16, {count}, runner.rng);
  Tensor z = Tensor::zeros(DType::F16, {count});
  runner.step("elementwise").instr("add", DType::F16, 0, 1).results({2});
  runStep(state, runner, {&x, &y}, {&z}, 6.0 * static_cast<double>(count));
}

/// Args: rows, columns; gelu(x + b) with a b for each column.
void geluOfSum(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0), width = state.range(1);
  Tensor x = Tensor::random(DType::F32, {rows, width}, runner.rng);
  Tensor b = Tensor::random(DType::F32, {width}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, {rows, width});
  runner.step("elementwise")
      .instr("add", DType::F32, 0, 1)
      .instr("gelu_erf", DType::F32, 2)
      .results({3});
  runStep(state, runner, {&x, &b}, {&y},
          8.0 * static_cast<double>(rows * width));
}

/// Args: elements; y * silu(x + b).
void program(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t count = state.range(0);
  Tensor x = Tensor::random(DType::F32, {count}, runner.rng);
  Tensor y = Tensor::random(DType::F32, {count}, runner.rng);
  Tensor b = Tensor::f32({1}, {0.5f}), z = Tensor::zeros(DType::F32, {count});
  runner.step("elementwise")
      .instr("add", DType::F32, 0, 2)
      .instr("silu", DType::F32, 3)
      .instr("mul", DType::F32, 1, 4)
      .results({5});
  runStep(state, runner, {&x, &y, &b}, {&z}, 12.0 * static_cast<double>(count));
}

/// Args: tokens, heads, depth.
void rotary(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t tokens = state.range(0), heads = state.range(1);
  int64_t depth = state.range(2);
  std::vector<int64_t> dims{1, heads, tokens, depth};
  Tensor x = Tensor::random(DType::F32, dims, runner.rng);
  Tensor cos = Tensor::random(DType::F32, {1, tokens, depth / 2}, runner.rng);
  Tensor sin = Tensor::random(DType::F32, {1, tokens, depth / 2}, runner.rng);
  Tensor y = Tensor::zeros(DType::F32, dims);
  runner.step("rotary").with("rotary_dim", depth);
  runStep(state, runner, {&x, &cos, &sin}, {&y},
          8.0 * static_cast<double>(tokens * heads * depth));
}

/// Args: rows, columns; rows of an embedding.
void gather(benchmark::State &state) {
  KernelRunner runner(benchMachine());
  int64_t rows = state.range(0), width = state.range(1);
  Tensor table = Tensor::random(DType::F32, {2 * rows, width}, runner.rng);
  std::vector<int64_t> order(rows);
  for (int64_t i = 0; i < rows; ++i)
    order[i] = (i * 7) % (2 * rows);
  Tensor ids = Tensor::i64({rows}, order);
  Tensor y = Tensor::zeros(DType::F32, {rows, width});
  runner.step("gather").with("axis", 0);
  runStep(state, runner, {&table, &ids}, {&y},
          8.0 * static_cast<double>(rows * width));
}

} // namespace

BENCHMARK(machineRates)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(copy)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(attention)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({1, 4, 4, 1, 129, 28}) // tiny model, one token
    ->Args({1, 16, 16, 1, 512, 128})
    ->Args({1, 16, 16, 1, 4097, 128})
    ->Args({1, 16, 4, 1, 4097, 128}) // four heads share keys
    ->Args({1, 32, 1, 1, 4097, 128}) // all heads share keys
    ->Args({1, 1, 1, 1, 32768, 128})
    ->Args({1, 16, 16, 512, 512, 128})
    ->Args({1, 16, 4, 512, 512, 128})
    ->Args({1, 16, 16, 512, 512, 64})
    ->Args({1, 16, 16, 256, 256, 64})
    ->Args({1, 8, 8, 2048, 2048, 128})
    ->Args({1, 4, 4, 256, 256, 28})
    ->Args({8, 16, 16, 1, 2049, 128}); // from memory
BENCHMARK(logits)
    ->UseRealTime()
    ->Args({1, 256, 8})
    ->Args({1, 2048, 64})
    ->Args({32, 2048, 64})
    ->Args({512, 2048, 128});
BENCHMARK(router)
    ->UseRealTime()
    ->Args({1, 256, 8, 2})
    ->Args({1, 2048, 64, 8})
    ->Args({32, 2048, 64, 8})
    ->Args({512, 2048, 128, 8});
BENCHMARK(gate)
    ->UseRealTime()
    ->Args({1, 8, 2})
    ->Args({1, 64, 8})
    ->Args({32, 64, 8})
    ->Args({512, 128, 8})
    ->Args({1 << 19, 128, 8});
BENCHMARK(dispatch)
    ->UseRealTime()
    ->Args({1, 8, 2, 256})
    ->Args({1, 64, 8, 2048})
    ->Args({32, 64, 8, 2048})
    ->Args({512, 128, 8, 2048})
    ->Args({4096, 128, 8, 2048});
BENCHMARK(combine)
    ->UseRealTime()
    ->Args({1, 2, 256})
    ->Args({1, 8, 2048})
    ->Args({512, 8, 2048})
    ->Args({4096, 8, 2048});
BENCHMARK_CAPTURE(norm, rms, "rms")
    ->UseRealTime()
    ->Args({1, 256})
    ->Args({1, 2048})
    ->Args({4096, 2048})
    ->Args({32768, 2048});
BENCHMARK_CAPTURE(norm, layer, "layer")
    ->UseRealTime()
    ->Args({1, 2048})
    ->Args({4096, 2048})
    ->Args({32768, 2048});
BENCHMARK(softmax)
    ->UseRealTime()
    ->Args({1, 2048})
    ->Args({4096, 2048})
    ->Args({32768, 2048});
BENCHMARK(add)->UseRealTime()->Arg(256)->Arg(2048)->Arg(8 << 20)->Arg(32 << 20);
BENCHMARK(addHalf)->UseRealTime()->Arg(32 << 20);
BENCHMARK(geluOfSum)->UseRealTime()->Args({16384, 2048});
BENCHMARK(program)->UseRealTime()->Arg(256)->Arg(2048)->Arg(8 << 20)->Arg(
    32 << 20);
BENCHMARK(rotary)
    ->UseRealTime()
    ->Args({1, 16, 128})
    ->Args({4096, 16, 128})
    ->Args({16384, 16, 128})
    ->Args({32768, 16, 128});
BENCHMARK(gather)
    ->UseRealTime()
    ->Args({1, 2048})
    ->Args({4096, 2048})
    ->Args({32768, 2048});

BENCHMARK_MAIN();
