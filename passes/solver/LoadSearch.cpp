//===- LoadSearch.cpp - Improves placements by trial ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadState.h"

#include <limits>
#include <optional>
#include <random>

using namespace moe;
using namespace moe::solver;

namespace {

/// The best change of the slowest rank, found by trying all of a few kinds.
class Improvement {
public:
  Improvement(LoadState &state, int64_t &trials)
      : state(state), trials(trials) {}

  /// Improves until nothing helps or no trial is left.
  void run() {
    while (trials > 0 && step())
      ;
  }

private:
  bool step();
  void tryFor(int64_t slow, int64_t e);
  void consider(std::initializer_list<Change> changes) {
    --trials;
    double peak = state.peakAfter(std::span(changes.begin(), changes.size()));
    if (peak >= bestPeak)
      return;
    bestPeak = peak;
    best.assign(changes.begin(), changes.end());
  }

  LoadState &state;
  int64_t &trials;
  double bestPeak = 0;
  std::vector<Change> best;
};

/// Greedy for one pair of ranks at a time: `secondary` grows, the peak stays
/// below `limit`.
class Polish {
public:
  Polish(LoadState &state, double limit, int64_t trials)
      : state(state), limit(limit), trials(trials),
        neighbors(state.numExperts()) {
    for (const CoActivation &pair : state.problem.pairs) {
      neighbors[pair.a].push_back({pair.b, pair.rows});
      neighbors[pair.b].push_back({pair.a, pair.rows});
    }
  }
  void run() {
    bool changed = true;
    while (changed && trials > 0) {
      changed = false;
      for (int64_t r = 0; r < state.numRanks(); ++r)
        for (int64_t s = 0; s < state.numRanks(); ++s)
          changed |= r != s && improvePair(r, s);
    }
  }

private:
  bool improvePair(int64_t r, int64_t s);
  /// Seconds that expert e on rank r is worth, `without` not counted there.
  double worth(int64_t e, int64_t r, int64_t without) const;
  double gain(int64_t e, int64_t from, int64_t to, int64_t other) const {
    return worth(e, to, other) - worth(e, from, -1);
  }

  LoadState &state;
  double limit;
  int64_t trials;
  std::vector<std::vector<std::pair<int64_t, double>>> neighbors;
};

} // namespace

/// All that can be done with expert e of the slowest rank.
void Improvement::tryFor(int64_t slow, int64_t e) {
  Change leaves{e, slow, false};
  if (state.numReplicas(e) > 1)
    consider({leaves});
  for (int64_t s = 0; s < state.numRanks() && trials > 0; ++s) {
    if (s == slow || state.holds(s, e))
      continue;
    Change comes{e, s, true};
    if (state.hasRoom(s)) {
      consider({leaves, comes});
      consider({comes});
    }
    for (int64_t f : state.expertsOn[s]) {
      Change makesRoom{f, s, false};
      if (!state.holds(slow, f))
        consider({leaves, comes, makesRoom, {f, slow, true}});
      if (state.numReplicas(f) > 1)
        consider({comes, makesRoom});
    }
  }
}

bool Improvement::step() {
  int64_t slow = state.slowest();
  // What does not change anything much is no improvement: rounding.
  bestPeak = state.seconds[slow] * (1 - 1e-9);
  best.clear();
  for (int64_t e : state.expertsOn[slow])
    tryFor(slow, e);
  if (best.empty())
    return false;
  state.apply(best);
  return true;
}

double Polish::worth(int64_t e, int64_t r, int64_t without) const {
  const LoadProblem &problem = state.problem;
  double seconds = 0;
  if (!problem.previous.empty()) {
    const std::vector<int64_t> &before = problem.previous[e];
    if (!std::binary_search(before.begin(), before.end(), r))
      seconds -= problem.secondsPerMove;
  }
  for (auto [other, rows] : neighbors[e])
    if (other != without && other != e && state.holds(r, other))
      seconds += problem.secondsPerPair * rows /
                 static_cast<double>(
                     std::max(state.numReplicas(e), state.numReplicas(other)));
  return seconds;
}

/// The best move from r to s or swap of the two, if any gains.
bool Polish::improvePair(int64_t r, int64_t s) {
  double bestGain = 1e-12;
  std::vector<Change> best;
  for (int64_t e : state.expertsOn[r]) {
    if (state.holds(s, e))
      continue;
    Change leaves{e, r, false}, comes{e, s, true};
    auto consider = [&](double gained, std::initializer_list<Change> changes) {
      --trials;
      if (gained <= bestGain ||
          state.peakAfter(std::span(changes.begin(), changes.size())) > limit)
        return;
      bestGain = gained;
      best.assign(changes.begin(), changes.end());
    };
    if (state.hasRoom(s))
      consider(gain(e, r, s, -1), {leaves, comes});
    for (int64_t f : state.expertsOn[s])
      if (!state.holds(r, f))
        consider(gain(e, r, s, f) + gain(f, s, r, e),
                 {leaves, comes, {f, s, false}, {f, r, true}});
  }
  if (best.empty())
    return false;
  state.apply(best);
  return true;
}

/// Swaps a few experts at random, or gives a replica's slot to another expert.
static void disturb(LoadState &state, std::mt19937_64 &random) {
  auto pick = [&](const std::vector<int64_t> &list) {
    return list[random() % list.size()];
  };
  for (int i = 0; i < 3; ++i) {
    int64_t r = i == 0 ? state.slowest() : random() % state.numRanks();
    int64_t s = random() % state.numRanks();
    if (r == s || state.expertsOn[r].empty() || state.expertsOn[s].empty())
      continue;
    int64_t e = pick(state.expertsOn[r]), f = pick(state.expertsOn[s]);
    if (state.holds(s, e))
      continue;
    if (state.numReplicas(f) > 1 && random() % 2 == 0) {
      Change replace[] = {{f, s, false}, {e, s, true}};
      state.apply(replace);
    } else if (!state.holds(r, f)) {
      Change swap[] = {
          {e, r, false}, {e, s, true}, {f, s, false}, {f, r, true}};
      state.apply(swap);
    }
  }
}

/// No placement has a smaller peak: all work shared by all ranks.
static double lowerBound(const LoadProblem &problem) {
  double rows = 0, reads = 0, rowSpeed = 0, readSpeed = 0;
  for (int64_t e = 0; e < problem.numExperts(); ++e) {
    rows += problem.prefillShare * problem.prefillRows[e];
    reads += (1 - problem.prefillShare) * -std::expm1(-problem.decodeRows[e]);
  }
  for (const RankCapacity &rank : problem.ranks) {
    if (rank.secondsPerRow == 0 || rank.secondsPerRead == 0)
      return 0;
    rowSpeed += 1 / rank.secondsPerRow;
    readSpeed += 1 / rank.secondsPerRead;
  }
  return std::max(rows / rowSpeed, reads / readSpeed);
}

/// Improves, then again from disturbed copies of the best.
static LoadState search(LoadState start, int64_t trials) {
  constexpr double kGoodEnough = 1.005;
  constexpr int kMaxRounds = 2000;
  std::mt19937_64 random(1);
  double goal = lowerBound(start.problem) * kGoodEnough;
  Improvement(start, trials).run();
  LoadState best = start;
  for (int round = 0; round < kMaxRounds && trials > 0 && best.peak() > goal;
       ++round) {
    LoadState next = best;
    disturb(next, random);
    Improvement(next, trials).run();
    if (next.peak() < best.peak())
      best.ranksOf = next.ranksOf, best.expertsOn = next.expertsOn,
      best.seconds = next.seconds;
  }
  return best;
}

/// `placement`, if its ranks have the slots for it.
static std::optional<LoadState> stateOf(const LoadProblem &problem,
                                        const Placement &placement) {
  if (placement.empty() || !problem.verify(placement).isOk())
    return std::nullopt;
  LoadState state(problem);
  state.ranksOf = placement;
  for (size_t e = 0; e < placement.size(); ++e)
    for (int64_t r : placement[e])
      state.expertsOn[r].push_back(static_cast<int64_t>(e));
  state.seconds = problem.rankSeconds(placement);
  return state;
}

StatusOr<Placement> moe::solver::placeByLoad(const LoadProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  // Replicas share rows, but each is read: both ends are tried.
  int64_t spare = numSpareSlots(problem);
  std::vector<LoadState> found;
  found.push_back(search(packByPrice(problem, spare), problem.maxTrials / 2));
  if (spare > 0 && problem.prefillShare < 1)
    found.push_back(search(packByPrice(problem, 0), problem.maxTrials / 4));
  std::optional<LoadState> kept = stateOf(problem, problem.previous);
  if (kept)
    found.push_back(search(*kept, problem.maxTrials / 4));
  size_t best = 0;
  for (size_t i = 1; i < found.size(); ++i)
    if (found[i].peak() < found[best].peak())
      best = i;
  bool hasWishes = (!problem.pairs.empty() && problem.secondsPerPair > 0) ||
                   (kept && problem.secondsPerMove > 0);
  if (!hasWishes)
    return found[best].ranksOf;

  double limit = found[best].peak() * (1 + problem.slack);
  double bestWorth = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].peak() > limit)
      continue;
    Polish(found[i], limit, problem.maxTrials / 4).run();
    const Placement &placement = found[i].ranksOf;
    double worth = problem.secondsPerPair * problem.sharedPairRows(placement) -
                   problem.secondsPerMove *
                       static_cast<double>(problem.numMoves(placement));
    if (worth > bestWorth) {
      best = i;
      bestWorth = worth;
    }
  }
  return found[best].ranksOf;
}
