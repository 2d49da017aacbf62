//===- SessionTest.cpp - Runs over ranks, errors, cancelling --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

#include <thread>

using namespace moe;
using namespace moe::test;
using namespace std::chrono_literals;

TEST(Session, ModelDescribesItself) {
  std::shared_ptr<Model> model = rowsModel(3, "add_one", 64);
  EXPECT_EQ(model->numRanks(), 3);
  EXPECT_EQ(model->name(), "test.onnx");
  ASSERT_EQ(model->inputs().size(), 1u);
  EXPECT_EQ(model->inputs()[0].name, "x");
  EXPECT_EQ(model->inputs()[0].dims, (std::vector<std::string>{"batch", "4"}));
  ASSERT_EQ(model->symbols().size(), 1u);
  EXPECT_EQ(model->symbols()[0].defaultMax, 64);
  EXPECT_EQ(model->stepKernel(0), "add_one");
  EXPECT_EQ(model->stepNodes(0), std::vector<std::string>{"/node0"});
}

TEST(Session, UnknownDevicesAndThreadsAreUsageErrors) {
  std::shared_ptr<Model> model = rowsModel(1, "add_one");
  ContextOptions options;
  options.device = "abacus";
  EXPECT_EQ(Context::create(model, options).status().code(), StatusCode::Usage);
  options.device = "cpu";
  options.numThreads = -1;
  EXPECT_EQ(Context::create(model, options).status().code(), StatusCode::Usage);
}

TEST(Session, ThreadsAreSharedByTheRanks) {
  ContextOptions options;
  options.numThreads = 5;
  EXPECT_EQ(contextOf(rowsModel(2, "add_one"), options)->numThreads(), 5);
  options.numThreads = 1;
  EXPECT_EQ(contextOf(rowsModel(4, "add_one"), options)->numThreads(), 4);
}

TEST(Session, ManyContextsRunOneModelAtOnce) {
  std::shared_ptr<Model> model = rowsModel(2, "add_one");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto context = contextOf(model);
      for (int64_t round = 0; round < 50; ++round) {
        int64_t batch = (round + t) % 5;
        std::vector<float> data = counting(4 * batch, t);
        StatusOr<std::span<const Output>> outputs =
            context->run(std::vector{floats("x", {batch, 4}, data)});
        ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
        EXPECT_EQ(floatsOf(*outputs, "y"), counting(4 * batch, t + 1));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Session, AnErrorNamesRankStepAndNode) {
  auto context = contextOf(rowsModel(3, "fail_on_rank_1"));
  std::vector<float> data = counting(12);
  for (int trial = 0; trial < 3; ++trial) {
    Status status = errorOf(*context, std::vector{floats("x", {3, 4}, data)});
    EXPECT_EQ(status.code(), StatusCode::BadModel);
    EXPECT_EQ(status.message(), "rank 1, step 0 (fail_on_rank_1, from "
                                "\"/node0\"): index 9 is out of range");
  }
}

TEST(Session, AContextRunsAgainAfterAnError) {
  auto context = contextOf(rowsModel(3, "fail_if_negative"));
  std::vector<float> good = counting(12), bad = counting(12, -100);
  for (int trial = 0; trial < 3; ++trial) {
    Status status = errorOf(*context, std::vector{floats("x", {3, 4}, bad)});
    EXPECT_EQ(status.code(), StatusCode::BadModel);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {3, 4}, good)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), counting(12, 1));
  }
}

TEST(Session, ARunCanBeCancelled) {
  auto context = contextOf(rowsModel(2, "wait_forever"));
  // Without a run there is nothing to cancel.
  context->cancel();
  std::vector<float> data = counting(8);
  for (StatusCode code : {StatusCode::Interrupted, StatusCode::Terminated}) {
    std::thread other([&] {
      std::this_thread::sleep_for(50ms);
      context->cancel(Status(code, "stopped by a signal"));
    });
    Status status = errorOf(*context, std::vector{floats("x", {2, 4}, data)});
    other.join();
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), "stopped by a signal");
  }
}

TEST(Session, ARankThatDoesNotComeIsNamed) {
  ContextOptions options;
  options.timeout = 100ms;
  auto context = contextOf(rowsModel(2, "wait_forever"), options);
  std::vector<float> data = counting(8);
  Status status = errorOf(*context, std::vector{floats("x", {2, 4}, data)});
  EXPECT_EQ(status.code(), StatusCode::Timeout);
  EXPECT_EQ(status.message(),
            "rank 0, step 0 (wait_forever, from \"/node0\"): barrier (tag "
            "1000) waited 100 ms for rank 1");
}

TEST(Session, SizesThatAStepLearnsHoldForLaterSteps) {
  // y = rows of x that begin with an odd number, plus 1; n = 3 * their number.
  TestProgram p(1);
  p.symbol("batch", 0, 0);
  p.dataSymbol("d0", "batch");
  p.input("x", {"batch", "4"});
  p.output("y", {"d0", "4"});
  p.output("n", {"1"});
  int x = p.inputBuffer(0, {"batch", "4"});
  int t = p.arena({"d0", "4"});
  int y = p.outputBuffer(0, {"d0", "4"});
  int n = p.outputBuffer(1, {"1"});
  p.step("odd_rows", {x}, {t});
  p.step("add_one", {t}, {y});
  plan::StepT &step = p.step("value", {}, {n});
  auto attribute = std::make_unique<plan::AttributeT>();
  attribute->name = "value";
  attribute->kind = plan::AttributeKind_Exprs;
  attribute->exprs = {p.expr("3 * d0")};
  step.attributes.push_back(std::move(attribute));
  auto context = contextOf(p.finish());

  std::vector<float> data(20);
  for (int64_t numOdd : {2, 0, 5, 5, 1}) {
    for (int64_t row = 0; row < 5; ++row)
      for (int64_t i = 0; i < 4; ++i)
        data[row * 4 + i] = 10 * row + i + (row < numOdd ? 1 : 0);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {5, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ((*outputs)[0].dims[0], numOdd);
    std::vector<float> expected(data.begin(), data.begin() + 4 * numOdd);
    for (float &value : expected)
      value += 1;
    EXPECT_EQ(floatsOf(*outputs, "y"), expected);
    EXPECT_EQ(floatsOf(*outputs, "n"), std::vector<float>{3.0f * numOdd});
  }
}

TEST(Session, RanksSeeTheirBlocksOfWeights) {
  TestProgram p(2);
  p.symbol("n", 0, 0);
  p.input("x", {"n"});
  p.output("y", {"1"});
  auto layer = std::make_unique<plan::LayerT>();
  layer->experts = 3;
  layer->k = 1;
  for (uint32_t rank : {0, 0, 1}) {
    auto place = std::make_unique<plan::ExpertPlaceT>();
    place->ranks.push_back(rank);
    layer->places.push_back(std::move(place));
  }
  p.program.layers.push_back(std::move(layer));
  auto param = std::make_unique<plan::ParamT>();
  param->name = "w";
  param->dtype = static_cast<uint8_t>(DType::U8);
  param->layout = "row";
  param->dims = {4};
  param->experts = 3;
  param->layer = 0;
  param->is_expert = true;
  for (int i = 0; i < 3; ++i) {
    auto block = std::make_unique<plan::BlockT>();
    block->bytes = 4;
    block->source = plan::BlockSource_Synthetic;
    param->blocks.push_back(std::move(block));
  }
  p.program.params.push_back(std::move(param));
  int w = p.buffer(plan::BufferKind_Param, 0, {"4"});
  p.program.buffers[w]->dtype = static_cast<uint8_t>(DType::U8);
  int y = p.outputBuffer(0, {"1"});
  p.step("experts", {-1, -1, w}, {y}).layer = 0;

  static const std::byte bytes[12] = {std::byte(1), std::byte(1), std::byte(1),
                                      std::byte(1), std::byte(2), std::byte(2),
                                      std::byte(2), std::byte(2), std::byte(9),
                                      std::byte(9), std::byte(9), std::byte(9)};
  std::atomic<int> numLoads{0};
  std::shared_ptr<Model> model =
      p.finish([&](int rank, uint32_t, std::string_view layout) {
        ++numLoads;
        EXPECT_EQ(layout, "row");
        ParamBlocks blocks;
        if (rank == 0)
          blocks.views = {{bytes, 4}, {bytes + 4, 4}};
        else
          blocks.views = {{bytes + 8, 4}};
        blocks.bytes = 4 * blocks.views.size();
        blocks.isExpert = true;
        return blocks;
      });
  std::vector<float> data = counting(1);
  for (int i = 0; i < 2; ++i) {
    auto context = contextOf(model);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {1}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), std::vector<float>{12});
    EXPECT_EQ(context->counters(0).expertWeightBytes, 8u);
    EXPECT_EQ(context->counters(1).weightBytes, 4u);
  }
  EXPECT_EQ(numLoads, 2);
}

TEST(Session, CountsAndTimesSteps) {
  auto context = contextOf(rowsModel(2, "add_one"));
  std::vector<float> data = counting(12);
  RunOptions options;
  options.timeSteps = true;
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(
        context->run(std::vector{floats("x", {3, 4}, data)}, options).isOk());
  // Rank 0 has one of three rows, in two runs.
  EXPECT_EQ(context->counters(0).flops, 8u);
  EXPECT_EQ(context->counters(1).flops, 16u);
  context->resetCounters();
  EXPECT_EQ(context->counters(1).flops, 0u);
  std::vector<StepTime> times = context->stepTimes();
  ASSERT_EQ(times.size(), 2u);
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(times[rank].rank, rank);
    EXPECT_EQ(times[rank].step, 0);
    EXPECT_LE(0, times[rank].begin);
    EXPECT_LE(times[rank].begin, times[rank].end);
  }
}
