//===- LoadPlacement.cpp - Experts where their load is shared -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The problem: what may be asked, what is a solution, what it is worth.
// LoadState.cpp packs, LoadSearch.cpp improves.
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadPlacement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moe;
using namespace moe::solver;

static Status usage(std::string text) {
  return Status(StatusCode::Usage, std::move(text));
}

static Status checkNumber(const std::string &what, double value) {
  if (std::isfinite(value) && value >= 0)
    return Status::ok();
  return usage(what + " is " + std::to_string(value) +
               ", expected a number of at least 0");
}

/// No expert twice on a rank, every rank known.
static Status checkPlaces(const Placement &placement, int64_t numRanks,
                          StatusCode code) {
  for (size_t expert = 0; expert < placement.size(); ++expert) {
    const std::vector<int64_t> &ranks = placement[expert];
    std::string name = "expert " + std::to_string(expert);
    if (ranks.empty())
      return Status(code, name + " is on no rank");
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (ranks[i] < 0 || ranks[i] >= numRanks)
        return Status(code, name + " is on rank " + std::to_string(ranks[i]) +
                                " of " + std::to_string(numRanks));
      if (i > 0 && ranks[i] <= ranks[i - 1])
        return Status(code, "the ranks of " + name + " are not rising");
    }
  }
  return Status::ok();
}

Status LoadProblem::check() const {
  constexpr int64_t kMost = int64_t(1) << 16;
  if (numExperts() < 1 || numExperts() > kMost)
    return usage(std::to_string(numExperts()) +
                 " experts, expected between 1 and " + std::to_string(kMost));
  if (numRanks() < 1 || numRanks() > kMost)
    return usage(std::to_string(numRanks()) +
                 " ranks, expected between 1 and " + std::to_string(kMost));
  if (decodeRows.size() != prefillRows.size())
    return usage("loads of " + std::to_string(prefillRows.size()) +
                 " experts for prefill and of " +
                 std::to_string(decodeRows.size()) + " for decode");
  for (size_t e = 0; e < prefillRows.size(); ++e)
    for (double load : {prefillRows[e], decodeRows[e]})
      MOE_RETURN_IF_ERROR(
          checkNumber("the load of expert " + std::to_string(e), load));
  int64_t slots = 0;
  for (size_t r = 0; r < ranks.size(); ++r) {
    std::string name = "rank " + std::to_string(r);
    MOE_RETURN_IF_ERROR(checkNumber(name + "'s time", ranks[r].secondsPerRow));
    MOE_RETURN_IF_ERROR(checkNumber(name + "'s time", ranks[r].secondsPerRead));
    if (ranks[r].slots < 0)
      return usage(name + " has " + std::to_string(ranks[r].slots) + " slots");
    slots += std::min(ranks[r].slots, numExperts());
  }
  if (slots < numExperts())
    return usage(std::to_string(numExperts()) + " experts do not fit " +
                 std::to_string(slots) + " slots");
  for (double weight : {prefillShare, secondsPerPair, secondsPerMove, slack})
    MOE_RETURN_IF_ERROR(checkNumber("a weight", weight));
  if (prefillShare > 1)
    return usage("the share of prefill is " + std::to_string(prefillShare) +
                 ", expected at most 1");
  for (const CoActivation &pair : pairs) {
    for (int64_t e : {pair.a, pair.b})
      if (e < 0 || e >= numExperts())
        return usage("a pair has expert " + std::to_string(e) + " of " +
                     std::to_string(numExperts()));
    MOE_RETURN_IF_ERROR(checkNumber("a pair's load", pair.rows));
  }
  if (previous.empty())
    return Status::ok();
  if (static_cast<int64_t>(previous.size()) != numExperts())
    return usage("a previous placement of " + std::to_string(previous.size()) +
                 " experts, expected " + std::to_string(numExperts()));
  return checkPlaces(previous, numRanks(), StatusCode::Usage);
}

Status LoadProblem::verify(const Placement &placement) const {
  if (static_cast<int64_t>(placement.size()) != numExperts())
    return Status(StatusCode::Internal,
                  "a placement of " + std::to_string(placement.size()) +
                      " experts, expected " + std::to_string(numExperts()));
  MOE_RETURN_IF_ERROR(checkPlaces(placement, numRanks(), StatusCode::Internal));
  std::vector<int64_t> held(ranks.size(), 0);
  for (const std::vector<int64_t> &ranksOfExpert : placement)
    for (int64_t rank : ranksOfExpert)
      ++held[rank];
  for (size_t r = 0; r < ranks.size(); ++r)
    if (held[r] > ranks[r].slots)
      return Status(StatusCode::Internal,
                    "rank " + std::to_string(r) + " holds " +
                        std::to_string(held[r]) + " experts in " +
                        std::to_string(ranks[r].slots) + " slots");
  return Status::ok();
}

std::vector<double> LoadProblem::rankSeconds(const Placement &placement) const {
  std::vector<double> seconds(ranks.size(), 0.0);
  for (size_t e = 0; e < placement.size(); ++e) {
    double replicas = static_cast<double>(placement[e].size());
    double rows = prefillShare * prefillRows[e] / replicas;
    double reads = (1 - prefillShare) * -std::expm1(-decodeRows[e] / replicas);
    for (int64_t r : placement[e])
      seconds[r] +=
          rows * ranks[r].secondsPerRow + reads * ranks[r].secondsPerRead;
  }
  return seconds;
}

double LoadProblem::sharedPairRows(const Placement &placement) const {
  double rows = 0;
  std::vector<int64_t> common;
  for (const CoActivation &pair : pairs) {
    const std::vector<int64_t> &a = placement[pair.a], &b = placement[pair.b];
    common.clear();
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                          std::back_inserter(common));
    rows += pair.rows * static_cast<double>(common.size()) /
            static_cast<double>(std::max(a.size(), b.size()));
  }
  return rows;
}

int64_t LoadProblem::numMoves(const Placement &placement) const {
  int64_t moves = 0;
  for (size_t e = 0; e < previous.size(); ++e)
    for (int64_t r : placement[e])
      moves += !std::binary_search(previous[e].begin(), previous[e].end(), r);
  return moves;
}

double moe::solver::imbalance(std::span<const double> rankSeconds) {
  double total = std::accumulate(rankSeconds.begin(), rankSeconds.end(), 0.0);
  if (rankSeconds.empty() || total == 0)
    return 1;
  return *std::max_element(rankSeconds.begin(), rankSeconds.end()) *
         static_cast<double>(rankSeconds.size()) / total;
}
