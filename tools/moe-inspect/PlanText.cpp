//===- PlanText.cpp - A plan for the eye ----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/PlanText.h"

#include "runtime/io/Utf8.h"
#include "runtime/support/DType.h"
#include "tools/common/Table.h"
#include "tools/moe-inspect/PlanFacts.h"

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

/// "0-3, 7" for 0, 1, 2, 3, 7.
std::string rangesText(const std::vector<int> &numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1)
      ++end;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[i]);
    if (end > i + 1)
      text.append("-").append(std::to_string(numbers[end - 1]));
    i = end;
  }
  return text.empty() ? "-" : text;
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
      cells.push_back(rangesText(ranks[rank].experts[layer]));
    table.addRow(cells);
  }
  return section("Experts of each rank", table);
}

std::string ranksText(const std::vector<RankFacts> &ranks) {
  Table table({">rank", ">weights", ">of experts"});
  for (size_t rank = 0; rank < ranks.size(); ++rank)
    table.addRow({std::to_string(rank), bytesText(ranks[rank].weightBytes),
                  bytesText(ranks[rank].expertWeightBytes)});
  return section("Weights of each rank", table);
}

std::string portsText(const plan::ProgramT &program) {
  Table table({"port", "name", "type and shape", "rows"});
  auto add = [&](const char *what, const plan::PortT &port) {
    table.addRow({port.state >= 0 ? "cache" : what, printableUtf8(port.name),
                  typeAndShape(program, port.dtype, port.dims),
                  port.part_axis < 0 ? "all on every rank"
                                     : "divided along axis " +
                                           std::to_string(port.part_axis)});
  };
  for (const auto &port : program.inputs)
    add("input", *port);
  for (const auto &port : program.outputs)
    add("output", *port);
  return section("Inputs and outputs", table);
}

std::string statesText(const plan::ProgramT &program) {
  Table table({"cache", "type and shape", "grows along", "from length"});
  for (const auto &state : program.states)
    table.addRow({printableUtf8(state->name),
                  typeAndShape(program, state->dtype, state->dims),
                  "axis " + std::to_string(state->axis),
                  program.exprs[state->length]});
  return section("Caches", table);
}

std::string exchangesText(const plan::ProgramT &program) {
  Table table({">step", "exchange", ">layer", "what", "from"});
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    if (!isExchange(step))
      continue;
    std::string what;
    if (!step.outputs.empty() && step.outputs[0] >= 0) {
      const plan::BufferT &buffer = *program.buffers[step.outputs[0]];
      what = typeAndShape(program, buffer.dtype, buffer.dims);
    }
    table.addRow({std::to_string(i), step.kernel,
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
  Table table({">step", "kernel", "result", "from"});
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    std::string result;
    for (int output : step.outputs)
      if (output >= 0 && result.empty())
        result = typeAndShape(program, program.buffers[output]->dtype,
                              program.buffers[output]->dims);
    table.addRow({std::to_string(i), kernelText(step),
                  shortText(result, kShapeWidth),
                  nodesText(program, step.nodes)});
  }
  return section("Steps", table);
}

} // namespace

std::string tools::planText(const PlanFile &file) {
  const plan::ProgramT &program = file.program();
  std::vector<RankFacts> ranks = factsOfRanks(program);
  uint64_t weightBytes = 0;
  for (const auto &param : program.params)
    weightBytes += bytesOf(*param);
  std::string text = printableUtf8(program.model) + " for " +
                     std::to_string(program.num_ranks) +
                     (program.num_ranks == 1 ? " rank: " : " ranks: ") +
                     std::to_string(program.steps.size()) + " steps, " +
                     std::to_string(program.params.size()) + " weights of " +
                     bytesText(weightBytes) + "\n";
  return text + layersText(program) + placementText(program, ranks) +
         ranksText(ranks) + portsText(program) + statesText(program) +
         exchangesText(program) + stepsText(program);
}
