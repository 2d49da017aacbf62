//===- StateTest.cpp - Caches between runs --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

/// new [batch, seq, 4], past [batch, past, 4] -> sum [batch, 4] over past and
/// new, present [batch, past + seq, 4].
static std::shared_ptr<Model> cacheModel(int numRanks,
                                         const char *lastKernel = "sum_state") {
  TestProgram p(numRanks);
  p.symbol("batch", 0, 0);
  p.symbol("seq", 0, 1);
  p.symbol("past", 1, 1);
  p.localPart("batch.local", "batch");
  p.input("new", {"batch", "seq", "4"}, "batch.local");
  p.input("past", {"batch", "past", "4"}, "batch.local");
  p.output("sum", {"batch", "4"}, "batch.local");
  p.output("present", {"batch", "past + seq", "4"}, "batch.local");
  p.state("cache", {"batch", "past + seq", "4"}, 1, "past", "batch.local");
  p.program.inputs[1]->state = 0;
  p.program.outputs[1]->state = 0;
  p.program.states[0]->input = 1;
  p.program.states[0]->output = 1;
  int fresh = p.inputBuffer(0, {"batch.local", "seq", "4"});
  int cache =
      p.buffer(plan::BufferKind_State, 0, {"batch.local", "past + seq", "4"});
  int sum = p.outputBuffer(0, {"batch.local", "4"});
  p.step("append", {fresh}, {cache});
  p.step(lastKernel, {cache}, {sum});
  return p.finish();
}

/// Entries [b, begin + t, i] of one long sequence.
static std::vector<float> entries(int64_t batch, int64_t begin, int64_t count) {
  std::vector<float> data;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = begin; t < begin + count; ++t)
      for (int64_t i = 0; i < 4; ++i)
        data.push_back(1000 * b + 10 * t + i);
  return data;
}

static std::vector<float> sums(int64_t batch, int64_t length) {
  std::vector<float> result;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < 4; ++i) {
      float sum = 0;
      for (int64_t t = 0; t < length; ++t)
        sum += 1000 * b + 10 * t + i;
      result.push_back(sum);
    }
  return result;
}

TEST(State, PastComesInAndPresentGoesOut) {
  for (int numRanks = 1; numRanks <= 4; ++numRanks) {
    auto context = contextOf(cacheModel(numRanks));
    for (int64_t batch : {3, 1}) {
      std::vector<float> past = entries(batch, 0, 5),
                         fresh = entries(batch, 5, 2);
      RunOptions options;
      options.presentStates = true;
      StatusOr<std::span<const Output>> outputs =
          context->run(std::vector{floats("new", {batch, 2, 4}, fresh),
                                   floats("past", {batch, 5, 4}, past)},
                       options);
      ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
      EXPECT_EQ(floatsOf(*outputs, "sum"), sums(batch, 7));
      EXPECT_EQ(floatsOf(*outputs, "present"), entries(batch, 0, 7));
      EXPECT_EQ(context->stateLength(), 7);
    }
  }
}

TEST(State, KeptStatesGrowStepByStep) {
  for (int numRanks : {1, 2, 5}) {
    auto context = contextOf(cacheModel(numRanks));
    RunOptions options;
    options.keepState = true;
    int64_t length = 0;
    // A prompt of 3 entries, then more than memory was reserved for at first.
    for (int64_t seq = 3; length < 150; seq = 1) {
      std::vector<float> fresh = entries(3, length, seq);
      StatusOr<std::span<const Output>> outputs =
          context->run(std::vector{floats("new", {3, seq, 4}, fresh)}, options);
      ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
      length += seq;
      ASSERT_EQ(outputs->size(), 1u);
      EXPECT_EQ(floatsOf(*outputs, "sum"), sums(3, length));
      EXPECT_EQ(context->stateLength(), length);
    }
    options.presentStates = true;
    std::vector<float> fresh = entries(3, length, 2);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("new", {3, 2, 4}, fresh)}, options);
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "present"), entries(3, 0, length + 2));
  }
}

TEST(State, APastThatCameInCanBeKept) {
  auto context = contextOf(cacheModel(2));
  std::vector<float> past = entries(2, 0, 4), fresh = entries(2, 4, 1);
  ASSERT_TRUE(context
                  ->run(std::vector{floats("new", {2, 1, 4}, fresh),
                                    floats("past", {2, 4, 4}, past)})
                  .isOk());
  RunOptions options;
  options.keepState = true;
  fresh = entries(2, 5, 1);
  StatusOr<std::span<const Output>> outputs =
      context->run(std::vector{floats("new", {2, 1, 4}, fresh)}, options);
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  EXPECT_EQ(floatsOf(*outputs, "sum"), sums(2, 6));
}

TEST(State, ResettingStartsAnew) {
  auto context = contextOf(cacheModel(2));
  RunOptions options;
  options.keepState = true;
  for (int64_t batch : {3, 1, 4}) {
    context->resetState();
    EXPECT_EQ(context->stateLength(), 0);
    std::vector<float> fresh = entries(batch, 0, 3);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("new", {batch, 3, 4}, fresh)}, options);
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "sum"), sums(batch, 3));
  }
}

TEST(State, TheEndOfACacheCanBeForgotten) {
  auto context = contextOf(cacheModel(2));
  RunOptions keep;
  keep.keepState = true;
  std::vector<float> data = entries(3, 0, 6);
  ASSERT_TRUE(
      context->run(std::vector{floats("new", {3, 6, 4}, data)}, keep).isOk());
  for (int trial = 0; trial < 2; ++trial) {
    context->truncateState(4);
    EXPECT_EQ(context->stateLength(), 4);
    data = entries(3, 4, 1);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("new", {3, 1, 4}, data)}, keep);
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "sum"), sums(3, 5));
  }
}

TEST(State, MisuseIsAnError) {
  auto context = contextOf(cacheModel(1));
  RunOptions keep;
  keep.keepState = true;
  std::vector<float> data = entries(3, 0, 3);
  EXPECT_EQ(
      errorOf(*context, std::vector{floats("new", {2, 3, 4}, data)}).message(),
      "input \"past\" is missing");
  EXPECT_TRUE(
      context->run(std::vector{floats("new", {2, 3, 4}, data)}, keep).isOk());
  EXPECT_EQ(errorOf(*context, std::vector{floats("new", {3, 3, 4}, data)}, keep)
                .message(),
            "kept state \"past\" has dimension 0 = 2, expected batch = 3");
  EXPECT_EQ(errorOf(*context,
                    std::vector{floats("new", {2, 3, 4}, data),
                                floats("past", {2, 3, 4}, data)},
                    keep)
                .message(),
            "input \"past\" is given, but its cache is kept in the context");
}

TEST(State, AnExplicitMaximumLimitsTheCache) {
  auto context = contextOf(cacheModel(2));
  ASSERT_TRUE(context->prepare({{"batch", 2}, {"seq", 2}, {"past", 4}}).isOk());
  RunOptions keep;
  keep.keepState = true;
  for (int64_t length = 0; length <= 4; length += 2) {
    std::vector<float> fresh = entries(2, length, 2);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("new", {2, 2, 4}, fresh)}, keep);
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "sum"), sums(2, length + 2));
  }
  std::vector<float> fresh = entries(2, 6, 2);
  Status status =
      errorOf(*context, std::vector{floats("new", {2, 2, 4}, fresh)}, keep);
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_NE(status.message().find("--max past=6"), std::string::npos);
}

TEST(State, AFailedRunKeepsWhatWasThere) {
  // The last step fails if an entry that is new is negative.
  auto context = contextOf(cacheModel(2, "sum_unless_negative"));
  RunOptions keep;
  keep.keepState = true;
  std::vector<float> data = entries(2, 0, 2), wrong(16, -1);
  ASSERT_TRUE(
      context->run(std::vector{floats("new", {2, 2, 4}, data)}, keep).isOk());
  Status status =
      errorOf(*context, std::vector{floats("new", {2, 2, 4}, wrong)}, keep);
  EXPECT_EQ(status.code(), StatusCode::BadModel);
  EXPECT_EQ(context->stateLength(), 2);
  data = entries(2, 2, 1);
  StatusOr<std::span<const Output>> outputs =
      context->run(std::vector{floats("new", {2, 1, 4}, data)}, keep);
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  EXPECT_EQ(floatsOf(*outputs, "sum"), sums(2, 3));
}
