//===- ExchangePlaces.cpp - Whose rows go where ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExchangePlaces.h"

#include "runtime/plan/Plan_generated.h"

#include <algorithm>

namespace moe::cpu {

/// What the tables below rely on; plans from files were verified before.
static Status checkLayer(const KernelSpec &spec) {
  auto error = [&](const std::string &what) {
    return Status(StatusCode::BadPlan,
                  "step " + spec.step.kernel + ": " + what);
  };
  if (!spec.layer || spec.layer->places.empty())
    return error("its layer has no placement");
  const plan::LayerT &layer = *spec.layer;
  if (layer.domains < 1 || spec.numRanks % static_cast<int>(layer.domains) != 0)
    return error("its layer has domains that do not divide the ranks");
  for (const auto &place : layer.places) {
    if (place->ranks.empty())
      return error("an expert has no rank");
    size_t perReplica = static_cast<size_t>(place->slices) * layer.domains;
    if (perReplica == 0 || place->ranks.size() % perReplica != 0)
      return error("an expert has ranks for a part of a replica");
    for (uint32_t rank : place->ranks)
      if (rank >= static_cast<uint32_t>(spec.numRanks))
        return error("an expert is on rank " + std::to_string(rank) + " of " +
                     std::to_string(spec.numRanks));
  }
  return Status::ok();
}

StatusOr<ExchangePlaces> ExchangePlaces::create(const KernelSpec &spec,
                                                bool isReplicated) {
  MOE_RETURN_IF_ERROR(checkLayer(spec));
  const plan::LayerT &layer = *spec.layer;
  ExchangePlaces result;
  result.theRank = spec.rank;
  result.theNumRanks = spec.numRanks;
  result.numDomains = static_cast<int>(layer.domains);
  result.theNumExperts = static_cast<int64_t>(layer.places.size());
  result.setHoldings(layer);
  result.setRuns(layer, isReplicated ? 0 : spec.rank);
  return result;
}

void ExchangePlaces::setHoldings(const plan::LayerT &layer) {
  firstHolding.assign(theNumRanks + 1, 0);
  for (const auto &place : layer.places) {
    theMaxSlices = std::max<int64_t>(theMaxSlices, place->slices);
    for (uint32_t rank : place->ranks)
      ++firstHolding[rank + 1];
  }
  for (int rank = 0; rank < theNumRanks; ++rank) {
    theMaxLocal = std::max<int64_t>(theMaxLocal, firstHolding[rank + 1]);
    firstHolding[rank + 1] += firstHolding[rank];
  }
  holdings.resize(firstHolding.back());
  std::vector<int32_t> next(firstHolding.begin(), firstHolding.end() - 1);
  for (size_t expert = 0; expert < layer.places.size(); ++expert) {
    const plan::ExpertPlaceT &place = *layer.places[expert];
    int replicas =
        replicasOf(layer, static_cast<int>(expert), /*domain=*/0).count;
    for (size_t i = 0; i < place.ranks.size(); ++i) {
      auto replica = static_cast<int32_t>(i / place.slices);
      holdings[next[place.ranks[i]]++] = {static_cast<int32_t>(expert),
                                          replica / replicas,
                                          replica % replicas, replicas};
    }
  }
}

void ExchangePlaces::setRuns(const plan::LayerT &layer, int sender) {
  for (size_t expert = 0; expert < layer.places.size(); ++expert) {
    std::vector<Share> shares = sharesOf(layer, static_cast<int>(expert),
                                         sender, theNumRanks, /*count=*/0);
    auto parts = static_cast<int32_t>(shares.size());
    for (int32_t part = 0; part < parts; ++part) {
      std::span<const uint32_t> ranks = shares[part].ranks;
      for (size_t slice = 0; slice < ranks.size(); ++slice)
        theRuns.push_back({static_cast<int32_t>(expert),
                           static_cast<int32_t>(ranks[slice]), part, parts,
                           static_cast<int32_t>(slice),
                           static_cast<int32_t>(ranks.size())});
    }
  }
  firstOfTarget.assign(theNumRanks + 1, 0);
  for (const Run &run : theRuns)
    ++firstOfTarget[run.target + 1];
  for (int rank = 0; rank < theNumRanks; ++rank)
    firstOfTarget[rank + 1] += firstOfTarget[rank];
  byTarget.resize(theRuns.size());
  std::vector<int32_t> next(firstOfTarget.begin(), firstOfTarget.end() - 1);
  for (size_t i = 0; i < theRuns.size(); ++i)
    byTarget[next[theRuns[i].target]++] = static_cast<int32_t>(i);
}

int64_t ExchangePlaces::numRuns(int sender, int target) const {
  int domain = domainOf(sender);
  std::span<const Holding> held = holdingsOf(target);
  return std::count_if(held.begin(), held.end(), [&](const Holding &holding) {
    return holding.domain == domain;
  });
}

} // namespace moe::cpu
