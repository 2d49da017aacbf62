//===- ExchangeTest.cpp - Rows to their experts and back ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All ranks run the steps on threads. Rows are told apart by their values; what
// each rank must get is computed here from plan::sharesOf and the rows of all
// ranks.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Placement.h"
#include "test/cts/kernels/KernelRunner.h"

#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

using Ranks = std::vector<uint32_t>;

/// Where the experts are: ranks and slices of each.
struct Spots {
  int numRanks;
  uint32_t domains;
  std::vector<std::pair<Ranks, uint32_t>> experts;

  plan::LayerT layer() const {
    plan::LayerT layer;
    layer.experts = static_cast<int>(experts.size());
    layer.domains = domains;
    for (const auto &[ranks, slices] : experts) {
      layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
      layer.places.back()->ranks = ranks;
      layer.places.back()->slices = slices;
    }
    return layer;
  }
};

/// One of every kind that the placement knows.
std::vector<Spots> allSpots() {
  return {
      // Blocks; one rank has no expert; all experts everywhere.
      {3, 1, {{{0}, 1}, {{0}, 1}, {{1, 2}, 1}, {{2}, 1}}},
      {3, 1, {{{2}, 1}, {{1}, 1}, {{0}, 1}, {{0}, 1}}},
      {4, 1, {{{0}, 1}, {{1}, 1}, {{2}, 1}}},
      {3, 1, {{{0, 1, 2}, 1}, {{0, 1, 2}, 1}}},
      // Slices, and replicas of slices, over nodes.
      {4, 1, {{{0, 1}, 2}, {{2, 3}, 2}}},
      {4, 1, {{{0, 1, 2, 3}, 4}, {{3}, 1}, {{1, 2, 3, 0}, 2}}},
      {6, 1, {{{0, 2, 4}, 3}, {{1, 3, 5}, 1}, {{5, 4}, 2}}},
      // Two domains.
      {4, 2, {{{0, 2}, 1}, {{1, 3}, 1}, {{0, 1, 3, 2}, 2}}},
      {8, 2, {{{0, 1, 4, 5}, 1}, {{2, 3, 6, 7}, 2}, {{1, 7}, 1}}},
  };
}

struct Form {
  std::string form = "flat";
  int nodeSize = 0;
  std::string smallForm = "";
  int64_t tokens = 0; ///< of which up to 10 are few

  KernelRunner &describe(KernelRunner &runner, const char *step) const {
    runner.step(step).with("form", form.c_str());
    runner.with("node_size", nodeSize);
    if (!smallForm.empty())
      runner.with("small_form", smallForm.c_str())
          .with("small_tokens", 10)
          .withExprs("tokens", {tokens});
    return runner;
  }
  bool isReplicated() const { return form == "replicated"; }
};

constexpr int64_t kWidth = 3;
constexpr int64_t kMostRows = 40;

/// Column c of row i of rank r for expert e.
float mark(int rank, int expert, int64_t i, int64_t c) {
  return static_cast<float>(1000 * rank + 100 * expert + i) +
         static_cast<float>(c) / 8;
}
/// What slice j of an expert makes of a number.
float partial(float x, int64_t slice) {
  return x * static_cast<float>(slice + 1) / 3;
}

class Exchange : public KernelTest {
protected:
  struct Case {
    Spots spots;
    Form form;
    std::vector<std::vector<int32_t>> counts; ///< [rank][expert]
  };

  Case makeCase(const Spots &spots, const Form &form) {
    Case result{spots, form, {}};
    std::uniform_int_distribution<int32_t> count(0, 5);
    for (int rank = 0; rank < spots.numRanks; ++rank) {
      result.counts.emplace_back();
      for (size_t e = 0; e < spots.experts.size(); ++e)
        // Rank 1 has no rows.
        result.counts.back().push_back(rank == 1 ? 0 : count(rng));
    }
    if (form.isReplicated())
      for (auto &each : result.counts)
        each = result.counts[0];
    return result;
  }

  /// The rows of a rank by expert, in memory for more.
  static Tensor rowsOf(const Case &c, int rank) {
    Tensor rows = Tensor::zeros(DType::F32, {kMostRows, kWidth});
    int64_t at = 0;
    int marked = c.form.isReplicated() ? 0 : rank;
    for (size_t e = 0; e < c.counts[rank].size(); ++e)
      for (int64_t i = 0; i < c.counts[rank][e]; ++i)
        for (int64_t k = 0; k < kWidth; ++k)
          rows.set(at++, mark(marked, static_cast<int>(e), i, k));
    return rows;
  }

  /// What a rank must get: rows by local expert, sender and row.
  struct Expected {
    std::vector<float> rows;
    std::vector<int32_t> localCounts, route;
  };
  static Expected expectedOf(const Case &c, int rank) {
    plan::LayerT layer = c.spots.layer();
    int numRanks = c.spots.numRanks;
    auto numExperts = static_cast<int>(layer.places.size());
    Expected result;
    result.route.resize(numRanks * numExperts);
    for (const LocalExpert &local : localExperts(layer, rank)) {
      result.localCounts.push_back(0);
      for (int sender = 0; sender < (c.form.isReplicated() ? 1 : numRanks);
           ++sender)
        for (const Share &share :
             sharesOf(layer, local.expert, sender, numRanks,
                      c.counts[sender][local.expert])) {
          auto place = static_cast<uint32_t>(rank);
          if (std::count(share.ranks.begin(), share.ranks.end(), place) == 0)
            continue;
          auto size = static_cast<int32_t>(share.end - share.begin);
          result.localCounts.back() += size;
          result.route[sender * numExperts + local.expert] = size;
          for (int64_t i = share.begin; i < share.end; ++i)
            for (int64_t k = 0; k < kWidth; ++k)
              result.rows.push_back(mark(sender, local.expert, i, k));
        }
    }
    return result;
  }
  static std::vector<float> expectedBack(const Case &c, int rank) {
    std::vector<float> result;
    Tensor rows = rowsOf(c, rank);
    for (size_t e = 0; e < c.counts[rank].size(); ++e) {
      int64_t slices = c.spots.experts[e].second;
      for (int64_t i = 0; i < c.counts[rank][e] * kWidth; ++i) {
        auto x =
            static_cast<float>(rows.at(static_cast<int64_t>(result.size())));
        float sum = partial(x, 0);
        for (int64_t slice = 1; slice < slices; ++slice)
          sum += partial(x, slice);
        result.push_back(sum);
      }
    }
    return result;
  }

  /// There, through "experts" that tell their slices apart, and back; returns
  /// the messages of every rank.
  std::vector<uint64_t> check(const Case &c);
  void checkRank(const Case &c, int rank, KernelRunner &runner);
};

void Exchange::checkRank(const Case &c, int rank, KernelRunner &runner) {
  plan::LayerT layer = c.spots.layer();
  auto numExperts = static_cast<int64_t>(layer.places.size());
  int64_t maxLocal = 0;
  for (int r = 0; r < c.spots.numRanks; ++r)
    maxLocal =
        std::max(maxLocal, static_cast<int64_t>(localExperts(layer, r).size()));
  Tensor rows = rowsOf(c, rank);
  Tensor counts = Tensor::i32({numExperts}, c.counts[rank]);
  Tensor received =
      Tensor::zeros(DType::F32, {kMostRows * c.spots.numRanks, kWidth});
  Tensor local = Tensor::zeros(DType::I32, {maxLocal});
  Tensor route = Tensor::zeros(DType::I32, {c.spots.numRanks, numExperts});
  c.form.describe(runner, "all_to_all").learning({received.view.dims[0]});
  runner.run({&rows, &counts}, {&received, &local, &route});

  Expected expected = expectedOf(c, rank);
  EXPECT_EQ(route.values<int32_t>(), expected.route);
  EXPECT_EQ(runner.dataSizes[0] * kWidth,
            static_cast<int64_t>(expected.rows.size()));
  std::vector<int32_t> localCounts = expected.localCounts;
  localCounts.resize(maxLocal, 0);
  EXPECT_EQ(local.values<int32_t>(), localCounts);
  std::vector<float> found = received.values<float>();
  found.resize(expected.rows.size());
  EXPECT_EQ(found, expected.rows);

  int64_t at = 0;
  std::vector<LocalExpert> held = localExperts(layer, rank);
  for (size_t h = 0; h < held.size(); ++h)
    for (int64_t i = 0; i < expected.localCounts[h] * kWidth; ++i, ++at)
      received.set(at,
                   partial(static_cast<float>(received.at(at)), held[h].slice));
  Tensor back = Tensor::zeros(DType::F32, {kMostRows, kWidth});
  c.form.describe(runner, "all_to_all_back");
  runner.run({&received, &route, &counts}, {&back});
  std::vector<float> result = back.values<float>();
  std::vector<float> whole = expectedBack(c, rank);
  result.resize(whole.size());
  EXPECT_EQ(result, whole);
}

std::vector<uint64_t> Exchange::check(const Case &c) {
  int numRanks = c.spots.numRanks;
  auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(20));
  plan::LayerT layer = c.spots.layer();
  std::vector<uint64_t> messages(numRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < numRanks; ++rank)
    threads.emplace_back([&, rank] {
      KernelRunner runner(GetParam());
      runner.onRank(*comms[rank], &layer);
      std::unique_ptr<Communicator> inside, across;
      if (c.form.nodeSize > 0) {
        inside = *comms[rank]->split(rank / c.form.nodeSize, 1);
        across = *comms[rank]->split(rank % c.form.nodeSize, 2);
        runner.withNodes(inside.get(), across.get());
      }
      checkRank(c, rank, runner);
      messages[rank] = comms[rank]->counters().messages;
    });
  for (std::thread &thread : threads)
    thread.join();
  return messages;
}

TEST_P(Exchange, Flat) {
  for (const Spots &spots : allSpots())
    check(makeCase(spots, {}));
}

TEST_P(Exchange, HierarchicalEqualsFlat) {
  for (const Spots &spots : allSpots())
    for (int nodeSize = 1; nodeSize <= spots.numRanks; ++nodeSize)
      if (spots.numRanks % nodeSize == 0)
        check(makeCase(spots, {"hierarchical", nodeSize}));
}

TEST_P(Exchange, Replicated) {
  for (const Spots &spots : allSpots())
    check(makeCase(spots, {"replicated"}));
}

TEST_P(Exchange, FewTokensTakeTheSmallForm) {
  Spots spots{8, 1, {}};
  for (uint32_t e = 0; e < 8; ++e)
    spots.experts.push_back({{e}, 1});
  // Nodes of two: at most 1 + 3 messages each for counts and rows, on the way
  // back 1 more that announces rows; flat: 7 for counts and twice 7 for rows.
  for (int64_t tokens : {10, 11}) {
    Case c = makeCase(spots, {"flat", 2, "hierarchical", tokens});
    for (auto &each : c.counts)
      each.assign(8, 2);
    std::vector<uint64_t> expected(8, tokens <= 10 ? 4 + 4 + 1 + 4 : 7 + 7 + 7);
    EXPECT_EQ(check(c), expected);
  }
  // Replicated: only results travel.
  Case c = makeCase(spots, {"replicated"});
  for (auto &each : c.counts)
    each.assign(8, 2);
  EXPECT_EQ(check(c), std::vector<uint64_t>(8, 7));
}

TEST_P(Exchange, PartialSumsOfOtherTypes) {
  // Two ranks with a slice each; the sum is rounded once.
  plan::LayerT layer = Spots{2, 1, {{{0, 1}, 2}}}.layer();
  for (DType dtype : {DType::F16, DType::BF16}) {
    Tensor parts[2] = {Tensor::random(dtype, {5, 300}, rng),
                       Tensor::random(dtype, {5, 300}, rng)};
    Tensor expected = parts[0];
    for (int64_t i = 0; i < expected.size(); ++i)
      expected.set(i, parts[0].at(i) + parts[1].at(i));
    auto comms = createThreadCommunicators(2, std::chrono::seconds(20));
    auto onRank = [&](int rank) {
      KernelRunner runner(GetParam());
      runner.onRank(*comms[rank], &layer);
      // All rows came from rank 0.
      Tensor route = Tensor::i32({2, 1}, {5, 0});
      Tensor counts = Tensor::i32({1}, {rank == 0 ? 5 : 0});
      Tensor y = Tensor::zeros(dtype, {5, 300});
      runner.step("all_to_all_back").run({&parts[rank], &route, &counts}, {&y});
      if (rank == 0)
        expectEqual(y, expected);
    };
    std::thread other(onRank, 1);
    onRank(0);
    other.join();
  }
}

TEST_P(Exchange, RefusesWhatContradictsItself) {
  plan::LayerT layer = Spots{2, 1, {{{0}, 1}, {{1}, 1}}}.layer();
  auto comms = createThreadCommunicators(2, std::chrono::seconds(20));
  runner.onRank(*comms[0], &layer);
  Tensor rows = Tensor::zeros(DType::F32, {4, 2}), out = rows;
  Tensor counts = Tensor::zeros(DType::I32, {2}), local = counts;
  Tensor one = Tensor::zeros(DType::I32, {1});
  Tensor route = Tensor::zeros(DType::I32, {2, 2});
  auto message = [&](Form form) {
    form.describe(runner, "all_to_all");
    return runner.tryRun({&rows, &counts}, {&out, &one, &route}).message();
  };
  EXPECT_EQ(message({"flat", 3}), "step all_to_all: attribute 'node_size' is "
                                  "3, which does not divide the 2 ranks");
  EXPECT_EQ(message({"hierarchical"}),
            "step all_to_all: attribute 'node_size' is missing for a "
            "hierarchical form");
  EXPECT_EQ(message({"replicated", 2, "flat"}),
            "step all_to_all: attribute 'small_form' mixes rows that all ranks "
            "have with others");
  EXPECT_EQ(message({"hierarchical", 2}),
            "all_to_all: has no communicators for nodes of 2 ranks");
  runner.step("all_to_all").with("small_tokens", 4);
  EXPECT_EQ(runner.tryRun({&rows, &counts}, {&out, &one, &route}).message(),
            "step all_to_all: attribute 'small_tokens' has no small_form");
}

MOE_ON_ALL_MACHINES(Exchange);

} // namespace
