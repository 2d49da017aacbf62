//===- ProcessTest.cpp - Contexts that host one rank each -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads play the processes: each has a model and a context of its own rank.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ProcessRanks.h"
#include "test/unit/exec/TestProgram.h"

#include <functional>
#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

class ThreadProcesses final : public ProcessGroup {
public:
  static std::vector<std::shared_ptr<ProcessGroup>> create(int count) {
    std::vector<std::shared_ptr<ProcessGroup>> group;
    auto worlds = createThreadCommunicators(count, std::chrono::seconds(20));
    auto everyone = createThreadCommunicators(count, std::chrono::seconds(20));
    for (int rank = 0; rank < count; ++rank)
      group.push_back(std::make_shared<ThreadProcesses>(
          std::move(worlds[rank]), std::move(everyone[rank])));
    return group;
  }
  ThreadProcesses(std::unique_ptr<Communicator> world,
                  std::unique_ptr<Communicator> everyone)
      : world(std::move(world)), everyone(std::move(everyone)) {}

  int rank() const override { return everyone->rank(); }
  int size() const override { return everyone->size(); }
  int numNeighbours() const override { return size(); }
  int numCores() const override { return size(); }
  std::span<const int> ownCores() const override { return {}; }
  StatusOr<std::unique_ptr<Communicator>>
  createCommunicator(int numRanks, std::chrono::milliseconds timeout) override {
    if (!world)
      return Status(StatusCode::Internal, "is connected already");
    return std::move(world);
  }
  Status gather(std::span<const std::byte> mine,
                std::span<std::byte> all) override {
    return everyone->allGather(mine, all, 0);
  }
  void abort(const Status &why) override { everyone->abort(why); }
  Status check() override { return everyone->check(); }
  void leave() override {}
  Status finish() override { return everyone->barrier(1); }

private:
  std::unique_ptr<Communicator> world, everyone;
};

/// Calls body(context, rank) for all ranks at once.
void runProcesses(std::shared_ptr<const plan::ProgramT> program,
                  const std::function<void(Context &, int)> &body) {
  int numRanks = static_cast<int>(program->num_ranks);
  auto group = ThreadProcesses::create(numRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < numRanks; ++rank)
    threads.emplace_back([&, rank] {
      auto executable =
          Executable::create(program, testKernels(), nullptr, rank);
      ASSERT_TRUE(executable.isOk()) << executable.status().message();
      auto context = Context::create(
          std::make_shared<Model>(*executable), {.numThreads = numRanks},
          createProcessRanks(group[rank], std::chrono::seconds(20)));
      ASSERT_TRUE(context.isOk()) << context.status().message();
      body(**context, rank);
    });
  for (std::thread &thread : threads)
    thread.join();
}

std::shared_ptr<const plan::ProgramT> programOf(std::shared_ptr<Model> model) {
  return model->executable()->program;
}

/// y = x + 1 for x [2, batch, 8]: owners divide the batch, slices the columns.
std::shared_ptr<const plan::ProgramT> gridProgram(int numRanks, int tp) {
  TestProgram p(numRanks, tp);
  p.symbol("batch", 0, 1);
  p.localPart("batch.local", "batch");
  p.localPart("heads", "4", plan::Group_Tp);
  TestProgram::Dims whole = {"2", "batch", "8"};
  TestProgram::Dims local = {"2", "batch.local", "2 * heads"};
  p.slice(*p.program.inputs[p.input("x", whole, "batch.local", 1)], "heads", 2);
  p.slice(*p.program.outputs[p.output("y", whole, "batch.local", 1)], "heads",
          2);
  int x = p.inputBuffer(0, local), y = p.outputBuffer(0, local);
  p.step("add_one", {x}, {y});
  return programOf(p.finish());
}

} // namespace

TEST(Process, EveryProcessGetsTheWholeOutput) {
  for (auto [numRanks, tp] : {std::pair(1, 1),
                              {2, 1},
                              {3, 1},
                              {2, 2},
                              {4, 2},
                              {6, 2},
                              {6, 3},
                              {5, 5}})
    runProcesses(gridProgram(numRanks, tp), [](Context &context, int) {
      for (int64_t batch : {5, 1, 0, 8}) {
        std::vector<float> data = counting(16 * batch);
        std::vector<int64_t> dims = {2, batch, 8};
        auto outputs = context.run(std::vector{floats("x", dims, data)});
        ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
        EXPECT_EQ(floatsOf(*outputs, "y"), counting(16 * batch, 1));
      }
    });
}

TEST(Process, RowsInOnePieceAreGatheredInPlace) {
  runProcesses(programOf(rowsModel(3, "add_one")), [](Context &context, int) {
    std::vector<float> data = counting(20);
    auto outputs = context.run(std::vector{floats("x", {5, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), counting(20, 1));
  });
}

TEST(Process, WhatAllRanksComputeNobodySends) {
  TestProgram p(3);
  p.symbol("n", 0, 0);
  p.input("x", {"n"});
  p.output("y", {"n"});
  int x = p.inputBuffer(0, {"n"}), y = p.outputBuffer(0, {"n"});
  p.step("add_one", {x}, {y});
  runProcesses(programOf(p.finish()), [](Context &context, int rank) {
    std::vector<float> data = counting(4);
    auto outputs = context.run(std::vector{floats("x", {4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), counting(4, 1));
    EXPECT_EQ(context.counters(rank).messages, 0u);
  });
}

TEST(Process, DifferentShapesAreAnErrorWithBothValues) {
  runProcesses(
      programOf(rowsModel(3, "add_one")), [](Context &context, int rank) {
        int64_t batch = rank == 2 ? 4 : 5;
        std::vector<float> data = counting(4 * batch);
        std::vector<int64_t> dims = {batch, 4};
        Status status = errorOf(context, std::vector{floats("x", dims, data)});
        EXPECT_EQ(status.code(), StatusCode::RankFailed);
        EXPECT_EQ(status.message(),
                  "ranks disagree: \"batch\" is 5 on rank 0, 4 on "
                  "rank 2");
      });
}

TEST(Process, StatisticsAreThoseOfAllRanks) {
  runProcesses(programOf(rowsModel(3, "add_one")), [](Context &context,
                                                      int rank) {
    std::vector<float> data = counting(20);
    RunOptions options;
    options.timeSteps = true;
    ASSERT_TRUE(
        context.run(std::vector{floats("x", {5, 4}, data)}, options).isOk());
    EXPECT_EQ(context.stepTimes().size(), 1u);
    uint64_t own = context.reservedBytes();
    ASSERT_TRUE(context.gatherStatistics().isOk());
    EXPECT_EQ(context.numThreads(), 3);
    EXPECT_GE(context.reservedBytes(), own);
    std::vector<StepTime> times = context.stepTimes();
    ASSERT_EQ(times.size(), 3u);
    for (int each = 0; each < 3; ++each)
      EXPECT_EQ(times[each].rank, each);
    auto first = context.fromFirstRank(100 + rank);
    ASSERT_TRUE(first.isOk());
    EXPECT_EQ(*first, 100);
  });
}

TEST(Process, OneRankAloneIsNotConnected) {
  auto program = programOf(rowsModel(3, "add_one"));
  auto executable = Executable::create(program, testKernels(), nullptr, 1);
  ASSERT_TRUE(executable.isOk());
  auto context = Context::create(std::make_shared<Model>(*executable));
  EXPECT_EQ(context.status().code(), StatusCode::Usage);
  EXPECT_EQ(
      Executable::create(program, testKernels(), nullptr, 3).status().message(),
      "there is no rank 3, the plan is for 3");
}
