//===- PlanReport.cpp - What a plan will need -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/PlanReport.h"

#include "runtime/cost/Shapes.h"
#include "runtime/io/Json.h"
#include "runtime/plan/Plan_generated.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Table.h"
#include "tools/moe-opt/WeightsText.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

using namespace moe;
using namespace moe::cost;
using namespace moe::tool;
using tools::bytesText;
using tools::fixedText;
using tools::Table;

/// More ranks are summed up.
static constexpr size_t kShownRanks = 16;
static constexpr size_t kNodeWidth = 44;

StatusOr<PlanReport> tool::makeReport(
    const plan::ProgramT &program, const solver::MeshSolution &weighed,
    const std::vector<pass::ProductRow> &products, const Options &options) {
  PlanReport report{program, weighed, products, {}};
  Cluster cluster = defaultCluster();
  if (!options.cluster.empty()) {
    MOE_ASSIGN_OR_RETURN(cluster, readCluster(options.cluster));
  } else if (options.nodeSize > 0) {
    cluster.devicesPerNode = options.nodeSize;
    cluster.nodes = options.ranks / options.nodeSize;
  }
  std::vector<std::map<std::string, int64_t>> shapes;
  for (const std::string &text : options.shapes) {
    MOE_ASSIGN_OR_RETURN(tools::NamedNumbers given,
                         tools::parseNamedNumbers("--shape", text));
    MOE_ASSIGN_OR_RETURN(tools::NamedNumbers shape,
                         completeShape(program, "--shape", given));
    shapes.push_back(std::move(shape));
  }
  if (shapes.empty()) {
    MOE_ASSIGN_OR_RETURN(TypicalShapes typical, typicalShapes(program));
    shapes = {typical.decode};
    if (typical.prefill != typical.decode)
      shapes.push_back(typical.prefill);
  }
  for (const auto &shape : shapes) {
    MOE_ASSIGN_OR_RETURN(Simulation run, simulate(program, shape, cluster));
    report.runs.push_back(std::move(run));
  }
  return report;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string bytes(double value) {
  return bytesText(static_cast<uint64_t>(std::max(0.0, value)));
}

static std::string milliseconds(double seconds) {
  return fixedText(seconds * 1e3, seconds < 1e-3 ? 4 : 2);
}

static std::string shapeText(const std::map<std::string, int64_t> &shape) {
  std::string text;
  for (const auto &[name, value] : shape)
    text += (text.empty() ? "" : ", ") + name + " = " + std::to_string(value);
  return text.empty() ? "fixed sizes" : text;
}

namespace {
/// A column about ranks.
struct RankColumn {
  const char *title;
  const char *key;
  std::function<double(const RankCost &)> value;
  std::function<std::string(double)> text;
};
} // namespace

static const std::vector<RankColumn> &rankColumns() {
  auto count = [](double value) { return fixedText(value, 0); };
  auto mega = [](double value) { return fixedText(value / 1e6, 1); };
  using R = const RankCost &;
  static const std::vector<RankColumn> kColumns = {
      {">weights", "weight_bytes", [](R r) { return r.weightBytes; }, bytes},
      {">of experts", "expert_weight_bytes",
       [](R r) { return r.expertWeightBytes; }, bytes},
      {">memory", "memory_bytes", [](R r) { return r.memoryBytes(); }, bytes},
      {">weights read", "weight_bytes_read",
       [](R r) { return r.weightBytesRead; }, bytes},
      {">Mflop", "flops", [](R r) { return r.flops; }, mega},
      {">messages", "messages", [](R r) { return r.messages; }, count},
      {">sent", "bytes_sent", [](R r) { return r.bytesSent; }, bytes},
      {">ms busy", "busy_seconds", [](R r) { return r.busySeconds; },
       milliseconds}};
  return kColumns;
}

/// The least, mean and largest of a column over all ranks.
static std::array<double, 3> spreadOf(const Simulation &run,
                                      const RankColumn &column) {
  double least = HUGE_VAL, most = 0, sum = 0, count = 0;
  for (const RankCost &rank : run.ranks) {
    double value = column.value(rank);
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value * rank.count;
    count += rank.count;
  }
  return {least, sum / std::max(1.0, count), most};
}

static std::string ranksText(const Simulation &run) {
  std::vector<std::string> titles = {"rank"};
  for (const RankColumn &column : rankColumns())
    titles.push_back(column.title);
  Table table(titles);
  if (run.classes.size() <= kShownRanks) {
    for (size_t rank = 0; rank < run.classes.size(); ++rank) {
      std::vector<std::string> cells = {std::to_string(rank)};
      for (const RankColumn &column : rankColumns())
        cells.push_back(
            column.text(column.value(run.ranks[run.classes[rank]])));
      table.addRow(cells);
    }
    return table.text();
  }
  constexpr const char *kNames[] = {"least", "mean", "most"};
  for (size_t i = 0; i < 3; ++i) {
    std::vector<std::string> cells = {kNames[i]};
    for (const RankColumn &column : rankColumns())
      cells.push_back(column.text(spreadOf(run, column)[i]));
    table.addRow(cells);
  }
  return table.text();
}

static std::string runTitle(const Simulation &run) {
  return "\n" + shapeText(run.shape) + ": predicted " +
         milliseconds(run.seconds) + " ms\n";
}

std::string tool::simulationText(const PlanReport &report) {
  const plan::ProgramT &program = report.program;
  std::string text = program.model + " on " +
                     std::to_string(program.num_ranks) + " ranks, " +
                     std::to_string(program.steps.size()) + " steps\n";
  for (const Simulation &run : report.runs)
    text += runTitle(run) + ranksText(run);
  return text;
}

static std::string meshesText(const solver::MeshSolution &weighed) {
  Table table({"mesh", ">ms decode", ">ms prefill", ">memory", "why not"});
  auto add = [&](const solver::MeshCandidate &each) {
    table.addRow({toString(each.mesh), milliseconds(each.decodeSeconds),
                  milliseconds(each.prefillSeconds), bytes(each.memoryBytes),
                  each.lost.empty() ? "chosen" : each.lost});
  };
  add(weighed.chosen);
  for (const solver::MeshCandidate &each : weighed.others)
    add(each);
  return "\nMeshes that were weighed\n" + table.text();
}

namespace {
struct LayerSum {
  double seconds = 0, weightBytes = 0, messages = 0, bytesSent = 0;
};
} // namespace

static std::vector<LayerSum> sumLayers(const plan::ProgramT &program,
                                       const Simulation &run) {
  std::vector<LayerSum> layers(program.layers.size());
  for (size_t i = 0; i < program.steps.size(); ++i) {
    if (program.steps[i]->layer < 0)
      continue;
    LayerSum &sum = layers[program.steps[i]->layer];
    sum.seconds += run.steps[i].seconds;
    sum.weightBytes += run.steps[i].work.weightBytes;
    sum.messages += run.steps[i].work.messages();
    sum.bytesSent += run.steps[i].work.bytesSent();
  }
  return layers;
}

static std::string layersText(const PlanReport &report, const Simulation &run) {
  Table table({">layer", ">experts", ">k", "form", ">weights read", ">messages",
               ">sent", ">ms"});
  std::vector<LayerSum> layers = sumLayers(report.program, run);
  for (size_t i = 0; i < layers.size(); ++i) {
    const plan::LayerT &layer = *report.program.layers[i];
    const auto &forms = report.weighed.chosen.forms;
    table.addRow(
        {std::to_string(i), std::to_string(layer.experts),
         std::to_string(layer.k), i < forms.size() ? toString(forms[i]) : "",
         bytes(layers[i].weightBytes), fixedText(layers[i].messages, 0),
         bytes(layers[i].bytesSent), milliseconds(layers[i].seconds)});
  }
  return table.isEmpty() ? "" : "\n  MoE layers\n" + table.text(4);
}

static std::string nodeOf(const plan::ProgramT &program, size_t step) {
  const std::vector<uint32_t> &nodes = program.steps[step]->nodes;
  return nodes.empty() ? "" : program.nodes[nodes[0]];
}

static std::string stepsText(const PlanReport &report, const Simulation &run) {
  Table table({">step", "kernel", ">weights", ">operands", ">Mflop", ">sent",
               ">ms", "from"});
  for (size_t i = 0; i < run.steps.size(); ++i) {
    const StepCost &step = run.steps[i];
    if (!step.runs)
      continue;
    table.addRow({std::to_string(i), report.program.steps[i]->kernel,
                  bytes(step.work.weightBytes),
                  bytes(step.work.activationBytes),
                  fixedText(step.work.flops / 1e6, 2),
                  bytes(step.work.bytesSent()), milliseconds(step.seconds),
                  tools::shortText(nodeOf(report.program, i), kNodeWidth)});
  }
  return "\n  Steps, on the rank that takes longest\n" + table.text(4);
}

std::string tool::reportText(const PlanReport &report) {
  std::string text = report.program.model + " on " +
                     std::to_string(report.program.num_ranks) + " ranks\n" +
                     meshesText(report.weighed) + weightsText(report.products);
  for (const Simulation &run : report.runs)
    text += runTitle(run) + ranksText(run) + layersText(report, run) +
            stepsText(report, run);
  return text;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

using nlohmann::ordered_json;

static ordered_json meshJson(const solver::MeshCandidate &each) {
  ordered_json json = {{"dp", each.mesh.dp},
                       {"ep", each.mesh.ep},
                       {"tp", each.mesh.tp},
                       {"decode_seconds", each.decodeSeconds},
                       {"prefill_seconds", each.prefillSeconds},
                       {"memory_bytes", each.memoryBytes},
                       {"cost", each.cost}};
  if (!each.lost.empty())
    json["lost"] = each.lost;
  return json;
}

static ordered_json ranksJson(const Simulation &run) {
  auto ranks = ordered_json::array();
  for (const RankCost &rank : run.ranks) {
    ordered_json json = {{"ranks", rank.count}, {"one_of_them", rank.rank}};
    for (const RankColumn &column : rankColumns())
      json[column.key] = column.value(rank);
    ranks.push_back(std::move(json));
  }
  return ranks;
}

static ordered_json runJson(const PlanReport &report, const Simulation &run) {
  auto layers = ordered_json::array();
  std::vector<LayerSum> sums = sumLayers(report.program, run);
  for (size_t i = 0; i < sums.size(); ++i)
    layers.push_back({{"layer", i},
                      {"experts", report.program.layers[i]->experts},
                      {"form", i < report.weighed.chosen.forms.size()
                                   ? toString(report.weighed.chosen.forms[i])
                                   : ""},
                      {"seconds", sums[i].seconds},
                      {"weight_bytes_read", sums[i].weightBytes},
                      {"messages", sums[i].messages},
                      {"bytes_sent", sums[i].bytesSent}});
  auto steps = ordered_json::array();
  for (size_t i = 0; i < run.steps.size(); ++i) {
    const StepWork &work = run.steps[i].work;
    steps.push_back({{"step", i},
                     {"kernel", report.program.steps[i]->kernel},
                     {"runs", run.steps[i].runs},
                     {"seconds", run.steps[i].seconds},
                     {"weight_bytes", work.weightBytes},
                     {"operand_bytes", work.activationBytes},
                     {"flops", work.flops},
                     {"messages", work.messages()},
                     {"bytes_sent", work.bytesSent()},
                     {"node", nodeOf(report.program, i)}});
  }
  return {{"shape", run.shape},
          {"seconds", run.seconds},
          {"ranks", ranksJson(run)},
          {"layers", std::move(layers)},
          {"steps", std::move(steps)}};
}

std::string tool::reportJson(const PlanReport &report) {
  auto others = ordered_json::array();
  for (const solver::MeshCandidate &each : report.weighed.others)
    others.push_back(meshJson(each));
  auto runs = ordered_json::array();
  for (const Simulation &run : report.runs)
    runs.push_back(runJson(report, run));
  ordered_json json = {{"model", report.program.model},
                       {"num_ranks", report.program.num_ranks},
                       {"mesh", meshJson(report.weighed.chosen)},
                       {"others", std::move(others)},
                       {"products", weightsJson(report.products)},
                       {"runs", std::move(runs)}};
  return jsonText(json) + "\n";
}
