//===- CollectiveTest.cpp - Exchanges and collectives over ranks ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

/// A layer whose expert e is on the given ranks.
plan::LayerT layerOf(const std::vector<std::vector<uint32_t>> &places) {
  plan::LayerT layer;
  layer.experts = static_cast<int>(places.size());
  for (const auto &ranks : places) {
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
    layer.places.back()->ranks = ranks;
  }
  return layer;
}

class Collective : public KernelTest {
protected:
  /// Runs body(runner, rank) on every rank.
  template <typename Body>
  void onRanks(int numRanks, const plan::LayerT *layer, Body body) {
    auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(20));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < numRanks; ++rank)
      threads.emplace_back([&, rank] {
        KernelRunner runner(GetParam());
        runner.onRank(*comms[rank], layer);
        body(runner, rank);
      });
    for (std::thread &thread : threads)
      thread.join();
  }
};

/// Row i of rank r for expert e, told apart by its values.
float mark(int rank, int expert, int i) {
  return static_cast<float>(100 * rank + 10 * expert + i);
}

TEST_P(Collective, RowsToTheirExpertsAndBack) {
  // Expert 2 has two replicas; rank 2 holds one of them and expert 3.
  const std::vector<std::vector<std::vector<uint32_t>>> placements = {
      {{0}, {0}, {1, 2}, {2}},
      {{2}, {1}, {0}, {0}},
      {{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}}};
  for (const auto &placement : placements) {
    plan::LayerT layer = layerOf(placement);
    // What each rank sends to each expert; rank 1 has no rows.
    const std::vector<std::vector<int32_t>> counts = {
        {2, 0, 3, 1}, {0, 0, 0, 0}, {1, 4, 2, 2}};
    int64_t maxLocal = 0;
    for (int rank = 0; rank < 3; ++rank) {
      int64_t local = 0;
      for (const auto &ranks : placement)
        local += std::count(ranks.begin(), ranks.end(), rank);
      maxLocal = std::max(maxLocal, local);
    }
    onRanks(3, &layer, [&](KernelRunner &runner, int rank) {
      std::vector<float> values;
      for (int e = 0; e < 4; ++e)
        for (int i = 0; i < counts[rank][e]; ++i)
          values.insert(values.end(), {mark(rank, e, i), 0.5f});
      int64_t numRows = static_cast<int64_t>(values.size()) / 2;
      Tensor rows = Tensor::f32({numRows, 2}, values);
      Tensor c = Tensor::i32({4}, counts[rank]);
      Tensor received = Tensor::zeros(DType::F32, {16, 2});
      Tensor local = Tensor::zeros(DType::I32, {maxLocal});
      Tensor route = Tensor::zeros(DType::I32, {3, 4});
      runner.step("all_to_all").learning({16});
      runner.run({&rows, &c}, {&received, &local, &route});

      // By local expert, then sender, then row.
      std::vector<float> expected;
      std::vector<int32_t> expectedLocal;
      for (int e = 0; e < 4; ++e) {
        const auto &ranks = placement[e];
        if (std::count(ranks.begin(), ranks.end(), rank) == 0)
          continue;
        expectedLocal.push_back(0);
        for (int r = 0; r < 3; ++r) {
          bool isHere = ranks[r % ranks.size()] == static_cast<uint32_t>(rank);
          EXPECT_EQ(route.at(r * 4 + e), isHere ? counts[r][e] : 0);
          for (int i = 0; isHere && i < counts[r][e]; ++i) {
            expected.insert(expected.end(), {mark(r, e, i), 0.5f});
            ++expectedLocal.back();
          }
        }
      }
      expectedLocal.resize(maxLocal, 0);
      EXPECT_EQ(local.values<int32_t>(), expectedLocal);
      EXPECT_EQ(runner.dataSizes[0] * 2, static_cast<int64_t>(expected.size()));
      std::vector<float> found = received.values<float>();
      found.resize(expected.size());
      EXPECT_EQ(found, expected);

      Tensor back = Tensor::zeros(DType::F32, {numRows, 2});
      runner.step("all_to_all_back");
      runner.run({&received, &route, &c}, {&back});
      expectEqual(back, rows);
    });
  }
}

TEST_P(Collective, AllGatherAndShard) {
  // Seven rows over three ranks, along each axis, with two elements each.
  std::map<std::string, std::vector<int64_t>, std::less<>> parts = {
      {"batch.local", {0, 2, 4, 7}}, {"empty.local", {0, 0, 0, 0}}};
  for (int64_t axis : {0, 1, 2}) {
    std::vector<int64_t> dims = {3, 4, 5};
    dims[axis] = 14;
    Tensor whole = Tensor::random(DType::F32, dims, rng);
    onRanks(3, nullptr, [&](KernelRunner &runner, int rank) {
      runner.withParts(parts);
      const std::vector<int64_t> &begins = parts["batch.local"];
      std::vector<int64_t> local = dims;
      local[axis] = 2 * (begins[rank + 1] - begins[rank]);
      Tensor part = Tensor::zeros(DType::F32, local);
      runner.step("shard").with("axis", axis).with("part", "batch.local");
      runner.run({&whole}, {&part});
      Tensor y = Tensor::zeros(DType::F32, dims);
      runner.step("all_gather").with("axis", axis).with("part", "batch.local");
      runner.run({&part}, {&y});
      expectEqual(y, whole);
    });
  }
  onRanks(3, nullptr, [&](KernelRunner &runner, int) {
    runner.withParts(parts);
    Tensor none = Tensor::zeros(DType::F32, {0, 4}), y = none;
    runner.step("all_gather").with("axis", 0).with("part", "empty.local");
    runner.run({&none}, {&y});
    runner.step("all_gather").with("axis", 0).with("part", "other");
    EXPECT_EQ(runner.tryRun({&none}, {&y}).message(),
              "all_gather: ranks do not divide a symbol 'other'");
  });
}

TEST_P(Collective, AllReduceAndReduceScatter) {
  for (DType dtype : {DType::F32, DType::F64, DType::I32, DType::I64,
                      DType::F16, DType::BF16, DType::I8})
    for (std::string kind : {"sum", "max"}) {
      std::vector<Tensor> parts;
      for (int rank = 0; rank < 3; ++rank)
        parts.push_back(Tensor::random(dtype, {2, 7, 3}, rng));
      Tensor expected = parts[0].as(DType::F64);
      for (int64_t i = 0; i < expected.size(); ++i)
        for (int rank = 1; rank < 3; ++rank) {
          double value = parts[rank].at(i);
          expected.set(i, kind == "sum" ? expected.at(i) + value
                                        : std::max(expected.at(i), value));
        }
      double tolerance = dtype == DType::BF16  ? 1e-2
                         : dtype == DType::F16 ? 2e-3
                                               : 1e-6;
      onRanks(3, nullptr, [&](KernelRunner &runner, int rank) {
        const std::vector<int64_t> begins = {0, 2, 4, 7};
        runner.withParts({{"batch.local", begins}});
        Tensor y = Tensor::zeros(dtype, {2, 7, 3});
        runner.step("all_reduce").with("kind", kind.c_str());
        runner.run({&parts[rank]}, {&y});
        expectClose(y, expected, tolerance, tolerance);
        int64_t size = begins[rank + 1] - begins[rank];
        Tensor own = Tensor::zeros(dtype, {2, size, 3});
        runner.step("reduce_scatter").with("kind", kind.c_str());
        runner.with("axis", 1).with("part", "batch.local");
        runner.run({&parts[rank]}, {&own});
        for (int64_t i = 0; i < own.size(); ++i) {
          int64_t from =
              (i / (size * 3) * 7 + begins[rank]) * 3 + i % (size * 3);
          EXPECT_EQ(own.at(i), y.at(from));
        }
      });
    }
}

MOE_ON_ALL_MACHINES(Collective);

} // namespace
