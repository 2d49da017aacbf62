//===- CollectiveTest.cpp - Collectives over ranks ------------------------===//
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

class Collective : public KernelTest {
protected:
  /// Runs body(runner, rank) on every rank.
  template <typename Body> void onRanks(int numRanks, Body body) {
    auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(20));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < numRanks; ++rank)
      threads.emplace_back([&, rank] {
        KernelRunner runner(GetParam());
        runner.onRank(*comms[rank], /*layer=*/nullptr);
        body(runner, rank);
      });
    for (std::thread &thread : threads)
      thread.join();
  }
};

TEST_P(Collective, AllGatherAndShard) {
  // Seven rows over three ranks, along each axis, with two elements each.
  std::map<std::string, std::vector<int64_t>, std::less<>> parts = {
      {"batch.local", {0, 2, 4, 7}}, {"empty.local", {0, 0, 0, 0}}};
  for (int64_t axis : {0, 1, 2}) {
    std::vector<int64_t> dims = {3, 4, 5};
    dims[axis] = 14;
    Tensor whole = Tensor::random(DType::F32, dims, rng);
    onRanks(3, [&](KernelRunner &runner, int rank) {
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
  onRanks(3, [&](KernelRunner &runner, int) {
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
      onRanks(3, [&](KernelRunner &runner, int rank) {
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

TEST_P(Collective, PartsMayBeEmpty) {
  // Two elements over three ranks: rank 0 has none.
  std::map<std::string, std::vector<int64_t>, std::less<>> parts = {
      {"batch.local", {0, 0, 1, 2}}};
  for (int64_t axis : {0, 1}) {
    std::vector<int64_t> dims = {3, 3};
    dims[axis] = 4;
    Tensor whole = Tensor::random(DType::F32, dims, rng);
    onRanks(3, [&](KernelRunner &runner, int rank) {
      runner.withParts(parts);
      std::vector<int64_t> local = dims;
      local[axis] = rank == 0 ? 0 : 2;
      Tensor part = Tensor::zeros(DType::F32, local), y = whole;
      runner.step("shard").with("axis", axis).with("part", "batch.local");
      runner.run({&whole}, {&part});
      runner.step("all_gather").with("axis", axis).with("part", "batch.local");
      runner.run({&part}, {&y});
      expectEqual(y, whole);
      Tensor sum = part, three = part;
      for (int64_t i = 0; i < part.size(); ++i)
        three.set(i, part.at(i) + part.at(i) + part.at(i));
      runner.step("reduce_scatter").with("kind", "sum");
      runner.with("axis", axis).with("part", "batch.local");
      runner.run({&whole}, {&sum});
      expectClose(sum, three, 1e-6);
    });
  }
}

TEST_P(Collective, ReduceScatterMovesOnlyParts) {
  onRanks(4, [&](KernelRunner &runner, int rank) {
    runner.withParts({{"batch.local", {0, 16, 32, 48, 64}}});
    Tensor x = Tensor::zeros(DType::F32, {64, 8});
    for (int64_t i = 0; i < x.size(); ++i)
      x.set(i, static_cast<double>(i * (rank + 1)));
    Tensor y = Tensor::zeros(DType::F32, {16, 8});
    runner.step("reduce_scatter").with("kind", "sum");
    runner.with("axis", 0).with("part", "batch.local").run({&x}, {&y});
    for (int64_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(y.at(i), static_cast<double>((rank * 128 + i) * 10));
    // A quarter to each of three ranks.
    EXPECT_EQ(runner.communicatorCounters().bytesSent, 3u * 16 * 8 * 4);
  });
}

TEST_P(Collective, GatherFromPartsOfTheVocabulary) {
  // Five units of two entries over three ranks: 2, 4 and 4 entries.
  Tensor table = Tensor::random(DType::F32, {10, 3}, rng);
  Tensor indices = Tensor::i64({2, 3}, {0, 1, 2, 9, -1, 5});
  Tensor expected = Tensor::zeros(DType::F32, {2, 3, 3});
  runner.step("gather").with("axis", 0).run({&table, &indices}, {&expected});
  onRanks(3, [&](KernelRunner &runner, int rank) {
    runner.withParts({{"vocab.local", {0, 1, 3, 5}}});
    Tensor part = Tensor::zeros(DType::F32, {rank == 0 ? 2 : 4, 3});
    runner.step("shard").with("axis", 0).with("part", "vocab.local");
    runner.run({&table}, {&part});
    Tensor own = Tensor::zeros(DType::F32, {2, 3, 3}), y = own;
    runner.step("gather").with("axis", 0).with("part", "vocab.local");
    runner.run({&part, &indices}, {&own});
    runner.step("all_reduce").with("kind", "sum").run({&own}, {&y});
    expectEqual(y, expected);
    Tensor beyond = Tensor::i64({1}, {10}),
           row = Tensor::zeros(DType::F32, {1, 3});
    runner.step("gather").with("axis", 0).with("part", "vocab.local");
    EXPECT_FALSE(runner.tryRun({&part, &beyond}, {&row}).isOk());
  });
}

TEST_P(Collective, GatherOfCodesFromPartsOfTheVocabulary) {
  // Three units of two entries [4], codes of a byte in blocks of 2.
  std::vector<uint8_t> codes(6 * 4);
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<uint8_t>(9 * i);
  Tensor table = Tensor::of(DType::U8, {6, 4}, codes);
  Tensor scales = Tensor::random(DType::F32, {6, 2}, rng);
  Tensor indices = Tensor::i64({4}, {0, 5, -3, 2});
  Tensor expected = Tensor::zeros(DType::F32, {4, 4});
  auto step = [](KernelRunner &runner) -> KernelRunner & {
    runner.step("gather_codes").with("axis", 0).with("bits", 8);
    return runner.with("block", 2).with("size", 4);
  };
  step(runner).run({&table, &indices, &scales}, {&expected});
  onRanks(2, [&](KernelRunner &runner, int rank) {
    runner.withParts({{"vocab.local", {0, 1, 3}}});
    int64_t first = rank == 0 ? 0 : 2, count = rank == 0 ? 2 : 4;
    Tensor part = Tensor::zeros(DType::U8, {count, 4});
    Tensor partScales = Tensor::zeros(DType::F32, {count, 2});
    for (int64_t i = 0; i < part.size(); ++i)
      part.set(i, table.at(first * 4 + i));
    for (int64_t i = 0; i < partScales.size(); ++i)
      partScales.set(i, scales.at(first * 2 + i));
    Tensor own = Tensor::zeros(DType::F32, {4, 4}), y = own;
    step(runner).with("part", "vocab.local");
    runner.run({&part, &indices, &partScales}, {&own});
    runner.step("all_reduce").with("kind", "sum").run({&own}, {&y});
    expectEqual(y, expected);
  });
}

TEST_P(Collective, GatherFromAnEmptyPart) {
  // One unit over two ranks: rank 0 has nothing.
  onRanks(2, [&](KernelRunner &runner, int rank) {
    runner.withParts({{"vocab.local", {0, 0, 1}}});
    Tensor part = Tensor::zeros(DType::F32, {rank * 4, 3});
    for (int64_t i = 0; i < part.size(); ++i)
      part.set(i, static_cast<double>(i + 1));
    Tensor indices = Tensor::i64({2}, {3, -4});
    Tensor y = Tensor::zeros(DType::F32, {2, 3});
    runner.step("gather").with("axis", 0).with("part", "vocab.local");
    runner.run({&part, &indices}, {&y});
    EXPECT_EQ(y.at(0), rank == 0 ? 0 : 10);
    EXPECT_EQ(y.at(5), rank == 0 ? 0 : 3);
  });
}

MOE_ON_ALL_MACHINES(Collective);

} // namespace
