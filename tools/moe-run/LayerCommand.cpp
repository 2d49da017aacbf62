//===- LayerCommand.cpp - moe-run bench --layer: a layer in cells ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/support/Lists.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Table.h"
#include "tools/moe-run/BenchReport.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/LayerBench.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

constexpr char kExamples[] = R"(
examples:
  moe-run bench --layer E=128,k=8,H=2048,I=768,act=silu,gated \
    --dtype=int4 --tokens=1,4,16,64,256,512 --routing=uniform
  moe-run bench --layer E=32,k=1,H=1024,I=4096,act=gelu --bias \
    --dtype=int8 --activations=int8 --tokens=1 --routing=zipf:0.8,one --json)";

constexpr int64_t kMostTokens = 1 << 20;

struct LayerFlags {
  std::string layer;
  LayerTypes types;
  std::string tokens = "1", routings = "uniform";
  bool hasBias = false;
  bool json = false;
  uint64_t workingSet = kCacheFactor * lastLevelCacheBytes();
  LayerBenchOptions bench;

  void addTo(CLI::App &app);
  void addTypesTo(CLI::App &app);
  StatusOr<LayerSpec> spec() const;
};

void LayerFlags::addTypesTo(CLI::App &app) {
  app.add_option("--dtype", types.weights, "Type of the weights")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "int8", "int4"}));
  app.add_option("--activations", types.activations,
                 "int8: round rows to 8 bits before products with weights of "
                 "int8 or int4")
      ->check(CLI::IsMember({"float", "int8"}));
  app.add_option("--quant-block", types.block,
                 "Weights of a column that have one scale; 0: all of them")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--quant-zero-points", types.hasZeroPoints,
               "Blocks have a zero point too");
}

void LayerFlags::addTo(CLI::App &app) {
  app.add_option("--layer", layer,
                 "Sizes of the layer: E experts of which a token chooses k, H "
                 "columns, I intermediate columns; act: the activation; gated: "
                 "three matrices instead of two")
      ->required();
  addTypesTo(app);
  app.add_option("--tokens", tokens,
                 "Numbers of tokens to measure, as in 1,16,256");
  app.add_option("--routing", routings,
                 "How tokens choose: uniform, zipf:S, or one (all the same k "
                 "experts); may be a list, as in uniform,one");
  app.add_flag("--bias", hasBias, "The matrices have biases");
  app.add_option("--threads", bench.threads,
                 "Threads; without it, one for each core")
      ->check(CLI::Range(1, 1024));
  app.add_option("--seconds", bench.seconds, "Time to spend on each cell")
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--seed", bench.seed, "Seed of weights, rows and routing")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--working-set", workingSet,
                 "Bytes of weights that pass by before they are used again; "
                 "small layers are copied. Without it 8 times the largest "
                 "cache")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--memory", bench.memoryLimit,
                 "Bytes that may be reserved, as in 8GB (0: the machine's)")
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("--json", json, "Print one JSON object");
  app.footer(kExamples);
}

StatusOr<LayerSpec> LayerFlags::spec() const {
  MOE_ASSIGN_OR_RETURN(LayerSpec result, parseLayer(layer));
  MOE_RETURN_IF_ERROR(setTypes(result, types));
  result.hasBias = hasBias;
  MOE_RETURN_IF_ERROR(setCopies(result, workingSet));
  return result;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

ordered_json cellJson(const LayerBench &bench, const LayerCell &cell) {
  const LayerSpec &spec = bench.layer();
  double seconds = cell.milliseconds.median / 1e3;
  return {{"tokens", cell.tokens},
          {"routing", cell.routing},
          {"weights", spec.weightType},
          {"activations", spec.roundsRows ? "int8" : "float"},
          {"bound", cell.floor.isMemory ? "memory" : "arithmetic"},
          {"runs", cell.runs},
          {"min_ms", cell.milliseconds.min},
          {"median_ms", cell.milliseconds.median},
          {"p90_ms", cell.milliseconds.p90},
          {"p99_ms", cell.milliseconds.p99},
          {"cov", cell.milliseconds.cov},
          {"active_experts", cell.activeExperts},
          {"GB_per_s", cell.bytes / seconds / 1e9},
          {"GFLOP_per_s", cell.operations / seconds / 1e9},
          {"bandwidth_GB_per_s", cell.bandwidth / 1e9},
          {"peak_GFLOP_per_s", cell.peak / 1e9},
          {"floor_ms", cell.floor.seconds * 1e3},
          {"percent_of_floor", cell.percentOfFloor()},
          {"is_plausible", cell.isPlausible()},
          {"overhead_us", cell.overheadMicroseconds},
          {"checked_elements", cell.numChecked}};
}

ordered_json stepsJson(const Model &model, const LayerCell &cell) {
  auto steps = ordered_json::array();
  for (int step = 0; step < model.numSteps(); ++step)
    steps.push_back({{"kernel", model.stepKernel(step)},
                     {"median_us", cell.stepMicroseconds[step]}});
  return steps;
}

ordered_json headJson(const LayerBench &bench) {
  const LayerSpec &spec = bench.layer();
  return {{"layer",
           {{"experts", spec.experts},
            {"k", spec.k},
            {"hidden", spec.hidden},
            {"inner", spec.inner},
            {"activation", spec.activation},
            {"gated", spec.isGated},
            {"bias", spec.hasBias},
            {"layout", spec.layout},
            {"copies", spec.copies}}},
          {"weight_bytes", bench.weightBytes()},
          {"weights_pass_caches", bench.isCold()},
          {"machine", peaksJson(bench.peaks())}};
}

void printHead(const LayerBench &bench) {
  const LayerSpec &spec = bench.layer();
  std::string copies =
      spec.copies > 1 ? ", " + std::to_string(spec.copies) + " copies" : "";
  std::printf("%lld experts of %lld x %lld, %s, activations %s%s: %s\n",
              static_cast<long long>(spec.experts),
              static_cast<long long>(spec.hidden),
              static_cast<long long>(spec.inner), spec.weightType.c_str(),
              spec.roundsRows ? "int8" : "float", copies.c_str(),
              bytesText(bench.weightBytes()).c_str());
  printPeaks(bench.peaks());
  if (!bench.isCold())
    std::printf("the weights may stay in the caches: memory sets no floor\n");
}

void printCells(const std::vector<LayerCell> &cells) {
  Table table({">tokens", "routing", ">median ms", ">min", ">p90", ">p99",
               ">cov", ">GB/s", ">GFLOP/s", ">floor ms", ">of floor", "bound",
               ">overhead us"});
  bool areAllPlausible = true;
  for (const LayerCell &cell : cells) {
    const TimeSummary &times = cell.milliseconds;
    areAllPlausible &= cell.isPlausible();
    table.addRow({std::to_string(cell.tokens), cell.routing,
                  fixedText(times.median, 3), fixedText(times.min, 3),
                  fixedText(times.p90, 3), fixedText(times.p99, 3),
                  fixedText(times.cov, 2),
                  fixedText(cell.bytes / times.median / 1e6, 1),
                  fixedText(cell.operations / times.median / 1e6, 1),
                  fixedText(cell.floor.seconds * 1e3, 3),
                  fixedText(cell.percentOfFloor(), 1) + "%" +
                      (cell.isPlausible() ? "" : " !"),
                  cell.floor.isMemory ? "memory" : "arithmetic",
                  fixedText(cell.overheadMicroseconds, 1)});
  }
  std::printf("%s", table.text().c_str());
  if (!areAllPlausible)
    std::printf("! above 103 %%: the measurement is wrong\n");
}

Status benchLayer(const LayerFlags &flags) {
  MOE_ASSIGN_OR_RETURN(LayerSpec spec, flags.spec());
  MOE_ASSIGN_OR_RETURN(std::vector<int64_t> counts,
                       parseNumbers("--tokens", flags.tokens, 1, kMostTokens));
  auto routings = splitList(flags.routings);
  MOE_RETURN_IF_ERROR(routings.status().at("--routing"));
  std::vector<RoutingKind> kinds;
  for (std::string_view text : *routings) {
    MOE_ASSIGN_OR_RETURN(RoutingKind kind, parseRouting(text));
    kinds.push_back(std::move(kind));
  }
  int64_t most = *std::max_element(counts.begin(), counts.end());
  MOE_ASSIGN_OR_RETURN(LayerBench bench,
                       LayerBench::create(spec, flags.bench, most));
  std::vector<LayerCell> cells;
  for (const RoutingKind &kind : kinds)
    for (int64_t tokens : counts) {
      MOE_ASSIGN_OR_RETURN(LayerCell cell, bench.measure(tokens, kind));
      cells.push_back(std::move(cell));
    }
  if (flags.json) {
    ordered_json object = headJson(bench);
    auto list = ordered_json::array();
    for (const LayerCell &cell : cells) {
      list.push_back(cellJson(bench, cell));
      list.back()["steps"] = stepsJson(bench.context().model(), cell);
    }
    object["cells"] = std::move(list);
    std::printf("%s\n", jsonText(object).c_str());
  } else {
    printHead(bench);
    printCells(cells);
  }
  return flushOutput();
}

} // namespace

int tools::benchLayerCommand(std::vector<std::string> words) {
  CLI::App app("Measures one expert layer with made weights, without a model.",
               "moe-run bench --layer");
  LayerFlags flags;
  flags.addTo(app);
  // Else --layer, which needs a value, would take it for one.
  if (std::find(words.begin(), words.end(), "--help") != words.end())
    words = {"--help"};
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  Status status = benchLayer(flags);
  return status.isOk() ? 0 : reportError("moe-run bench", status);
}
