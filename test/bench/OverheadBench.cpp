//===- OverheadBench.cpp - What steps cost besides their work -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Times of empty work: one call of parallelFor, and a plan of 200 steps, of
// which the counter `step` is one. Threads are the first argument.
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ThreadPool.h"
#include "test/unit/exec/TestProgram.h"

#include <benchmark/benchmark.h>

using namespace moe;
using namespace moe::test;

namespace {

constexpr int kSteps = 200;

benchmark::Counter secondsFor(double each) {
  return benchmark::Counter(each,
                            benchmark::Counter::kIsIterationInvariantRate |
                                benchmark::Counter::kInvert);
}

//===----------------------------------------------------------------------===//
// Threads and steps
//===----------------------------------------------------------------------===//

void parallelFor(benchmark::State &state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  for (auto _ : state)
    pool.parallelFor(state.range(1), [](int64_t, int) {});
}

class EmptyKernel final : public Kernel {
public:
  explicit EmptyKernel(bool usesThreads) : usesThreads(usesThreads) {}
  Status run(const KernelArgs &, StepContext &context) const override {
    if (usesThreads)
      context.pool.parallelFor(context.pool.numThreads(), [](int64_t, int) {});
    return Status::ok();
  }

private:
  bool usesThreads;
};

const KernelRegistry &emptyKernels() {
  static const KernelRegistry registry = [] {
    KernelRegistry result;
    for (bool usesThreads : {false, true})
      result.add(usesThreads ? "threads" : "nothing",
                 [=](const KernelSpec &) -> StatusOr<std::unique_ptr<Kernel>> {
                   return std::unique_ptr<Kernel>(
                       std::make_unique<EmptyKernel>(usesThreads));
                 });
    return result;
  }();
  return registry;
}

/// Args: threads, whether the steps use them.
void step(benchmark::State &state) {
  TestProgram program(1);
  program.symbol("batch", 0, 0);
  program.input("x", {"batch", "4"});
  program.output("y", {"batch", "4"});
  int x = program.inputBuffer(0, {"batch", "4"});
  for (int i = 1; i <= kSteps; ++i) {
    int y = i < kSteps ? program.arena({"batch", "4"})
                       : program.outputBuffer(0, {"batch", "4"});
    program.step(state.range(1) ? "threads" : "nothing", {x}, {y});
    x = y;
  }
  std::shared_ptr<Model> model = program.finish(nullptr, emptyKernels());
  ContextOptions options;
  options.numThreads = static_cast<int>(state.range(0));
  std::unique_ptr<Context> context = contextOf(model, options);
  std::vector<float> data(4, 1.0f);
  std::vector<int64_t> dims{1, 4};
  Input input = floats("x", dims, data);
  for (auto _ : state)
    if (auto outputs = context->run(std::span(&input, 1)); !outputs.isOk())
      return state.SkipWithError(outputs.status().message().c_str());
  state.counters["step"] = secondsFor(kSteps);
}

} // namespace

BENCHMARK(parallelFor)->UseRealTime()->Args({1, 2})->Args({2, 2})->Args({2, 8});
BENCHMARK(step)->UseRealTime()->Args({1, 0})->Args({2, 0})->Args({2, 1});

BENCHMARK_MAIN();
