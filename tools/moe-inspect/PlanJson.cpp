//===- PlanJson.cpp - A plan as one JSON object ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/PlanJson.h"

#include "runtime/plan/Mesh.h"
#include "runtime/plan/StepKinds.h"
#include "runtime/support/DType.h"
#include "tools/moe-inspect/PlanFacts.h"

#include <cstdio>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

std::string typeName(uint8_t dtype) {
  return std::string(dtypeName(static_cast<DType>(dtype)));
}

/// A number, or null for -1.
ordered_json indexJson(int index) {
  return index < 0 ? ordered_json(nullptr) : ordered_json(index);
}

/// Null for a port that ranks do not divide, else the axis and by which symbol.
ordered_json divisionJson(const plan::ProgramT &program, int axis, int part) {
  if (axis < 0)
    return nullptr;
  return {{"axis", axis}, {"by", program.symbols[part]->name}};
}

ordered_json layerJson(const plan::ProgramT &program, const plan::LayerT &layer,
                       const LayerFacts &facts) {
  auto places = ordered_json::array(), slices = ordered_json::array();
  for (const auto &place : layer.places) {
    places.push_back(place->ranks);
    slices.push_back(place->slices);
  }
  return {{"experts", layer.experts},
          {"k", layer.k},
          {"router", layer.router},
          {"capacity", layer.capacity},
          {"residual", layer.residual},
          {"shared", layer.shared},
          {"group", groupName(layer.group)},
          {"domains", layer.domains},
          {"degree", facts.degree},
          {"exchange", facts.exchange},
          {"chunks", facts.chunks},
          {"ranks_of_experts", places},
          {"slices_of_experts", slices},
          {"nodes", nodeNames(program, layer.nodes)}};
}

ordered_json layersJson(const plan::ProgramT &program) {
  std::vector<LayerFacts> facts = factsOfLayers(program);
  auto layers = ordered_json::array();
  for (size_t i = 0; i < facts.size(); ++i)
    layers.push_back(layerJson(program, *program.layers[i], facts[i]));
  return layers;
}

/// By layer: the experts, and which slice of each.
ordered_json rankJson(size_t rank, const RankFacts &facts) {
  auto experts = ordered_json::array(), slices = ordered_json::array();
  for (const auto &layer : facts.experts) {
    auto ofLayer = ordered_json::array(), sliceOfEach = ordered_json::array();
    for (const LocalExpert &local : layer) {
      ofLayer.push_back(local.expert);
      sliceOfEach.push_back(local.slice);
    }
    experts.push_back(std::move(ofLayer));
    slices.push_back(std::move(sliceOfEach));
  }
  return {{"rank", rank},
          {"weight_bytes", facts.weightBytes},
          {"expert_weight_bytes", facts.expertWeightBytes},
          {"experts", std::move(experts)},
          {"slices", std::move(slices)}};
}

StatusOr<ordered_json> ranksJson(const plan::ProgramT &program) {
  MOE_ASSIGN_OR_RETURN(std::vector<RankFacts> facts, factsOfRanks(program));
  auto ranks = ordered_json::array();
  for (size_t rank = 0; rank < facts.size(); ++rank)
    ranks.push_back(rankJson(rank, facts[rank]));
  return ranks;
}

ordered_json meshJson(const plan::ProgramT &program) {
  Mesh mesh = Mesh::of(program);
  return {{"dp", mesh.dp}, {"ep", mesh.ep()}, {"tp", mesh.tp}};
}

ordered_json portJson(const plan::ProgramT &program, const plan::PortT &port) {
  return {{"name", port.name},
          {"dtype", typeName(port.dtype)},
          {"dims", dimTexts(program, port.dims)},
          {"divided_axis", indexJson(port.part_axis)},
          {"rows", divisionJson(program, port.part_axis, port.part)},
          {"slices", divisionJson(program, port.slice_axis, port.slice_part)},
          {"buffer", indexJson(port.buffer)},
          {"state", indexJson(port.state)}};
}

ordered_json stateJson(const plan::ProgramT &program,
                       const plan::StateT &state) {
  auto portName = [](const auto &ports, int index) {
    return index < 0 ? ordered_json(nullptr) : ordered_json(ports[index]->name);
  };
  return {{"name", state.name},
          {"dtype", typeName(state.dtype)},
          {"dims", dimTexts(program, state.dims)},
          {"axis", state.axis},
          {"length", program.exprs[state.length]},
          {"rows", divisionJson(program, state.part_axis, state.part)},
          {"slices", divisionJson(program, state.slice_axis, state.slice_part)},
          {"input", portName(program.inputs, state.input)},
          {"output", portName(program.outputs, state.output)}};
}

ordered_json bufferJson(const plan::ProgramT &program,
                        const plan::BufferT &buffer) {
  ordered_json json = {{"name", buffer.name},
                       {"kind", plan::EnumNameBufferKind(buffer.kind)},
                       {"dtype", typeName(buffer.dtype)},
                       {"dims", dimTexts(program, buffer.dims)}};
  if (buffer.kind == plan::BufferKind_Arena && buffer.base < 0) {
    json["first_step"] = buffer.first_step;
    json["last_step"] = buffer.last_step;
  }
  if (buffer.index >= 0)
    json["index"] = buffer.index;
  if (buffer.base >= 0) {
    json["base"] = buffer.base;
    if (buffer.has_offset)
      json["offset"] = program.exprs[buffer.offset];
    if (!buffer.strides.empty())
      json["strides"] = dimTexts(program, buffer.strides);
  }
  return json;
}

ordered_json attributeJson(const plan::ProgramT &program,
                           const plan::AttributeT &attribute) {
  switch (attribute.kind) {
  case plan::AttributeKind_Int:
    return attribute.i;
  case plan::AttributeKind_Float:
    return attribute.f;
  case plan::AttributeKind_String:
    return attribute.s;
  case plan::AttributeKind_Ints:
    return attribute.ints;
  case plan::AttributeKind_Floats:
    return attribute.floats;
  case plan::AttributeKind_Exprs:
    return dimTexts(program, attribute.exprs);
  }
  return nullptr;
}

ordered_json stepJson(const plan::ProgramT &program, const plan::StepT &step) {
  ordered_json attributes = ordered_json::object();
  for (const auto &attribute : step.attributes)
    attributes[attribute->name] = attributeJson(program, *attribute);
  ordered_json json = {{"kernel", step.kernel},
                       {"inputs", step.inputs},
                       {"outputs", step.outputs},
                       {"attributes", std::move(attributes)}};
  auto instructions = ordered_json::array();
  for (const auto &instruction : step.program)
    instructions.push_back(instruction->op);
  if (!instructions.empty())
    json["program"] = std::move(instructions);
  json["exchange"] = isCollective(step);
  json["group"] = hasGroup(step) ? ordered_json(groupName(step.group))
                                 : ordered_json(nullptr);
  json["guard"] = step.guard < 0 ? ordered_json(nullptr)
                                 : ordered_json(program.exprs[step.guard]);
  json["stream"] = step.stream;
  json["waits"] = step.waits;
  json["records"] = indexJson(step.records);
  json["layer"] = indexJson(step.layer);
  json["nodes"] = nodeNames(program, step.nodes);
  return json;
}

ordered_json weightJson(const plan::ProgramT &program,
                        const plan::ParamT &param) {
  return {{"name", param.name},
          {"dtype", typeName(param.dtype)},
          {"layout", param.layout},
          {"dims", param.dims},
          {"experts", param.experts},
          {"is_expert", param.is_expert},
          {"layer", indexJson(param.layer)},
          {"part_axis", indexJson(param.part_axis)},
          {"part", param.part < 0
                       ? ordered_json(nullptr)
                       : ordered_json(program.symbols[param.part]->name)},
          {"part_unit", param.part_unit},
          {"bytes", bytesOf(param)},
          {"source", sourceOf(param)}};
}

/// The result of `f` for each element.
template <typename T, typename F>
ordered_json listJson(const std::vector<T> &elements, F f) {
  auto list = ordered_json::array();
  for (const auto &element : elements)
    list.push_back(f(*element));
  return list;
}

ordered_json symbolJson(const plan::ProgramT &program,
                        const plan::SymbolT &symbol) {
  ordered_json json = {{"name", symbol.name},
                       {"kind", plan::EnumNameSymbolKind(symbol.kind)}};
  if (symbol.kind == plan::SymbolKind_Input)
    json["default_max"] = symbol.default_max;
  else if (symbol.kind == plan::SymbolKind_LocalPart) {
    json["whole"] = program.exprs[symbol.whole];
    json["group"] = groupName(symbol.group);
  } else
    json["bound"] = program.exprs[symbol.bound];
  return json;
}

} // namespace

StatusOr<ordered_json> tools::planJson(const PlanFile &file) {
  const plan::ProgramT &program = file.program();
  auto with = [&](auto function) {
    return [&program, function](const auto &element) {
      return function(program, element);
    };
  };
  char hash[17];
  std::snprintf(hash, sizeof(hash), "%016llx",
                static_cast<unsigned long long>(file.hash()));
  ordered_json json;
  json["model"] = program.model;
  json["producer"] = program.producer;
  json["hash"] = hash;
  json["num_ranks"] = program.num_ranks;
  json["mesh"] = meshJson(program);
  json["num_streams"] = program.num_streams;
  json["num_events"] = program.num_events;
  json["moe_layers"] = layersJson(program);
  MOE_ASSIGN_OR_RETURN(json["ranks"], ranksJson(program));
  json["symbols"] = listJson(program.symbols, with(symbolJson));
  json["inputs"] = listJson(program.inputs, with(portJson));
  json["outputs"] = listJson(program.outputs, with(portJson));
  json["states"] = listJson(program.states, with(stateJson));
  json["buffers"] = listJson(program.buffers, with(bufferJson));
  json["steps"] = listJson(program.steps, with(stepJson));
  json["weights"] = listJson(program.params, with(weightJson));
  return json;
}
