//===- ExpertSpread.cpp - Experts over ranks, evenly ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ExpertSpread.h"

#include "passes/solver/Placement.h"

#include <algorithm>

using namespace moe::pass;

bool ExpertSpread::hasSlices() const {
  return std::any_of(slices.begin(), slices.end(),
                     [](int64_t count) { return count > 1; });
}

/// What of 0 .. count - 1 falls to each of `numParts` parts, in order and
/// evenly.
static std::vector<std::vector<int64_t>> divide(int64_t count,
                                                int64_t numParts) {
  std::vector<std::vector<int64_t>> parts(numParts);
  for (int64_t i = 0; i < count; ++i)
    parts[i * numParts / count].push_back(i);
  return parts;
}

static ExpertSpread whole(int64_t numExperts) {
  ExpertSpread spread;
  spread.ranks.resize(numExperts);
  spread.slices.assign(numExperts, 1);
  return spread;
}

ExpertSpread moe::pass::spreadInBlocks(int64_t numExperts, int64_t numRanks) {
  ExpertSpread spread = whole(numExperts);
  if (numExperts < numRanks) {
    for (int64_t e = 0; e < numExperts; ++e)
      spread.ranks[e] = {e * numRanks / numExperts};
    return spread;
  }
  spread.ranks = solver::divideInBlocks(numExperts, numRanks);
  return spread;
}

ExpertSpread moe::pass::spreadInReplicas(int64_t numExperts, int64_t numRanks) {
  ExpertSpread spread = whole(numExperts);
  if (numExperts < numRanks) {
    spread.ranks = solver::divideInBlocks(numExperts, numRanks);
    return spread;
  }
  for (std::vector<int64_t> &ranks : spread.ranks)
    for (int64_t rank = 0; rank < numRanks; ++rank)
      ranks.push_back(rank);
  spread.domains = numRanks;
  return spread;
}

/// At least as many groups as experts: replicas, a group each.
static void sliceReplicas(ExpertSpread &spread,
                          const std::vector<std::vector<int64_t>> &groups,
                          int64_t maxSlices) {
  int64_t numExperts = spread.ranks.size();
  std::vector<std::vector<int64_t>> ofExpert =
      divide(groups.size(), numExperts);
  for (int64_t e = 0; e < numExperts; ++e) {
    int64_t slices = maxSlices;
    for (int64_t group : ofExpert[e])
      slices = std::min<int64_t>(slices, groups[group].size());
    for (int64_t group : ofExpert[e])
      spread.ranks[e].insert(spread.ranks[e].end(), groups[group].begin(),
                             groups[group].begin() + slices);
    spread.slices[e] = slices;
  }
}

/// More experts than groups: several in each. Slices differ by one unit where
/// they do not divide, so each expert begins on another rank.
static void sliceInGroups(ExpertSpread &spread,
                          const std::vector<std::vector<int64_t>> &groups) {
  int64_t numExperts = spread.ranks.size(), numGroups = groups.size();
  for (int64_t i = 0; i < numGroups; ++i) {
    int64_t begin = i * numExperts / numGroups;
    int64_t end = (i + 1) * numExperts / numGroups;
    int64_t size = groups[i].size();
    for (int64_t e = begin; e < end; ++e) {
      spread.slices[e] = size;
      for (int64_t slice = 0; slice < size; ++slice)
        spread.ranks[e].push_back(groups[i][(slice + e - begin) % size]);
    }
  }
}

/// Groups would have ranks without a slice: an expert takes the ranks that
/// follow those of the one before, round and round.
static void sliceAround(ExpertSpread &spread, int64_t numRanks,
                        int64_t numSlices) {
  int64_t next = 0;
  for (std::vector<int64_t> &ranks : spread.ranks)
    for (int64_t slice = 0; slice < numSlices; ++slice)
      ranks.push_back(next++ % numRanks);
  spread.slices.assign(spread.ranks.size(), numSlices);
}

ExpertSpread moe::pass::spreadInSlices(int64_t numExperts, int64_t numRanks,
                                       int64_t numSlices, int64_t maxSlices) {
  ExpertSpread spread = whole(numExperts);
  int64_t perExpert = std::max<int64_t>(1, numRanks / numExperts);
  bool isOneEach = numSlices == 0 && numExperts < numRanks;
  if (numSlices == 0)
    numSlices = isOneEach ? perExpert : numRanks;
  numSlices = std::clamp<int64_t>(numSlices, 1, std::min(numRanks, maxSlices));
  bool fits = isOneEach && perExpert <= maxSlices;
  int64_t numGroups = fits ? numExperts : numRanks / numSlices;
  std::vector<std::vector<int64_t>> groups = divide(numRanks, numGroups);
  if (numGroups >= numExperts)
    sliceReplicas(spread, groups, maxSlices);
  else if ((numRanks + numGroups - 1) / numGroups <= maxSlices)
    sliceInGroups(spread, groups);
  else
    sliceAround(spread, numRanks, numSlices);
  return spread;
}

ExpertSpread moe::pass::repeatInBlocks(const ExpertSpread &block,
                                       int64_t numRanks, int64_t numBlocks) {
  ExpertSpread spread = block;
  spread.domains = block.domains * numBlocks;
  int64_t blockSize = numRanks / numBlocks;
  for (size_t e = 0; e < block.ranks.size(); ++e)
    for (int64_t i = 1; i < numBlocks; ++i)
      for (int64_t rank : block.ranks[e])
        spread.ranks[e].push_back(rank + i * blockSize);
  return spread;
}
