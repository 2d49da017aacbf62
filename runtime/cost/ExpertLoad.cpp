//===- ExpertLoad.cpp - What a rank has to do for its experts -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/ExpertLoad.h"

#include "runtime/plan/Placement.h"

#include <algorithm>
#include <cmath>

using namespace moe;
using namespace moe::cost;

double cost::activeExperts(double experts, double perToken, double tokens) {
  if (tokens <= 0 || experts <= 0)
    return 0;
  double spared = std::max(0.0, 1 - perToken / experts);
  // Less than one token is the chance of one.
  return experts * (1 - std::pow(spared, tokens));
}

/// The mean of the largest of n normal numbers, after Blom: the quantile at
/// (n - 0.375) / (n + 0.25), by bisection.
static double largestNormal(double n) {
  double target = (n - 0.375) / (n + 0.25);
  double low = 0, high = 8;
  for (int i = 0; i < 50; ++i) {
    double middle = (low + high) / 2;
    double below = 0.5 * std::erfc(-middle / std::sqrt(2.0));
    (below < target ? low : high) = middle;
  }
  return low;
}

double cost::largestOf(double numRanks) {
  if (numRanks <= 1)
    return 0;
  return largestNormal(numRanks) * std::sqrt(numRanks / (numRanks - 1));
}

double cost::sliceShare(int64_t units, int64_t slice, int64_t slices) {
  int64_t mine = partOfWhole(units, slice, slices).size();
  return static_cast<double>(mine) / static_cast<double>(units);
}

/// Factors from the spread of what n independent choices give p ranks.
static void setFactors(std::vector<RankLoad> &loads, double rows, double active,
                       double experts) {
  double largest = largestOf(static_cast<double>(loads.size()));
  for (RankLoad &load : loads) {
    if (load.work <= 0 || load.experts <= 0)
      continue;
    double share = std::min(1.0, load.work / std::max(rows, 1e-9));
    double rowDeviation = std::sqrt(rows * share * (1 - share));
    load.workFactor =
        std::min(rows, load.work + largest * rowDeviation) / load.work;
    double part = std::min(1.0, load.experts / std::max(active, 1e-9));
    double deviation = std::sqrt(active * part * (1 - part) *
                                 std::max(0.0, 1 - active / experts));
    load.expertsFactor =
        std::min(active, load.experts + largest * deviation) / load.experts;
    load.workFactor = std::max(1.0, load.workFactor);
    load.expertsFactor = std::max(1.0, load.expertsFactor);
  }
}

std::vector<RankLoad> cost::expertLoads(const plan::LayerT &layer,
                                        const std::vector<double> &sentRows,
                                        int64_t units) {
  int64_t numRanks = static_cast<int64_t>(sentRows.size());
  std::vector<RankLoad> loads(numRanks);
  double numExperts = std::max(1, layer.experts);
  double perToken = std::max(1, layer.k);
  int64_t domains = std::max<int64_t>(1, layer.domains);
  std::vector<double> domainRows(domains);
  double allRows = 0;
  for (int64_t r = 0; r < numRanks; ++r) {
    domainRows[r * domains / numRanks] += sentRows[r];
    allRows += sentRows[r];
  }
  if (layer.places.empty()) {
    double active = activeExperts(numExperts, perToken, allRows / perToken);
    for (RankLoad &load : loads)
      load = {allRows, allRows, active, 1, 1};
    return loads;
  }
  for (const auto &place : layer.places) {
    int64_t slices = std::max<int64_t>(1, place->slices);
    int64_t replicas = static_cast<int64_t>(place->ranks.size()) / slices;
    int64_t perDomain = std::max<int64_t>(1, replicas / domains);
    for (int64_t replica = 0; replica < replicas; ++replica) {
      int64_t domain = std::min(replica / perDomain, domains - 1);
      double rows = domainRows[domain] / numExperts / perDomain;
      double tokens = domainRows[domain] / perToken / perDomain;
      double chance = activeExperts(1, perToken / numExperts, tokens);
      for (int64_t slice = 0; slice < slices; ++slice) {
        uint32_t rank = place->ranks[replica * slices + slice];
        if (rank >= loads.size())
          continue;
        double share = sliceShare(units, slice, slices);
        loads[rank].rows += rows;
        loads[rank].work += rows * share;
        loads[rank].experts += chance * share;
      }
    }
  }
  setFactors(loads, allRows,
             activeExperts(numExperts, perToken, allRows / perToken),
             numExperts);
  return loads;
}
