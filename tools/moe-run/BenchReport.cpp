//===- BenchReport.cpp - What moe-run bench prints ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/BenchReport.h"

#include "runtime/io/Utf8.h"
#include "tools/common/Table.h"
#include "tools/moe-run/Statistics.h"

#include <algorithm>
#include <cstdio>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

static constexpr size_t kShownSteps = 12;

ordered_json tools::peaksJson(const Peaks &peaks) {
  return {{"threads", peaks.threads},
          {"largest_cache_bytes", lastLevelCacheBytes()},
          {"bandwidth_GB_per_s", peaks.bandwidth / 1e9},
          {"read_loop", peaks.readLoop},
          {"f32_GFLOP_per_s", peaks.flops / 1e9},
          {"f32_loop", peaks.f32Loop},
          {"int8_GOP_per_s", peaks.int8Operations / 1e9},
          {"int8_loop", peaks.int8Loop}};
}

void tools::printPeaks(const Peaks &peaks) {
  std::printf("%d threads: %s GB/s, %s GFLOP/s of f32, %s of int8\n",
              peaks.threads, fixedText(peaks.bandwidth / 1e9, 1).c_str(),
              fixedText(peaks.flops / 1e9, 1).c_str(),
              fixedText(peaks.int8Operations / 1e9, 1).c_str());
}

/// Billions per second.
static double rate(double amount, double milliseconds) {
  return milliseconds > 0 ? amount / milliseconds / 1e6 : 0;
}

static ordered_json stepJson(const Model &model, const BenchCell &cell,
                             const StepMedian &step) {
  const StepFloor &floor = cell.floors[step.step];
  ordered_json object = {{"step", step.step},
                         {"kernel", model.stepKernel(step.step)},
                         {"ms", step.milliseconds},
                         {"GB_per_s", rate(floor.bytes, step.milliseconds)},
                         {"GFLOP_per_s", rate(floor.flops, step.milliseconds)},
                         {"nodes", model.stepNodes(step.step)}};
  if (std::optional<double> percent = floor.percent(step.milliseconds)) {
    object["floor_ms"] = floor.floor->seconds * 1e3;
    object["bound"] = floor.floor->isMemory ? "memory" : "arithmetic";
    object["percent_of_floor"] = *percent;
  }
  if (cell.predicted)
    object["predicted_ms"] = cell.predicted->steps[step.step].seconds * 1e3;
  return object;
}

ordered_json tools::cellJson(const Model &model, const BenchCell &cell) {
  TimeSummary times = summarize(cell.times);
  auto steps = ordered_json::array();
  for (const StepMedian &step : cell.steps)
    steps.push_back(stepJson(model, cell, step));
  ordered_json object = {
      {"shape", cell.shape}, {"iterations", cell.times.size()},
      {"min_ms", times.min}, {"median_ms", times.median},
      {"p90_ms", times.p90}, {"p99_ms", times.p99},
      {"cov", times.cov}};
  if (cell.predicted)
    object["predicted_ms"] = cell.predicted->seconds * 1e3;
  object["steps"] = std::move(steps);
  return object;
}

static std::string shapeName(const NamedNumbers &shape) {
  std::string text;
  for (const auto &[name, value] : shape)
    text += (text.empty() ? "" : ",") + name + "=" + std::to_string(value);
  return text.empty() ? "fixed" : text;
}

static void addStep(Table &table, const Model &model, const BenchCell &cell,
                    const StepMedian &step, double total) {
  const StepFloor &floor = cell.floors[step.step];
  std::optional<double> percent = floor.percent(step.milliseconds);
  std::vector<std::string> nodes = model.stepNodes(step.step);
  std::vector<std::string> row = {fixedText(step.milliseconds, 3)};
  if (cell.predicted)
    row.push_back(fixedText(cell.predicted->steps[step.step].seconds * 1e3, 3));
  row.insert(
      row.end(),
      {fixedText(total > 0 ? 100 * step.milliseconds / total : 0, 1) + "%",
       fixedText(rate(floor.bytes, step.milliseconds), 1),
       fixedText(rate(floor.flops, step.milliseconds), 1),
       percent ? fixedText(*percent, 0) + "%" : "-", std::to_string(step.step),
       model.stepKernel(step.step),
       nodes.empty() ? "" : shortText(printableUtf8(nodes.front()), 48)});
  table.addRow(std::move(row));
}

void tools::printCell(const Model &model, const BenchCell &cell) {
  TimeSummary times = summarize(cell.times);
  std::printf("%s\n  %zu runs: median %.3f ms, min %.3f, p90 %.3f, p99 %.3f, "
              "cov %.2f\n",
              shapeName(cell.shape).c_str(), cell.times.size(), times.median,
              times.min, times.p90, times.p99, times.cov);
  if (cell.predicted)
    std::printf("  predicted %.3f ms, %+.0f %%\n",
                cell.predicted->seconds * 1e3,
                100 * (cell.predicted->seconds * 1e3 / times.median - 1));
  std::vector<StepMedian> steps = cell.steps;
  double total = 0;
  for (const StepMedian &step : steps)
    total += step.milliseconds;
  std::stable_sort(steps.begin(), steps.end(), [](auto &a, auto &b) {
    return a.milliseconds > b.milliseconds;
  });
  steps.resize(std::min(steps.size(), kShownSteps));
  std::vector<std::string> titles = {">ms"};
  if (cell.predicted)
    titles.push_back(">predicted");
  titles.insert(titles.end(), {">share", ">GB/s", ">GFLOP/s", ">of floor",
                               ">step", "kernel", "nodes"});
  Table table(std::move(titles));
  for (const StepMedian &step : steps)
    addStep(table, model, cell, step, total);
  std::printf("%s", table.text(4).c_str());
}
