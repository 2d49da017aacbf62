//===- LoadSearch.cpp - Replicates, packs and improves --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every change of a placement is a list of replicas that come and go; a trial
// computes the times of the ranks that it touches and nothing else.
//
//===----------------------------------------------------------------------===//

#include "passes/solver/LoadPlacement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <random>

using namespace moe;
using namespace moe::solver;

namespace {

/// One replica comes to a rank or leaves it.
struct Change {
  int64_t expert = 0;
  int64_t rank = 0;
  bool comes = true;
};

/// A placement with the times of its ranks.
class State {
public:
  State(const LoadProblem &problem)
      : problem(problem), ranksOf(problem.numExperts()),
        expertsOn(problem.numRanks()), seconds(problem.numRanks(), 0.0) {}

  int64_t numExperts() const { return problem.numExperts(); }
  int64_t numRanks() const { return problem.numRanks(); }
  int64_t numReplicas(int64_t e) const {
    return static_cast<int64_t>(ranksOf[e].size());
  }
  bool holds(int64_t r, int64_t e) const {
    return std::binary_search(ranksOf[e].begin(), ranksOf[e].end(), r);
  }
  bool hasRoom(int64_t r) const {
    return static_cast<int64_t>(expertsOn[r].size()) < problem.ranks[r].slots;
  }
  /// Time of one of `replicas` replicas of e on rank r.
  double price(int64_t e, int64_t replicas, int64_t r) const {
    double count = static_cast<double>(replicas);
    return problem.prefillShare * problem.prefillRows[e] / count *
               problem.ranks[r].secondsPerRow +
           (1 - problem.prefillShare) *
               -std::expm1(-problem.decodeRows[e] / count) *
               problem.ranks[r].secondsPerRead;
  }
  int64_t slowest() const {
    return std::max_element(seconds.begin(), seconds.end()) - seconds.begin();
  }
  double peak() const { return seconds[slowest()]; }

  void apply(std::span<const Change> changes);
  /// The largest time among the ranks that `changes` touch, after them.
  double peakAfter(std::span<const Change> changes);

  const LoadProblem &problem;
  Placement ranksOf;
  std::vector<std::vector<int64_t>> expertsOn;
  std::vector<double> seconds;

private:
  void setReplicas(int64_t e, double sign);
  std::vector<std::pair<int64_t, double>> touched;
};

} // namespace

/// Adds or takes away the times of all replicas of e.
void State::setReplicas(int64_t e, double sign) {
  for (int64_t r : ranksOf[e])
    seconds[r] += sign * price(e, numReplicas(e), r);
}

void State::apply(std::span<const Change> changes) {
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

double State::peakAfter(std::span<const Change> changes) {
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
static std::vector<int64_t> chooseReplicas(const State &state, int64_t extra) {
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
static int64_t findRank(const State &state, int64_t e, double share) {
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

static State pack(const LoadProblem &problem, int64_t extra) {
  State state(problem);
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

static int64_t numSpareSlots(const LoadProblem &problem) {
  int64_t slots = -problem.numExperts();
  for (const RankCapacity &rank : problem.ranks)
    slots += std::min(rank.slots, problem.numExperts());
  return slots;
}

StatusOr<Placement> moe::solver::replicateAndPack(const LoadProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  return pack(problem, numSpareSlots(problem)).ranksOf;
}

//===----------------------------------------------------------------------===//
// Improvement
//===----------------------------------------------------------------------===//

namespace {

/// The best change of the slowest rank, found by trying all of a few kinds.
class Improvement {
public:
  Improvement(State &state, int64_t &trials) : state(state), trials(trials) {}

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

  State &state;
  int64_t &trials;
  double bestPeak = 0;
  std::vector<Change> best;
};

/// Greedy for one pair of ranks at a time: `secondary` grows, the peak stays
/// below `limit`.
class Polish {
public:
  Polish(State &state, double limit, int64_t trials)
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

  State &state;
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
static void disturb(State &state, std::mt19937_64 &random) {
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
static State search(State start, int64_t trials) {
  constexpr double kGoodEnough = 1.005;
  constexpr int kMaxRounds = 2000;
  std::mt19937_64 random(1);
  double goal = lowerBound(start.problem) * kGoodEnough;
  Improvement(start, trials).run();
  State best = start;
  for (int round = 0; round < kMaxRounds && trials > 0 && best.peak() > goal;
       ++round) {
    State next = best;
    disturb(next, random);
    Improvement(next, trials).run();
    if (next.peak() < best.peak())
      best.ranksOf = next.ranksOf, best.expertsOn = next.expertsOn,
      best.seconds = next.seconds;
  }
  return best;
}

/// `placement`, if its ranks have the slots for it.
static std::optional<State> stateOf(const LoadProblem &problem,
                                    const Placement &placement) {
  if (placement.empty() || !problem.verify(placement).isOk())
    return std::nullopt;
  State state(problem);
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
  std::vector<State> found;
  found.push_back(search(pack(problem, spare), problem.maxTrials / 2));
  if (spare > 0 && problem.prefillShare < 1)
    found.push_back(search(pack(problem, 0), problem.maxTrials / 4));
  std::optional<State> kept = stateOf(problem, problem.previous);
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
