//===- Placement.cpp - Which experts a rank holds -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Placement.h"
#include "runtime/plan/Plan_generated.h"

#include <algorithm>

using namespace moe;

Interval moe::partOfWhole(int64_t n, int64_t part, int64_t parts) {
  if (parts == 1)
    return {0, n};
  auto begin = [&](int64_t i) {
    return static_cast<int64_t>(static_cast<__int128>(n) * i / parts);
  };
  return {begin(part), begin(part + 1)};
}

Interval moe::sliceOf(int64_t size, int64_t unit, int64_t slice,
                      int64_t numSlices) {
  int64_t numUnits = size / unit + (size % unit != 0);
  Interval units = partOfWhole(numUnits, slice, numSlices);
  auto element = [&](int64_t i) { return i == numUnits ? size : i * unit; };
  return {element(units.begin), element(units.end)};
}

std::vector<LocalExpert> moe::localExperts(const plan::LayerT &layer,
                                           int place) {
  std::vector<LocalExpert> held;
  for (int expert = 0; expert < layer.experts; ++expert) {
    if (layer.places.empty()) {
      held.push_back({expert});
      continue;
    }
    const plan::ExpertPlaceT &at = *layer.places[expert];
    auto found = std::find(at.ranks.begin(), at.ranks.end(),
                           static_cast<uint32_t>(place));
    if (found == at.ranks.end())
      continue;
    auto slices = static_cast<int>(at.slices);
    held.push_back(
        {expert, static_cast<int>(found - at.ranks.begin()) % slices, slices});
  }
  return held;
}

std::vector<int> moe::expertsOf(const plan::LayerT &layer, int place) {
  std::vector<int> experts;
  for (const LocalExpert &local : localExperts(layer, place))
    experts.push_back(local.expert);
  return experts;
}

DomainReplicas moe::replicasOf(const plan::LayerT &layer, int expert,
                               int domain) {
  const plan::ExpertPlaceT &at = *layer.places[expert];
  DomainReplicas result;
  result.numSlices = static_cast<int>(at.slices);
  result.count = static_cast<int>(at.ranks.size() / at.slices / layer.domains);
  result.first = domain * result.count;
  return result;
}

int moe::domainOf(const plan::LayerT &layer, int place, int numRanks) {
  return static_cast<int>(static_cast<int64_t>(place) * layer.domains /
                          numRanks);
}

std::vector<Share> moe::sharesOf(const plan::LayerT &layer, int expert,
                                 int sender, int numRanks, int64_t count) {
  std::span<const uint32_t> ranks = layer.places[expert]->ranks;
  DomainReplicas replicas =
      replicasOf(layer, expert, domainOf(layer, sender, numRanks));
  std::vector<Share> shares;
  for (int part = 0; part < replicas.count; ++part) {
    int replica = replicas.first + replicas.replicaFor(sender, part);
    Interval rows = partOfWhole(count, part, replicas.count);
    shares.push_back(
        {ranks.subspan(static_cast<size_t>(replica) * replicas.numSlices,
                       replicas.numSlices),
         rows.begin, rows.end});
  }
  return shares;
}
