//===- BenchStep.cpp - Steps against what the machine can do --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/bench/BenchStep.h"

#include "runtime/kernels/cpu/Isa.h"
#include "runtime/support/Cores.h"
#include "tools/peaks/Peaks.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace moe;
using namespace moe::test;
using namespace moe::tools;

static Machine findMachine() {
  const char *isa = std::getenv("MOE_CPU_ISA");
  const char *threads = std::getenv("MOE_BENCH_THREADS");
  Machine result{isa ? isa : "portable",
                 threads ? std::atoi(threads) : coreBudget().numThreads()};
  for (const cpu::Isa *each : cpu::allIsas())
    if (!isa && each->isSupported()) {
      result.isa = each->name;
      break;
    }
  return result;
}

const Machine &moe::test::benchMachine() {
  static const Machine machine = findMachine();
  return machine;
}

static PeakMeter &peakMeter() {
  static std::unique_ptr<PeakMeter> meter = [] {
    StatusOr<std::unique_ptr<PeakMeter>> made =
        PeakMeter::create(benchMachine().threads);
    if (!made.isOk()) {
      std::fprintf(stderr, "%s\n", made.status().message().c_str());
      std::exit(made.status().exitCode());
    }
    return *std::move(made);
  }();
  return *meter;
}

static const Peaks &machinePeaks() {
  static const Peaks peaks = peakMeter().measure();
  return peaks;
}

static benchmark::Counter rate(double value) {
  return benchmark::Counter(value, benchmark::Counter::kIsRate,
                            benchmark::Counter::kIs1000);
}

/// `flops` of all runs, which took `seconds`.
static void setRates(benchmark::State &state, StepBytes bytes, double flops,
                     double seconds) {
  auto runs = static_cast<double>(state.iterations());
  state.counters["B/s"] = rate(bytes.bytes * runs);
  if (flops > 0)
    state.counters["flop/s"] = rate(flops);
  Peaks peaks = best(machinePeaks(), peakMeter().again(machinePeaks()));
  double caches = static_cast<double>(kCacheFactor * lastLevelCacheBytes());
  Floor floor = Floor::of(bytes.bytes * runs, flops, peaks.bandwidth,
                          bytes.isInt8 ? peaks.int8Operations : peaks.flops);
  if (floor.isMemory && !bytes.isCold && bytes.bytes < caches)
    return;
  state.counters["percent_of_floor"] = 100 * floor.seconds / seconds;
}

void moe::test::runStep(benchmark::State &state, KernelRunner &runner,
                        const std::vector<const Tensor *> &inputs,
                        const std::vector<Tensor *> &outputs, StepBytes bytes,
                        const std::function<void()> &before) {
  auto prepared = runner.prepare(inputs, outputs);
  if (!prepared.isOk())
    return state.SkipWithError(prepared.status().message().c_str());
  auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    before();
    if (Status status = (*prepared)->run(); !status.isOk())
      return state.SkipWithError(status.message().c_str());
  }
  std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - begin;
  setRates(state, bytes, static_cast<double>(runner.counters.flops),
           elapsed.count());
}

void moe::test::machineRates(benchmark::State &state) {
  Peaks peaks = machinePeaks();
  for (auto _ : state)
    peaks = peakMeter().again(peaks);
  auto counter = [](double value) {
    return benchmark::Counter(value, benchmark::Counter::kDefaults,
                              benchmark::Counter::kIs1000);
  };
  state.counters["B/s"] = counter(peaks.bandwidth);
  state.counters["flop/s"] = counter(peaks.flops);
  state.counters["int8 op/s"] = counter(peaks.int8Operations);
}
