//===- LayerBench.cpp - Time of one expert layer --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerBench.h"

#include "runtime/exec/Executable.h"
#include "tools/common/Progress.h"
#include "tools/common/Signals.h"
#include "tools/common/Table.h"
#include "tools/moe-run/LayerPlan.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <unistd.h>

using namespace moe;
using namespace moe::tools;

static constexpr size_t kWarmUpRuns = 3, kMinRuns = 10;
/// Routings in turn, and the memory for all of them.
static constexpr size_t kMostRoutings = 64, kFewestRoutings = 4;
static constexpr uint64_t kRoutingBytes = 64 << 20;
/// Multiplications in double that a check may take, and its samples.
static constexpr double kCheckedOperations = 6e7;
static constexpr size_t kMostSamples = 8;
static constexpr int64_t kColumns = 4;
/// For what is rounded up to pages.
static constexpr uint64_t kSpareBytes = 64 << 20;

/// What the timed runs of a cell leave behind.
struct LayerBench::Recorded {
  std::vector<double> milliseconds, overheads;
  std::vector<std::vector<double>> steps;
  std::vector<Sample> samples;
};

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

static uint64_t machineBytes() {
  long pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || pageBytes <= 0)
    return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(pageBytes);
}

static uint64_t routingBytes(const LayerSpec &spec, int64_t tokens) {
  return static_cast<uint64_t>(tokens) *
         static_cast<uint64_t>(4 * spec.experts + 12 * spec.k);
}

/// Says what does not fit before any of it is reserved.
static Status checkMemory(const LayerSpec &spec, uint64_t weights,
                          int64_t tokens, uint64_t limit) {
  uint64_t rows = static_cast<uint64_t>(tokens) *
                  static_cast<uint64_t>(2 * spec.k + 2) *
                  static_cast<uint64_t>(spec.hidden) * 4;
  uint64_t routings = std::max<uint64_t>(
      kFewestRoutings * routingBytes(spec, tokens), kRoutingBytes);
  uint64_t meter = PeakMeter::memoryBytes();
  double sum = static_cast<double>(weights) + static_cast<double>(rows) +
               static_cast<double>(routings) + static_cast<double>(meter);
  if (sum <= static_cast<double>(limit))
    return Status::ok();
  return Status(StatusCode::OutOfMemory,
                "--layer needs " + bytesText(weights) + " for the weights of " +
                    std::to_string(spec.allExperts()) + " experts, " +
                    bytesText(rows) + " for rows, " + bytesText(routings) +
                    " for routings and " + bytesText(meter) +
                    " to measure the bandwidth, more than the limit of " +
                    bytesText(limit) + " (see --memory)");
}

StatusOr<LayerBench> LayerBench::create(const LayerSpec &spec,
                                        const LayerBenchOptions &options,
                                        int64_t mostTokens) {
  LayerBench bench(spec, options);
  MOE_ASSIGN_OR_RETURN(bench.expertBytes, tools::expertBytes(spec));
  uint64_t limit =
      options.memoryLimit > 0 ? options.memoryLimit : machineBytes();
  MOE_RETURN_IF_ERROR(
      checkMemory(spec, bench.weightBytes(), mostTokens, limit));
  MOE_ASSIGN_OR_RETURN(
      bench.model,
      loadLayer(spec, options.seed, bench.weightBytes() + kSpareBytes));
  ContextOptions contextOptions;
  contextOptions.numThreads = options.threads;
  contextOptions.memoryLimit = limit;
  MOE_ASSIGN_OR_RETURN(bench.theContext,
                       Context::create(bench.model, contextOptions));
  MOE_RETURN_IF_ERROR(bench.theContext->prepare({{"tokens", mostTokens}}));
  MOE_RETURN_IF_ERROR(bench.theContext->initialize());
  MOE_ASSIGN_OR_RETURN(bench.meter,
                       PeakMeter::create(bench.theContext->numThreads()));
  bench.lastPeaks = bench.meter->measure();

  std::mt19937_64 random(options.seed);
  bench.x.resize(static_cast<size_t>(mostTokens * spec.hidden));
  for (float &value : bench.x)
    value =
        static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-52 - 1);
  return bench;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

std::vector<int64_t> LayerBench::sampledColumns() const {
  std::vector<int64_t> columns;
  for (int64_t i = 0; i < std::min(kColumns, spec.hidden); ++i)
    columns.push_back(i * (spec.hidden - 1) /
                      std::max<int64_t>(kColumns - 1, 1));
  return columns;
}

Status LayerBench::runOnce(int64_t tokens, const std::vector<Routing> &routings,
                           size_t run, Recorded *recorded) {
  const Routing &routing = routings[run % routings.size()];
  auto copy = static_cast<int64_t>(run % static_cast<size_t>(spec.copies));
  auto first = static_cast<int32_t>(copy * spec.experts);
  const int64_t xDims[] = {tokens, spec.hidden};
  const int64_t logitDims[] = {tokens, spec.experts};
  const int64_t firstDims[] = {1};
  const Input inputs[] = {
      {"x", DType::F32, xDims, x.data()},
      {"logits", DType::F32, logitDims, routing.logits.data()},
      {"first", DType::I32, firstDims, &first}};
  RunOptions runOptions;
  runOptions.timeSteps = true;
  Stopwatch watch;
  StatusOr<std::span<const Output>> outputs = theContext->run(
      std::span(inputs).first(spec.copies > 1 ? 3 : 2), runOptions);
  double milliseconds = watch.milliseconds();
  MOE_RETURN_IF_ERROR(outputs.status());
  if (!recorded)
    return Status::ok();

  recorded->milliseconds.push_back(milliseconds);
  double inSteps = 0;
  for (const StepTime &time : theContext->stepTimes()) {
    double microseconds = static_cast<double>(time.end - time.begin) / 1e3;
    recorded->steps[time.step].push_back(microseconds);
    inSteps += microseconds;
  }
  recorded->overheads.push_back(milliseconds * 1e3 - inSteps);
  Sample sample;
  sample.run = run;
  sample.token = static_cast<int64_t>(run * 7919 % static_cast<size_t>(tokens));
  const auto *y = static_cast<const float *>((*outputs)[0].data);
  for (int64_t column : sampledColumns())
    sample.values.push_back(y[sample.token * spec.hidden + column]);
  recorded->samples.push_back(std::move(sample));
  return Status::ok();
}

StatusOr<LayerCell> LayerBench::measure(int64_t tokens,
                                        const RoutingKind &routing) {
  size_t count =
      std::clamp<uint64_t>(kRoutingBytes / routingBytes(spec, tokens),
                           kFewestRoutings, kMostRoutings);
  std::vector<Routing> routings = makeRoutings(routing, tokens, spec.experts,
                                               spec.k, count, options.seed + 1);
  for (size_t run = 0; run < kWarmUpRuns; ++run)
    MOE_RETURN_IF_ERROR(runOnce(tokens, routings, run, nullptr));
  Peaks peaks = meter->again(lastPeaks);
  Recorded recorded;
  recorded.steps.resize(model->numSteps());
  Progress progress("run", 0);
  Stopwatch watch;
  for (size_t run = kWarmUpRuns; recorded.milliseconds.size() < kMinRuns ||
                                 watch.milliseconds() < options.seconds * 1e3;
       ++run) {
    MOE_RETURN_IF_ERROR(interruption());
    MOE_RETURN_IF_ERROR(runOnce(tokens, routings, run, &recorded));
    progress.update(static_cast<int64_t>(recorded.milliseconds.size()));
  }
  // On a shared machine the rates may have changed meanwhile.
  peaks = best(peaks, meter->again(lastPeaks));
  LayerCell cell;
  cell.tokens = tokens;
  cell.routing = routing.name;
  cell.runs = recorded.milliseconds.size();
  cell.milliseconds = summarize(recorded.milliseconds);
  cell.overheadMicroseconds = summarize(recorded.overheads).median;
  for (const std::vector<double> &times : recorded.steps)
    cell.stepMicroseconds.push_back(summarize(times).median);
  setFloor(cell, routings, peaks);
  MOE_RETURN_IF_ERROR(check(tokens, routings, recorded.samples, cell));
  return cell;
}

void LayerBench::setFloor(LayerCell &cell, const std::vector<Routing> &routings,
                          const Peaks &peaks) const {
  cell.bandwidth = peaks.bandwidth;
  cell.peak = spec.roundsRows ? peaks.int8Operations : peaks.flops;
  auto tokens = static_cast<double>(cell.tokens);
  cell.operations =
      tokens * static_cast<double>(spec.k) * spec.operationsPerRow();
  double rows = 2 * tokens * static_cast<double>(spec.hidden) * 4;
  auto runs = static_cast<double>(cell.runs);
  double seconds = 0, inMemory = 0, active = 0;
  for (size_t i = 0; i < cell.runs; ++i) {
    const Routing &routing = routings[(kWarmUpRuns + i) % routings.size()];
    auto each = static_cast<double>(routing.active.size());
    double bytes = each * static_cast<double>(expertBytes) + rows;
    Floor floor = Floor::of(isCold() ? bytes : 0, cell.operations,
                            cell.bandwidth, cell.peak);
    active += each;
    seconds += floor.seconds;
    inMemory += floor.isMemory ? 1 : 0;
  }
  cell.activeExperts = active / runs;
  cell.bytes = cell.activeExperts * static_cast<double>(expertBytes) + rows;
  cell.floor = {seconds / runs, 2 * inMemory >= runs};
}

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

StatusOr<StoredExpert> LayerBench::storedExpert(int32_t expert) const {
  const Executable &executable = *model->executable();
  StoredExpert stored;
  int param = 0, place = 0;
  for (const LayerParam &given : paramsOf(spec)) {
    auto &slot = stored.params[place++];
    if (given.name.empty())
      continue;
    MOE_ASSIGN_OR_RETURN(
        slot,
        StoredMatrix::create(executable.blocksOf(0, param)[expert],
                             executable.layoutOf(param), given.dtype,
                             std::max<int64_t>(given.rows, 1), given.columns));
    ++param;
  }
  return stored;
}

Status LayerBench::check(int64_t tokens, const std::vector<Routing> &routings,
                         const std::vector<Sample> &samples,
                         LayerCell &cell) const {
  double each = static_cast<double>(spec.k) * spec.operationsPerRow() / 2;
  auto wanted = static_cast<size_t>(kCheckedOperations / each);
  size_t count =
      std::min(std::clamp<size_t>(wanted, 1, kMostSamples), samples.size());
  std::vector<int64_t> columns = sampledColumns();
  for (size_t i = 0; i < count; ++i) {
    const Sample &sample = samples[i * samples.size() / count];
    const Routing &routing = routings[sample.run % routings.size()];
    auto k = static_cast<size_t>(spec.k);
    size_t at = static_cast<size_t>(sample.token) * k;
    TokenRoute route;
    route.x = std::span(x).subspan(sample.token * spec.hidden, spec.hidden);
    route.experts = std::span(routing.chosen).subspan(at, k);
    route.weights = std::span(routing.weights).subspan(at, k);
    auto copy =
        static_cast<int32_t>(sample.run % static_cast<size_t>(spec.copies));
    auto first = copy * static_cast<int32_t>(spec.experts);
    MOE_ASSIGN_OR_RETURN(
        std::vector<CheckedValue> expected,
        layerOutputs(spec, route, columns, [&](int32_t expert) {
          return storedExpert(first + expert);
        }));
    for (size_t j = 0; j < columns.size(); ++j) {
      double off = std::abs(sample.values[j] - expected[j].value);
      // Also if it is no number.
      if (!(off <= toleranceOf(spec) * expected[j].magnitude + 1e-30))
        return Status(StatusCode::Internal,
                      "wrong result with " + std::to_string(tokens) +
                          " tokens: y[" + std::to_string(sample.token) + ", " +
                          std::to_string(columns[j]) + "] of run " +
                          std::to_string(sample.run) + " is " +
                          std::to_string(sample.values[j]) + ", expected " +
                          std::to_string(expected[j].value));
    }
    cell.numChecked += columns.size();
  }
  return Status::ok();
}
