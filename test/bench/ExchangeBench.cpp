//===- ExchangeBench.cpp - Speed of the exchange between threads ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks are threads of this process, each with one thread of its own. The
// first row is what can be reached: the same ranks copy as many bytes at the
// same time. Bytes count once, of all rows of all ranks. Compare ratios.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <benchmark/benchmark.h>

#include <barrier>
#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

std::string bestIsa() {
  for (const cpu::Isa *isa : cpu::allIsas())
    if (isa->isSupported())
      return std::string(isa->name);
  return "portable";
}

/// Runs batches of a function on one thread for each rank.
class Ranks {
public:
  explicit Ranks(int numRanks) : meeting(numRanks + 1) {}
  ~Ranks() {
    body = nullptr;
    meeting.arrive_and_wait();
    for (std::thread &thread : threads)
      thread.join();
  }
  /// Calls body(rank) `repeats` times on every rank and waits for all.
  void run(std::function<void(int)> function, int64_t count) {
    body = std::move(function);
    repeats = count;
    meeting.arrive_and_wait();
    meeting.arrive_and_wait();
  }
  void start(int numRanks) {
    for (int rank = 0; rank < numRanks; ++rank)
      threads.emplace_back([this, rank] {
        for (;;) {
          meeting.arrive_and_wait();
          if (!body)
            return;
          for (int64_t i = 0; i < repeats; ++i)
            body(rank);
          meeting.arrive_and_wait();
        }
      });
  }

private:
  std::barrier<> meeting;
  std::function<void(int)> body;
  int64_t repeats = 0;
  std::vector<std::thread> threads;
};

constexpr int64_t kBatch = 32;

void countBytes(benchmark::State &state, int64_t bytesPerRun) {
  state.counters["B/s"] = benchmark::Counter(
      static_cast<double>(bytesPerRun) *
          static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

/// Args: ranks, rows of each rank, elements of a row.
void copy(benchmark::State &state) {
  auto numRanks = static_cast<int>(state.range(0));
  auto bytes = static_cast<size_t>(state.range(1) * state.range(2) * 4);
  std::vector<std::vector<char>> from(numRanks), to(numRanks);
  for (int rank = 0; rank < numRanks; ++rank) {
    from[rank].assign(bytes, 1);
    to[rank].assign(bytes, 2);
  }
  Ranks ranks(numRanks);
  ranks.start(numRanks);
  // What one rank reads, another one wrote.
  auto body = [&](int rank) {
    std::memcpy(to[rank].data(), from[(rank + 1) % numRanks].data(), bytes);
    benchmark::ClobberMemory();
  };
  while (state.KeepRunningBatch(kBatch))
    ranks.run(body, kBatch);
  countBytes(state, numRanks * static_cast<int64_t>(bytes));
}

/// One rank of an exchange there or back.
struct RankStep {
  KernelRunner runner{Machine{bestIsa(), 1}};
  Tensor rows, counts, received, local, route, back;
  std::unique_ptr<PreparedStep> there, step;
};

/// Args: ranks, rows of each rank, elements of a row, experts of a rank; and
/// whether it is the way back.
void exchange(benchmark::State &state) {
  auto numRanks = static_cast<int>(state.range(0));
  int64_t rows = state.range(1), width = state.range(2);
  int64_t numExperts = state.range(3) * numRanks;
  bool isBack = state.range(4);
  plan::LayerT layer;
  layer.experts = static_cast<int>(numExperts);
  for (int64_t e = 0; e < numExperts; ++e) {
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
    layer.places.back()->ranks = {static_cast<uint32_t>(e / state.range(3))};
  }
  auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(60));
  std::vector<std::unique_ptr<RankStep>> steps;
  for (int rank = 0; rank < numRanks; ++rank) {
    RankStep &step = *steps.emplace_back(std::make_unique<RankStep>());
    std::vector<int32_t> counts(numExperts);
    for (int64_t i = 0; i < rows; ++i)
      ++counts[i % numExperts];
    step.rows = Tensor::zeros(DType::F32, {rows, width});
    step.counts = Tensor::i32({numExperts}, counts);
    step.received = Tensor::zeros(DType::F32, {rows * numRanks, width});
    step.local = Tensor::zeros(DType::I32, {state.range(3)});
    step.route = Tensor::zeros(DType::I32, {numRanks, numExperts});
    step.back = step.rows;
    step.runner.onRank(*comms[rank], &layer);
    auto there = step.runner.step("all_to_all")
                     .learning({rows * numRanks})
                     .prepare({&step.rows, &step.counts},
                              {&step.received, &step.local, &step.route});
    if (!there.isOk())
      return state.SkipWithError(there.status().message().c_str());
    step.there = *std::move(there);
    auto back =
        step.runner.step("all_to_all_back")
            .prepare({&step.received, &step.route, &step.counts}, {&step.back});
    if (!back.isOk())
      return state.SkipWithError(back.status().message().c_str());
    step.step = *std::move(back);
  }
  Ranks ranks(numRanks);
  ranks.start(numRanks);
  std::atomic<bool> isOk = true;
  auto there = [&](int rank) {
    if (!steps[rank]->there->run().isOk())
      isOk = false;
  };
  auto back = [&](int rank) {
    if (!steps[rank]->step->run().isOk())
      isOk = false;
  };
  ranks.run(there, 1);
  while (state.KeepRunningBatch(kBatch)) {
    if (isBack)
      ranks.run(back, kBatch);
    else
      ranks.run(there, kBatch);
  }
  if (!isOk)
    state.SkipWithError("an exchange failed");
  countBytes(state, numRanks * rows * width * 4);
}

BENCHMARK(copy)
    ->ArgNames({"ranks", "rows", "width"})
    ->Args({2, 8, 128})
    ->Args({2, 4096, 1024})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(exchange)
    ->ArgNames({"ranks", "rows", "width", "experts", "back"})
    // One rank has nobody to wait for: what the step itself costs. Then one row
    // for each of two ranks, and as many as a long prompt has.
    ->Args({1, 8, 128, 8, 0})
    ->Args({1, 8, 128, 8, 1})
    ->Args({2, 2, 128, 1, 0})
    ->Args({2, 2, 128, 1, 1})
    ->Args({2, 8, 128, 4, 0})
    ->Args({2, 8, 128, 4, 1})
    ->Args({2, 4096, 1024, 1, 0})
    ->Args({2, 4096, 1024, 1, 1})
    ->Args({2, 4096, 1024, 4, 0})
    ->Args({2, 4096, 1024, 4, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

} // namespace

BENCHMARK_MAIN();
