//===- BenchStep.h - Steps against what the machine can do ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counters of a benchmark: "B/s", "flop/s" and, where a floor is known,
// "percent_of_floor" (tools/peaks). The environment variable MOE_BENCH_THREADS
// says how many threads run (default: one for each core), MOE_CPU_ISA which
// instruction set.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_BENCH_BENCHSTEP_H
#define MOE_TEST_BENCH_BENCHSTEP_H

#include "test/cts/kernels/KernelRunner.h"

#include <benchmark/benchmark.h>

#include <functional>
#include <vector>

namespace moe::test {

/// The instruction set and the threads of all benchmarks.
const Machine &benchMachine();

/// What a run of a step reads and writes.
struct StepBytes {
  double bytes = 0;
  /// They come from memory, because others pass by before they are used again.
  /// Else memory sets no floor, unless they exceed all caches themselves.
  bool isCold = false;
  /// Rows are rounded and multiplied as integers: their peak sets the floor.
  bool isInt8 = false;

  StepBytes(double bytes, bool isCold = false, bool isInt8 = false)
      : bytes(bytes), isCold(isCold), isInt8(isInt8) {}
};

/// Runs one step for as long as the benchmark wants, `before` each run once.
void runStep(
    benchmark::State &state, KernelRunner &runner,
    const std::vector<const Tensor *> &inputs,
    const std::vector<Tensor *> &outputs, StepBytes bytes,
    const std::function<void()> &before = [] {});

/// A benchmark that measures what all floors are made from: its counters are
/// "B/s" of reading, "flop/s" of f32 and "int8 op/s".
void machineRates(benchmark::State &state);

} // namespace moe::test

#endif // MOE_TEST_BENCH_BENCHSTEP_H
