//===- PlanFacts.cpp - What a plan means for each rank --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/PlanFacts.h"

#include "runtime/params/HeldBlocks.h"
#include "runtime/params/Layouts.h"
#include "runtime/plan/Mesh.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>
#include <map>
#include <set>

using namespace moe;
using namespace moe::tools;

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

/// By place in the layer's group: what localExperts() says, for all at once.
static std::vector<std::vector<LocalExpert>>
holdingsOf(const plan::LayerT &layer, int groupSize) {
  std::vector<std::vector<LocalExpert>> held(groupSize);
  if (layer.places.empty()) {
    for (auto &experts : held)
      experts = localExperts(layer, 0);
    return held;
  }
  for (int expert = 0; expert < layer.experts; ++expert) {
    const plan::ExpertPlaceT &place = *layer.places[expert];
    auto numSlices = static_cast<int>(place.slices);
    for (size_t i = 0; i < place.ranks.size(); ++i)
      held[place.ranks[i]].push_back(
          {expert, static_cast<int>(i) % numSlices, numSlices});
  }
  return held;
}

static StatusOr<uint64_t> bytesOfHeld(const plan::ParamT &param,
                                      const HeldBlock &held) {
  if (held.axis < 0)
    return param.blocks[held.block]->bytes;
  return layoutBytes(param.layout, static_cast<DType>(param.dtype),
                     held.dims(param.dims));
}

/// Bytes of a dense weight by place in the group that divides it.
static StatusOr<std::vector<uint64_t>>
bytesOfPlaces(const plan::ProgramT &program, const plan::ParamT &param,
              plan::Group group) {
  Mesh mesh = Mesh::of(program);
  std::vector<uint64_t> bytes(mesh.sizeOf(group));
  std::vector<bool> isKnown(bytes.size());
  for (int rank = 0; rank < mesh.numRanks; ++rank) {
    int place = mesh.placeOf(rank, group);
    if (isKnown[place])
      continue;
    isKnown[place] = true;
    MOE_ASSIGN_OR_RETURN(std::vector<HeldBlock> held,
                         heldBlocks(program, param, rank));
    for (const HeldBlock &block : held) {
      MOE_ASSIGN_OR_RETURN(uint64_t part, bytesOfHeld(param, block));
      bytes[place] += part;
    }
  }
  return bytes;
}

/// Slice `local` of an expert's weight; equal slices are asked for once.
static StatusOr<uint64_t>
bytesOfExpert(const plan::ParamT &param, const LocalExpert &local,
              std::map<std::pair<int, int>, uint64_t> &known) {
  HeldBlock held{local.expert};
  if (param.part_axis < 0 || local.numSlices == 1)
    return bytesOfHeld(param, held);
  auto [it, isNew] = known.try_emplace({local.slice, local.numSlices});
  if (isNew) {
    held.axis = param.part_axis;
    held.part = sliceOf(param.dims[param.part_axis], param.part_unit,
                        local.slice, local.numSlices);
    MOE_ASSIGN_OR_RETURN(it->second, bytesOfHeld(param, held));
  }
  return it->second;
}

StatusOr<std::vector<RankFacts>>
tools::factsOfRanks(const plan::ProgramT &program) {
  Mesh mesh = Mesh::of(program);
  std::vector<RankFacts> ranks(mesh.numRanks);
  for (const auto &layer : program.layers) {
    auto held = holdingsOf(*layer, mesh.sizeOf(layer->group));
    for (int rank = 0; rank < mesh.numRanks; ++rank)
      ranks[rank].experts.push_back(held[mesh.placeOf(rank, layer->group)]);
  }
  for (const auto &param : program.params) {
    if (param->experts == 0) {
      plan::Group group = param->part_axis < 0
                              ? plan::Group_World
                              : program.symbols[param->part]->group;
      std::vector<uint64_t> bytes = {bytesOf(*param)};
      if (param->part_axis >= 0) {
        MOE_ASSIGN_OR_RETURN(bytes, bytesOfPlaces(program, *param, group));
      }
      for (int rank = 0; rank < mesh.numRanks; ++rank)
        ranks[rank].weightBytes +=
            bytes[bytes.size() == 1 ? 0 : mesh.placeOf(rank, group)];
      continue;
    }
    std::map<std::pair<int, int>, uint64_t> known;
    for (RankFacts &facts : ranks)
      for (const LocalExpert &local : facts.experts[param->layer]) {
        MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                             bytesOfExpert(*param, local, known));
        facts.weightBytes += bytes;
        facts.expertWeightBytes += param->is_expert ? bytes : 0;
      }
  }
  return ranks;
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

static std::string textOf(const plan::StepT &step, const char *name) {
  for (const auto &attribute : step.attributes)
    if (attribute->name == name)
      return attribute->kind == plan::AttributeKind_String
                 ? attribute->s
                 : std::to_string(attribute->i);
  return "";
}

static std::string exchangeText(const plan::StepT &step) {
  std::string form = textOf(step, "form");
  std::string small = textOf(step, "small_form");
  std::string text = form.empty() ? "flat" : form;
  if (!small.empty())
    text += ", " + small + " up to " + textOf(step, "small_tokens") + " tokens";
  return text;
}

static void addPlaces(const plan::LayerT &layer, LayerFacts &facts) {
  std::set<uint32_t> ranks;
  for (const auto &place : layer.places) {
    ranks.insert(place->ranks.begin(), place->ranks.end());
    auto slices = static_cast<int>(place->slices);
    auto replicas = static_cast<int>(place->ranks.size() / place->slices);
    bool isFirst = facts.mostSlices == 0;
    facts.fewestSlices =
        isFirst ? slices : std::min(facts.fewestSlices, slices);
    facts.mostSlices = std::max(facts.mostSlices, slices);
    facts.fewestReplicas =
        isFirst ? replicas : std::min(facts.fewestReplicas, replicas);
    facts.mostReplicas = std::max(facts.mostReplicas, replicas);
  }
  facts.degree = static_cast<int>(ranks.size());
}

std::vector<LayerFacts> tools::factsOfLayers(const plan::ProgramT &program) {
  std::vector<LayerFacts> layers(program.layers.size());
  for (size_t i = 0; i < layers.size(); ++i)
    addPlaces(*program.layers[i], layers[i]);
  for (const auto &step : program.steps) {
    if (step->layer < 0)
      continue;
    LayerFacts &facts = layers[step->layer];
    facts.chunks +=
        step->kernel == "experts" || step->kernel == "routed_experts";
    if (step->kernel == "all_to_all")
      facts.exchange = exchangeText(*step);
  }
  return layers;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

std::string tools::groupName(plan::Group group) {
  switch (group) {
  case plan::Group_Rows:
    return "rows";
  case plan::Group_Tp:
    return "tp";
  case plan::Group_World:
    return "world";
  }
  return "";
}

bool tools::hasGroup(const plan::StepT &step) {
  return isCollective(step) || readsPlacement(step) ||
         step.group != plan::Group_Rows;
}

std::vector<std::string> tools::nodeNames(const plan::ProgramT &program,
                                          const std::vector<uint32_t> &nodes) {
  std::vector<std::string> names;
  for (uint32_t node : nodes)
    names.push_back(program.nodes[node]);
  return names;
}

std::vector<std::string> tools::dimTexts(const plan::ProgramT &program,
                                         const std::vector<uint32_t> &exprs) {
  std::vector<std::string> texts;
  for (uint32_t expr : exprs)
    texts.push_back(program.exprs[expr]);
  return texts;
}

uint64_t tools::bytesOf(const plan::ParamT &param) {
  uint64_t bytes = 0;
  for (const auto &block : param.blocks)
    bytes += block->bytes;
  return bytes;
}

std::string tools::sourceOf(const plan::ParamT &param) {
  if (param.blocks.empty())
    return "none";
  switch (param.blocks.front()->source) {
  case plan::BlockSource_Reference:
    return "reference";
  case plan::BlockSource_Synthetic:
    return "synthetic";
  default:
    return "embedded";
  }
}
