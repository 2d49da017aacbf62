//===- StreamTest.cpp - Two streams of a rank -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ChromeTrace.h"
#include "runtime/exec/RankComms.h"
#include "runtime/io/Json.h"
#include "test/unit/exec/TestProgram.h"

#include <thread>

using namespace moe;
using namespace moe::test;
using namespace std::chrono_literals;

namespace {

/// All-to-all takes a while longer, on each rank as long as it is told.
class DelayingCommunicator final : public Communicator {
public:
  DelayingCommunicator(std::unique_ptr<Communicator> inner,
                       std::chrono::milliseconds delay)
      : inner(std::move(inner)), delay(delay) {}
  int rank() const override { return inner->rank(); }
  int size() const override { return inner->size(); }
  Status barrier(uint32_t tag) override { return inner->barrier(tag); }
  Status allGather(std::span<const std::byte> send, std::span<std::byte> recv,
                   uint32_t tag) override {
    return inner->allGather(send, recv, tag);
  }
  Status allGatherV(std::span<const std::byte> send,
                    std::span<const RecvBlock> recv, uint32_t tag) override {
    return inner->allGatherV(send, recv, tag);
  }
  Status allToAllV(std::span<const SendBlock> send,
                   std::span<const RecvBlock> recv, uint32_t tag) override {
    std::this_thread::sleep_for(delay);
    return inner->allToAllV(send, recv, tag);
  }
  Status allReduce(void *data, int64_t count, DType dtype, ReduceOp op,
                   uint32_t tag) override {
    return inner->allReduce(data, count, dtype, op, tag);
  }
  Status reduceScatter(const void *send, void *recv, int64_t count, DType dtype,
                       ReduceOp op, uint32_t tag) override {
    return inner->reduceScatter(send, recv, count, dtype, op, tag);
  }
  StatusOr<std::unique_ptr<Communicator>> split(int color,
                                                uint32_t tag) override {
    return inner->split(color, tag);
  }
  void abort(const Status &why) override { inner->abort(why); }
  Status check() const override { return inner->check(); }

private:
  std::unique_ptr<Communicator> inner;
  std::chrono::milliseconds delay;
};

/// Rank r waits r times `delay` more than rank 0.
class DelayingRanks final : public Communicators {
public:
  DelayingRanks(int numRanks, std::chrono::milliseconds delay,
                std::chrono::milliseconds more = 0ms)
      : count(numRanks), delay(delay), more(more) {}

protected:
  StatusOr<std::vector<std::unique_ptr<Communicator>>> connectWorld() override {
    auto ranks = createThreadCommunicators(count, 30000ms);
    for (int rank = 0; rank < count; ++rank)
      ranks[rank] = std::make_unique<DelayingCommunicator>(
          std::move(ranks[rank]), delay + rank * more);
    return ranks;
  }

private:
  int count;
  std::chrono::milliseconds delay, more;
};

/// One row of x [numRanks, 4] on each rank.
struct RowsProgram : TestProgram {
  explicit RowsProgram(int numRanks) : TestProgram(numRanks) {
    std::string rows = std::to_string(numRanks);
    localPart("o", rows);
    input("x", {rows, "4"}, "o");
    output("y", {rows, "4"}, "o");
    x = inputBuffer(0, {"o", "4"});
    y = outputBuffer(0, {"o", "4"});
  }
  int row() { return arena({"o", "4"}); }
  int x, y;
};

std::vector<float> run(Context &context, int64_t numRanks,
                       const RunOptions &options = {}) {
  std::vector<float> data = counting(4 * numRanks);
  StatusOr<std::span<const Output>> outputs =
      context.run(std::vector{floats("x", {numRanks, 4}, data)}, options);
  EXPECT_TRUE(outputs.isOk()) << outputs.status().message();
  return outputs.isOk() ? floatsOf(*outputs, "y") : std::vector<float>();
}

/// Rows of the next ranks, plus `more`.
std::vector<float> nextRows(int numRanks, float more) {
  std::vector<float> rows;
  for (int rank = 0; rank < numRanks; ++rank)
    for (int i = 0; i < 4; ++i)
      rows.push_back(4 * ((rank + 1) % numRanks) + i + more);
  return rows;
}

std::unique_ptr<Context> delayedContext(std::shared_ptr<Model> model,
                                        std::chrono::milliseconds delay,
                                        std::chrono::milliseconds more = 0ms) {
  int numRanks = model->numRanks();
  StatusOr<std::unique_ptr<Context>> context = Context::create(
      model, {}, std::make_unique<DelayingRanks>(numRanks, delay, more));
  EXPECT_TRUE(context.isOk()) << context.status().message();
  return *std::move(context);
}

} // namespace

/// An exchange, and work that takes 200 ms in two steps; the results meet.
static std::shared_ptr<Model> overlapModel(bool overlaps) {
  RowsProgram p(2);
  int received = p.row(), worked = p.row(), done = p.row();
  uint32_t event = 0;
  if (overlaps)
    event = p.sideStep("all_to_all", {p.x}, {received});
  else
    p.step("all_to_all", {p.x}, {received});
  p.step("slow_add_one", {p.x}, {worked});
  p.step("slow_add_one", {worked}, {done});
  plan::StepT &last = p.step("add_one", {received}, {p.y});
  if (overlaps)
    last.waits = {event};
  return p.finish();
}

TEST(Streams, WorkHidesTheExchange) {
  RunOptions options;
  options.timeSteps = true;
  for (bool overlaps : {false, true}) {
    std::shared_ptr<Model> model = overlapModel(overlaps);
    auto context = delayedContext(model, 200ms);
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(run(*context, 2, options), nextRows(2, 1));
    auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(took < 380ms, overlaps);
    std::vector<StepTime> times = context->stepTimes();
    ASSERT_EQ(times.size(), 8u);
    auto timeOf = [&](int step) {
      return *std::find_if(times.begin(), times.end(),
                           [&](auto &time) { return time.step == step; });
    };
    StepTime exchange = timeOf(0), work = timeOf(1), meeting = timeOf(3);
    EXPECT_EQ(exchange.stream, overlaps ? 1 : 0);
    EXPECT_EQ(work.begin < exchange.end, overlaps);
    EXPECT_GE(meeting.begin, exchange.end);
    for (int i = 1; i < 4; ++i)
      EXPECT_LE(times[i - 1].begin, times[i].begin);
  }
}

TEST(Streams, ATraceHasARowForEachStream) {
  std::shared_ptr<Model> model = overlapModel(/*overlaps=*/true);
  std::vector<StepTime> times = {{0, 1, 0, 2000, 0}, {1, 0, 0, 2000, 1}};
  StatusOr<nlohmann::json> trace = parseJson(chromeTrace(*model, times));
  ASSERT_TRUE(trace.isOk()) << trace.status().message();
  const nlohmann::json &events = (*trace)["traceEvents"];
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[3]["args"]["name"], "rank 1, stream 1");
  EXPECT_EQ(events[4]["tid"], 0);
  EXPECT_EQ(events[5]["tid"], 3);
}

TEST(Streams, CollectivesKeepOneOrder) {
  // Stream 0 has an exchange of its own while that of stream 1 is under way,
  // and ranks are late in different ways.
  RowsProgram p(4);
  int a = p.row(), b = p.row(), c = p.row();
  uint32_t event = p.sideStep("all_to_all", {p.x}, {a});
  p.step("add_one", {p.x}, {b});
  p.step("all_to_all", {b}, {c});
  uint32_t second = p.sideStep("all_to_all", {c}, {b});
  plan::StepT &last = p.step("add_one", {a}, {p.y});
  last.waits = {event, second};
  auto context = delayedContext(p.finish(), 1ms, 5ms);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(run(*context, 4), nextRows(4, 1));
}

TEST(Streams, SizesAreKnownAfterTheJoin) {
  // Stream 1 keeps the odd rows and adds 1 to them; a step without operands in
  // common, which reads only the size, waits for it too.
  TestProgram p(1);
  p.symbol("batch", 0, 0);
  p.dataSymbol("d0", "batch");
  p.input("x", {"batch", "4"});
  p.output("y", {"d0", "4"});
  p.output("n", {"1"});
  int x = p.inputBuffer(0, {"batch", "4"});
  int odd = p.arena({"d0", "4"}), more = p.arena({"d0", "4"});
  int other = p.arena({"batch", "4"});
  int y = p.outputBuffer(0, {"d0", "4"});
  int n = p.outputBuffer(1, {"1"});
  p.sideStep("odd_rows", {x}, {odd});
  uint32_t event = p.sideStep("add_one", {odd}, {more});
  p.step("add_one", {x}, {other});
  plan::StepT &value = p.step("value", {}, {n});
  auto attribute = std::make_unique<plan::AttributeT>();
  attribute->name = "value";
  attribute->kind = plan::AttributeKind_Exprs;
  attribute->exprs = {p.expr("d0")};
  value.attributes.push_back(std::move(attribute));
  p.step("add_one", {more}, {y}).waits = {event};
  auto context = contextOf(p.finish());
  for (int64_t numOdd : {2, 0, 5, 3}) {
    std::vector<float> data(20, 2);
    std::fill_n(data.begin(), 4 * numOdd, 1);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {5, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), std::vector<float>(4 * numOdd, 3));
    EXPECT_EQ(floatsOf(*outputs, "n"), std::vector<float>{1.0f * numOdd});
  }
}

TEST(Streams, ASizeThatChangesWhileStream1RunsIsRefused) {
  TestProgram p(1);
  p.symbol("batch", 0, 0);
  p.dataSymbol("d0", "batch");
  p.input("x", {"batch", "4"});
  p.output("y", {"batch", "4"});
  int x = p.inputBuffer(0, {"batch", "4"});
  int t = p.arena({"batch", "4"}), odd = p.arena({"d0", "4"});
  int y = p.outputBuffer(0, {"batch", "4"});
  p.sideStep("add_one", {p.view(x, {"d0", "4"})}, {t});
  p.step("odd_rows", {x}, {odd});
  p.step("add_one", {x}, {y});
  p.program.buffers[t]->first_step = 0;
  p.program.buffers[t]->last_step = 2;
  p.program.buffers[odd]->first_step = 0;
  p.program.buffers[odd]->last_step = 2;
  StatusOr<std::shared_ptr<Executable>> executable = Executable::create(
      std::make_shared<plan::ProgramT>(p.program), testKernels(), nullptr);
  EXPECT_EQ(executable.status().code(), StatusCode::BadPlan);
  EXPECT_EQ(executable.status().message(),
            "step 0 (add_one, from \"/node0\") runs on stream 1 and uses "
            "\"d0\", which a later step defines");
}

TEST(Streams, AStepOfStream1MayBeSkipped) {
  // Of x [batch, 4] the odd rows, and for a batch of at least 4 once more; n is
  // how many there are in both.
  TestProgram p(1);
  p.symbol("batch", 0, 0);
  p.dataSymbol("d0", "batch");
  p.dataSymbol("d1", "batch");
  p.input("x", {"batch", "4"});
  p.output("n", {"1"});
  int x = p.inputBuffer(0, {"batch", "4"});
  int a = p.arena({"d0", "4"}), b = p.arena({"d1", "4"});
  int n = p.outputBuffer(0, {"1"});
  p.sideStep("odd_rows", {x}, {a});
  p.sideStep("odd_rows", {x}, {b});
  p.program.steps[0]->guard =
      static_cast<int32_t>(p.expr("floordiv(batch, 4)"));
  plan::StepT &value = p.step("value", {}, {n});
  auto attribute = std::make_unique<plan::AttributeT>();
  attribute->name = "value";
  attribute->kind = plan::AttributeKind_Exprs;
  attribute->exprs = {p.expr("d0 + 10 * d1")};
  value.attributes.push_back(std::move(attribute));
  auto context = contextOf(p.finish());
  for (int64_t batch : {3, 4, 2, 6}) {
    std::vector<float> data(4 * batch, 1);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {batch, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "n"),
              std::vector<float>{batch < 4 ? 10.0f * batch : 11.0f * batch});
  }
}

TEST(Streams, WhatStream1ReadsAndWritesKeepsItsBytes) {
  // The plan says that a and b live in steps 0 and 1; what follows must not
  // take their bytes, for step 1 runs until step 4.
  RowsProgram p(1);
  int a = p.row(), b = p.row(), c = p.row(), d = p.row();
  p.step("add_one", {p.x}, {a});
  uint32_t event = p.sideStep("slow_add_one", {a}, {b});
  p.step("add_one", {p.x}, {c});
  p.step("add_one", {c}, {d});
  p.step("add_one", {b}, {p.y}).waits = {event};
  auto context = contextOf(p.finish());
  EXPECT_EQ(run(*context, 1), counting(4, 3));
  EXPECT_EQ(run(*context, 1), counting(4, 3));
}

TEST(Streams, AnErrorOfStream1EndsTheRun) {
  // Rank 1 fails on stream 1 while rank 0 waits for it there.
  RowsProgram p(2);
  int a = p.row(), b = p.row();
  uint32_t event = p.sideStep("fail_on_rank_1", {p.x}, {a});
  p.step("slow_add_one", {p.x}, {b});
  p.step("add_one", {b}, {p.y}).waits = {event};
  auto context = contextOf(p.finish());
  std::vector<float> data = counting(8);
  for (int trial = 0; trial < 3; ++trial) {
    Status status = errorOf(*context, std::vector{floats("x", {2, 4}, data)});
    EXPECT_EQ(status.code(), StatusCode::BadModel);
    EXPECT_EQ(status.message(), "rank 1, step 0 (fail_on_rank_1, from "
                                "\"/node0\"): index 9 is out of range");
  }
}

TEST(Streams, AnErrorOfStream0EndsStream1) {
  // Rank 0 fails on stream 0, so that rank 1 waits for it in vain on stream 1.
  RowsProgram p(2);
  int a = p.row(), b = p.row(), c = p.row();
  p.step("fail_if_negative", {p.x}, {b});
  uint32_t event = p.sideStep("all_to_all", {p.x}, {a});
  p.step("add_one", {b}, {c});
  p.step("add_one", {a}, {p.y}).waits = {event};
  auto context = contextOf(p.finish());
  for (int trial = 0; trial < 3; ++trial) {
    std::vector<float> bad = counting(8, -4);
    Status status = errorOf(*context, std::vector{floats("x", {2, 4}, bad)});
    EXPECT_EQ(status.code(), StatusCode::BadModel);
    EXPECT_EQ(run(*context, 2), nextRows(2, 1));
  }
}

TEST(Streams, ARunCanBeCancelled) {
  RowsProgram p(2);
  int a = p.row(), b = p.row();
  uint32_t event = p.sideStep("wait_forever", {p.x}, {a});
  p.step("add_one", {p.x}, {b});
  p.step("add_one", {a}, {p.y}).waits = {event};
  auto context = contextOf(p.finish());
  std::vector<float> data = counting(8);
  std::thread other([&] {
    std::this_thread::sleep_for(50ms);
    context->cancel();
  });
  Status status = errorOf(*context, std::vector{floats("x", {2, 4}, data)});
  other.join();
  EXPECT_EQ(status.code(), StatusCode::Interrupted);
}

TEST(Streams, BothStreamsCount) {
  RowsProgram p(2);
  int a = p.row(), b = p.row();
  uint32_t event = p.sideStep("add_one", {p.x}, {a});
  p.step("add_one", {p.x}, {b});
  p.step("add_one", {a}, {p.y}).waits = {event};
  auto context = contextOf(p.finish());
  run(*context, 2);
  run(*context, 2);
  EXPECT_EQ(context->counters(1).flops, 2u * 3 * 4);
}

TEST(Streams, ManyStepsOnManyRanks) {
  // More threads than cores; exchanges of stream 1 and work alternate.
  RowsProgram p(6);
  int at = p.x;
  for (int i = 0; i < 20; ++i) {
    int received = p.row(), worked = p.row();
    uint32_t event = p.sideStep("all_to_all", {at}, {received});
    p.step("add_one", {at}, {worked});
    at = i == 19 ? p.y : p.row();
    p.step("add_one", {received}, {at}).waits = {event};
  }
  auto context = contextOf(p.finish());
  // Twenty times the next rank of six.
  std::vector<float> expected;
  for (int rank = 0; rank < 6; ++rank)
    for (int i = 0; i < 4; ++i)
      expected.push_back(4 * ((rank + 20) % 6) + i + 20);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(run(*context, 6), expected);
}
