//===- PlacementBench.cpp - How even placements are under Zipf loads ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each line is one problem: experts / ranks / 10 * s of Zipf(s), one spare slot
// on each rank. Counters: the slowest rank's rows over the mean, for experts in
// blocks, for the greedy scheme (replicate the most expensive expert, pack by
// price) and for placeByLoad, whose time is the line's.
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadPlacement.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <random>

using namespace moe::solver;

static LoadProblem makeProblem(int64_t experts, int64_t ranks, double s) {
  LoadProblem problem;
  for (int64_t e = 0; e < experts; ++e)
    problem.prefillRows.push_back(std::pow(e + 1, -s));
  std::shuffle(problem.prefillRows.begin(), problem.prefillRows.end(),
               std::mt19937_64(7));
  problem.decodeRows = problem.prefillRows;
  problem.ranks.assign(ranks, {1, 1, (experts + ranks - 1) / ranks + 1});
  return problem;
}

static void placeZipf(benchmark::State &state) {
  int64_t experts = state.range(0), ranks = state.range(1);
  LoadProblem problem =
      makeProblem(experts, ranks, static_cast<double>(state.range(2)) / 10);
  auto evenness = [&](const Placement &placement) {
    return imbalance(problem.rankSeconds(placement));
  };
  Placement placement;
  for (auto _ : state) {
    placement = *placeByLoad(problem);
    benchmark::DoNotOptimize(placement);
  }
  state.counters["blocks"] = evenness(*placeInBlocks({experts, ranks}));
  state.counters["greedy"] = evenness(*replicateAndPack(problem));
  state.counters["ours"] = evenness(placement);
}

BENCHMARK(placeZipf)
    ->ArgsProduct({{64, 128, 256}, {8, 16, 32}, {8, 10, 12}})
    ->Args({64, 64, 10})
    ->Args({128, 128, 12})
    ->Args({256, 256, 12})
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
