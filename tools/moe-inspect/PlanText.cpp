//===- PlanText.cpp - A plan for the eye ----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/PlanText.h"

#include "runtime/io/Utf8.h"
#include "runtime/plan/Mesh.h"
#include "runtime/plan/StepKinds.h"
#include "runtime/support/DType.h"
#include "tools/common/Table.h"
#include "tools/moe-inspect/PlanFacts.h"
#include "tools/moe-inspect/ScheduleText.h"

#include <algorithm>

using namespace moe;
using namespace moe::tools;

namespace {

constexpr size_t kNodeWidth = 56;
constexpr size_t kShapeWidth = 44;

std::string section(const std::string &title, const Table &table) {
  return table.isEmpty() ? "" : "\n" + title + "\n" + table.text();
}

std::string typeAndShape(const plan::ProgramT &program, uint8_t dtype,
                         const std::vector<uint32_t> &dims) {
  std::string text(dtypeName(static_cast<DType>(dtype)));
  text += " [";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + program.exprs[dims[i]];
  return text + "]";
}

/// The first node and how many more there are.
std::string nodesText(const plan::ProgramT &program,
                      const std::vector<uint32_t> &nodes) {
  if (nodes.empty())
    return "";
  std::string text =
      shortText(printableUtf8(program.nodes[nodes[0]]), kNodeWidth);
  if (nodes.size() > 1)
    text += " +" + std::to_string(nodes.size() - 1);
  return text;
}

/// "0-3, 7" for experts 0, 1, 2, 3, 7; "5:1/2" for slice 1 of the 2 of
/// expert 5.
std::string expertsText(const std::vector<LocalExpert> &experts) {
  std::string text;
  for (size_t i = 0; i < experts.size();) {
    const LocalExpert &first = experts[i];
    text.append(text.empty() ? "" : ", ");
    text.append(std::to_string(first.expert));
    size_t end = i + 1;
    if (first.numSlices > 1)
      text.append(":")
          .append(std::to_string(first.slice))
          .append("/")
          .append(std::to_string(first.numSlices));
    else
      while (end < experts.size() && experts[end].numSlices == 1 &&
             experts[end].expert == experts[end - 1].expert + 1)
        ++end;
    if (end > i + 1)
      text.append("-").append(std::to_string(experts[end - 1].expert));
    i = end;
  }
  return text.empty() ? "-" : text;
}

/// "2", or "1-3" where experts differ.
std::string betweenText(int fewest, int most) {
  std::string text = std::to_string(fewest);
  if (fewest != most)
    text.append("-").append(std::to_string(most));
  return text;
}

std::string meshText(const plan::ProgramT &program) {
  Mesh mesh = Mesh::of(program);
  return "mesh of dp " + std::to_string(mesh.dp) + " x ep " +
         std::to_string(mesh.ep()) + " x tp " + std::to_string(mesh.tp);
}

std::string layersText(const plan::ProgramT &program) {
  Table table({">layer", ">experts", ">k", "router", "capacity", "residual",
               "shared", "from"});
  for (size_t i = 0; i < program.layers.size(); ++i) {
    const plan::LayerT &layer = *program.layers[i];
    table.addRow({std::to_string(i), std::to_string(layer.experts),
                  std::to_string(layer.k), printableUtf8(layer.router),
                  printableUtf8(layer.capacity), layer.residual ? "yes" : "no",
                  layer.shared ? "yes" : "no",
                  nodesText(program, layer.nodes)});
  }
  return section("MoE layers", table);
}

/// How each layer runs on the mesh.
std::string formsText(const plan::ProgramT &program) {
  Table table({">layer", ">ranks", "of", ">domains", ">replicas", ">slices",
               ">chunks", "exchange"});
  std::vector<LayerFacts> layers = factsOfLayers(program);
  for (size_t i = 0; i < layers.size(); ++i) {
    const plan::LayerT &layer = *program.layers[i];
    const LayerFacts &facts = layers[i];
    if (!layer.places.empty())
      table.addRow({std::to_string(i), std::to_string(facts.degree),
                    groupName(layer.group), std::to_string(layer.domains),
                    betweenText(facts.fewestReplicas, facts.mostReplicas),
                    betweenText(facts.fewestSlices, facts.mostSlices),
                    std::to_string(facts.chunks), facts.exchange});
  }
  return section("Layers on the mesh", table);
}

/// One line for each layer, one column for each rank.
std::string placementText(const plan::ProgramT &program,
                          const std::vector<RankFacts> &ranks) {
  constexpr size_t kMostColumns = 16;
  std::vector<std::string> titles = {">layer"};
  size_t numColumns = std::min(ranks.size(), kMostColumns);
  for (size_t rank = 0; rank < numColumns; ++rank)
    titles.push_back("rank " + std::to_string(rank));
  if (numColumns < ranks.size())
    titles.push_back("...");
  Table table(titles);
  for (size_t layer = 0; layer < program.layers.size(); ++layer) {
    std::vector<std::string> cells = {std::to_string(layer)};
    for (size_t rank = 0; rank < numColumns; ++rank)
      cells.push_back(expertsText(ranks[rank].experts[layer]));
    table.addRow(cells);
  }
  return section("Experts of each rank", table);
}

/// Neighbours that hold equally much stand on one line.
std::string ranksText(const std::vector<RankFacts> &ranks) {
  Table table({">rank", ">weights", ">of experts"});
  for (size_t rank = 0; rank < ranks.size();) {
    size_t end = rank + 1;
    while (end < ranks.size() &&
           ranks[end].weightBytes == ranks[rank].weightBytes &&
           ranks[end].expertWeightBytes == ranks[rank].expertWeightBytes)
      ++end;
    table.addRow(
        {betweenText(static_cast<int>(rank), static_cast<int>(end) - 1),
         bytesText(ranks[rank].weightBytes),
         bytesText(ranks[rank].expertWeightBytes)});
    rank = end;
  }
  return section("Weights of each rank", table);
}

/// "by b.local along axis 0, by heads.local along axis 1".
std::string divisionText(const plan::ProgramT &program, int partAxis, int part,
                         int sliceAxis, int slicePart) {
  std::string text;
  auto add = [&](int axis, int symbol) {
    if (axis >= 0)
      text += std::string(text.empty() ? "" : ", ") + "axis " +
              std::to_string(axis) + " by " + program.symbols[symbol]->name;
  };
  add(partAxis, part);
  add(sliceAxis, slicePart);
  return text.empty() ? "all on every rank" : text;
}

std::string portsText(const plan::ProgramT &program) {
  Table table({"port", "name", "type and shape", "divided"});
  auto add = [&](const char *what, const plan::PortT &port) {
    table.addRow({port.state >= 0 ? "cache" : what, printableUtf8(port.name),
                  typeAndShape(program, port.dtype, port.dims),
                  divisionText(program, port.part_axis, port.part,
                               port.slice_axis, port.slice_part)});
  };
  for (const auto &port : program.inputs)
    add("input", *port);
  for (const auto &port : program.outputs)
    add("output", *port);
  return section("Inputs and outputs", table);
}

std::string statesText(const plan::ProgramT &program) {
  Table table(
      {"cache", "type and shape", "grows along", "from length", "divided"});
  for (const auto &state : program.states)
    table.addRow({printableUtf8(state->name),
                  typeAndShape(program, state->dtype, state->dims),
                  "axis " + std::to_string(state->axis),
                  program.exprs[state->length],
                  divisionText(program, state->part_axis, state->part,
                               state->slice_axis, state->slice_part)});
  return section("Caches", table);
}

std::string exchangesText(const plan::ProgramT &program) {
  Table table({">step", "exchange", "among", ">layer", "what", "from"});
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    if (!isCollective(step))
      continue;
    std::string what;
    if (!step.outputs.empty() && step.outputs[0] >= 0) {
      const plan::BufferT &buffer = *program.buffers[step.outputs[0]];
      what = typeAndShape(program, buffer.dtype, buffer.dims);
    }
    table.addRow({std::to_string(i), step.kernel, groupName(step.group),
                  step.layer < 0 ? "" : std::to_string(step.layer),
                  shortText(what, kShapeWidth),
                  nodesText(program, step.nodes)});
  }
  return section("Exchanges between ranks", table);
}

std::string kernelText(const plan::StepT &step) {
  std::string text = printableUtf8(step.kernel);
  for (const auto &instruction : step.program)
    text += (&instruction == &step.program.front() ? ": " : ", ") +
            printableUtf8(instruction->op);
  return shortText(text, 40);
}

std::string stepsText(const plan::ProgramT &program) {
  Table table({">step", "kernel", "result", "how", "from"});
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    std::string result;
    for (int output : step.outputs)
      if (output >= 0 && result.empty())
        result = typeAndShape(program, program.buffers[output]->dtype,
                              program.buffers[output]->dims);
    table.addRow({std::to_string(i), kernelText(step),
                  shortText(result, kShapeWidth), howText(program, step),
                  nodesText(program, step.nodes)});
  }
  return section("Steps", table);
}

} // namespace

StatusOr<std::string> tools::planText(const PlanFile &file) {
  const plan::ProgramT &program = file.program();
  MOE_ASSIGN_OR_RETURN(std::vector<RankFacts> ranks, factsOfRanks(program));
  uint64_t weightBytes = 0;
  for (const auto &param : program.params)
    weightBytes += bytesOf(*param);
  std::string text = printableUtf8(program.model) + " for " +
                     std::to_string(program.num_ranks) +
                     (program.num_ranks == 1 ? " rank: " : " ranks: ") +
                     std::to_string(program.steps.size()) + " steps, " +
                     std::to_string(program.params.size()) + " weights of " +
                     bytesText(weightBytes) + "\n" + meshText(program) + "\n";
  return text + layersText(program) + formsText(program) +
         placementText(program, ranks) + ranksText(ranks) + portsText(program) +
         statesText(program) + exchangesText(program) + scheduleText(program) +
         stepsText(program);
}
