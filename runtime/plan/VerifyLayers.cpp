//===- VerifyLayers.cpp - MoE layers and their placement ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"

#include <algorithm>

using namespace moe;

/// Replica after replica, each of `slices` ranks; as many in every domain.
Status ProgramVerifier::verifyExpert(const Place &place,
                                     const plan::LayerT &layer,
                                     size_t expert) const {
  auto error = [&](const std::string &what) {
    return place.error("expert " + std::to_string(expert) + " " + what);
  };
  const plan::ExpertPlaceT &spot = *layer.places[expert];
  std::vector<uint32_t> ranks = spot.ranks;
  std::sort(ranks.begin(), ranks.end());
  if (ranks.empty())
    return error("is on no rank");
  if (std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end())
    return error("is twice on one rank");
  MOE_RETURN_IF_ERROR(place.checkIndex("rank of an expert", ranks.back(),
                                       mesh.sizeOf(layer.group)));
  if (spot.slices < 1 || ranks.size() % spot.slices != 0)
    return error("has " + std::to_string(ranks.size()) +
                 " ranks for replicas of " + std::to_string(spot.slices) +
                 " slices");
  size_t numReplicas = ranks.size() / spot.slices;
  if (numReplicas % layer.domains != 0)
    return error("has " + std::to_string(numReplicas) + " replicas for " +
                 std::to_string(layer.domains) + " domains");
  return Status::ok();
}

Status ProgramVerifier::verifyLayers() const {
  for (size_t i = 0; i < program.layers.size(); ++i) {
    const plan::LayerT &layer = *program.layers[i];
    Place place("layer", i, &layer.router);
    if (layer.experts < 1 || layer.experts > kMaxExperts)
      return place.error("has " + std::to_string(layer.experts) +
                         " experts, expected 1 to " +
                         std::to_string(kMaxExperts));
    if (layer.k < 1 || layer.k > layer.experts)
      return place.error("selects " + std::to_string(layer.k) +
                         " experts, expected between 1 and " +
                         std::to_string(layer.experts));
    for (uint32_t node : layer.nodes)
      MOE_RETURN_IF_ERROR(place.checkIndex("node", node, program.nodes.size()));
    MOE_RETURN_IF_ERROR(checkGroup(place, layer.group));
    uint32_t numRanks = mesh.sizeOf(layer.group);
    if (layer.domains < 1 || numRanks % layer.domains != 0)
      return place.error("has " + std::to_string(layer.domains) +
                         " domains, which do not divide the " +
                         std::to_string(numRanks) + " ranks of its group");
    if (layer.places.empty() && numRanks == 1)
      continue;
    if (layer.places.size() != static_cast<size_t>(layer.experts))
      return place.error("places " + std::to_string(layer.places.size()) +
                         " experts, expected " + std::to_string(layer.experts));
    for (size_t expert = 0; expert < layer.places.size(); ++expert)
      MOE_RETURN_IF_ERROR(verifyExpert(place, layer, expert));
  }
  return Status::ok();
}
