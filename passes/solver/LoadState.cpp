//===- LoadState.cpp - A placement and the times of its ranks -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadState.h"

#include <numeric>

using namespace moe;
using namespace moe::solver;

/// Adds or takes away the times of all replicas of e.
void LoadState::setReplicas(int64_t e, double sign) {
  for (int64_t r : ranksOf[e])
    seconds[r] += sign * price(e, numReplicas(e), r);
}

void LoadState::apply(std::span<const Change> changes) {
  for (const Change &change : changes) {
    setReplicas(change.expert, -1);
    std::vector<int64_t> &ranks = ranksOf[change.expert];
    std::vector<int64_t> &experts = expertsOn[change.rank];
    auto at = std::lower_bound(ranks.begin(), ranks.end(), change.rank);
    if (change.comes) {
      ranks.insert(at, change.rank);
      experts.push_back(change.expert);
    } else {
      ranks.erase(at);
      experts.erase(std::find(experts.begin(), experts.end(), change.expert));
    }
    setReplicas(change.expert, 1);
  }
}

double LoadState::peakAfter(std::span<const Change> changes) {
  touched.clear();
  auto add = [&](int64_t r, double difference) {
    for (auto &[rank, sum] : touched)
      if (rank == r) {
        sum += difference;
        return;
      }
    touched.push_back({r, difference});
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    int64_t e = changes[i].expert;
    bool isFirst = true;
    for (size_t j = 0; j < i; ++j)
      isFirst &= changes[j].expert != e;
    if (!isFirst)
      continue;
    int64_t before = numReplicas(e), after = before;
    for (const Change &change : changes)
      if (change.expert == e)
        after += change.comes ? 1 : -1;
    auto leaves = [&](int64_t r) {
      return std::any_of(changes.begin(), changes.end(), [&](const Change &c) {
        return c.expert == e && !c.comes && c.rank == r;
      });
    };
    for (int64_t r : ranksOf[e])
      add(r, (leaves(r) ? 0 : price(e, after, r)) - price(e, before, r));
    for (const Change &change : changes)
      if (change.expert == e && change.comes)
        add(change.rank, price(e, after, change.rank));
  }
  double largest = 0;
  for (auto &[rank, difference] : touched)
    largest = std::max(largest, seconds[rank] + difference);
  return largest;
}

//===----------------------------------------------------------------------===//
// The greedy scheme
//===----------------------------------------------------------------------===//

/// Replicas of each expert: the most expensive gets one more, `extra` times.
static std::vector<int64_t> chooseReplicas(const LoadState &state,
                                           int64_t extra) {
  std::vector<int64_t> replicas(state.numExperts(), 1);
  for (; extra > 0; --extra) {
    int64_t best = -1;
    double bestPrice = 0;
    for (int64_t e = 0; e < state.numExperts(); ++e) {
      double price = state.price(e, replicas[e], 0);
      if (replicas[e] < state.numRanks() && price > bestPrice) {
        best = e;
        bestPrice = price;
      }
    }
    if (best < 0)
      break;
    ++replicas[best];
  }
  return replicas;
}

/// The rank with room on which one more replica of e ends first, or -1.
static int64_t findRank(const LoadState &state, int64_t e, double share) {
  int64_t best = -1;
  double bestTime = 0;
  for (int64_t r = 0; r < state.numRanks(); ++r) {
    if (!state.hasRoom(r) || state.holds(r, e))
      continue;
    double time = state.seconds[r] + state.price(e, 1, r) * share;
    if (best < 0 || time < bestTime) {
      best = r;
      bestTime = time;
    }
  }
  return best;
}

LoadState moe::solver::packByPrice(const LoadProblem &problem, int64_t extra) {
  LoadState state(problem);
  std::vector<int64_t> replicas = chooseReplicas(state, extra);
  std::vector<int64_t> order(problem.numExperts());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return state.price(a, replicas[a], 0) > state.price(b, replicas[b], 0);
  });
  // Times while packing: of replicas as many as there will be.
  for (int64_t e : order)
    for (int64_t i = 0; i < replicas[e]; ++i) {
      int64_t r = findRank(state, e, 1.0 / static_cast<double>(replicas[e]));
      if (r < 0)
        break; // What is left has room only where the expert is already.
      state.seconds[r] += state.price(e, replicas[e], r);
      auto &ranks = state.ranksOf[e];
      ranks.insert(std::lower_bound(ranks.begin(), ranks.end(), r), r);
      state.expertsOn[r].push_back(e);
    }
  state.seconds = problem.rankSeconds(state.ranksOf);
  return state;
}

int64_t moe::solver::numSpareSlots(const LoadProblem &problem) {
  int64_t slots = -problem.numExperts();
  for (const RankCapacity &rank : problem.ranks)
    slots += std::min(rank.slots, problem.numExperts());
  return slots;
}

StatusOr<Placement> moe::solver::replicateAndPack(const LoadProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  return packByPrice(problem, numSpareSlots(problem)).ranksOf;
}
