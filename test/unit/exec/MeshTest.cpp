//===- MeshTest.cpp - Groups of ranks, parts along two axes ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

static std::vector<float> run(Context &context, std::vector<Input> inputs,
                              const RunOptions &options = {}) {
  StatusOr<std::span<const Output>> outputs = context.run(inputs, options);
  EXPECT_TRUE(outputs.isOk()) << outputs.status().message();
  return outputs.isOk() ? floatsOf(*outputs, "y") : std::vector<float>();
}

TEST(Mesh, PortsAreDividedAlongTwoAxes) {
  struct Shape {
    int numRanks, tp;
  };
  for (auto [numRanks, tp] :
       {Shape{1, 1}, {2, 2}, {4, 2}, {6, 2}, {6, 3}, {5, 5}}) {
    TestProgram p(numRanks, tp);
    p.symbol("batch", 0, 1);
    p.localPart("batch.local", "batch");
    p.localPart("heads", "4", plan::Group_Tp);
    TestProgram::Dims whole = {"2", "batch", "8"};
    TestProgram::Dims local = {"2", "batch.local", "2 * heads"};
    p.slice(*p.program.inputs[p.input("x", whole, "batch.local", 1)], "heads",
            2);
    p.slice(*p.program.outputs[p.output("y", whole, "batch.local", 1)], "heads",
            2);
    int x = p.inputBuffer(0, local);
    int y = p.outputBuffer(0, local);
    p.step("add_one", {x}, {y});
    auto context = contextOf(p.finish());
    for (int64_t batch : {5, 1, 0, 8}) {
      std::vector<float> data = counting(16 * batch);
      EXPECT_EQ(run(*context, {floats("x", {2, batch, 8}, data)}),
                counting(16 * batch, 1));
    }
  }
}

TEST(Mesh, WhatOneGroupDividesTheFirstOfTheOtherWrites) {
  // Rows only: both slices have all columns. Columns only: all owners have all
  // rows. In place where rows are in one piece, else copied.
  for (bool byRows : {true, false}) {
    TestProgram p(4, 2);
    p.symbol("batch", 0, 0);
    p.localPart("batch.local", "batch");
    p.localPart("heads", "4", plan::Group_Tp);
    p.input("x", {"batch", "4"}, byRows ? "batch.local" : "");
    p.output("y", {"batch", "4"}, byRows ? "batch.local" : "");
    if (!byRows) {
      p.slice(*p.program.inputs[0], "heads", 1);
      p.slice(*p.program.outputs[0], "heads", 1);
    }
    TestProgram::Dims local = {byRows ? "batch.local" : "batch",
                               byRows ? "4" : "heads"};
    int x = p.inputBuffer(0, local);
    int y = p.outputBuffer(0, local);
    p.step("add_one", {x}, {y});
    auto context = contextOf(p.finish());
    std::vector<float> data = counting(12);
    EXPECT_EQ(run(*context, {floats("x", {3, 4}, data)}), counting(12, 1));
  }
}

/// x [owners, slices] -> y of the same shape (or [.., 2]): each rank has one
/// number.
static TestProgram gridProgram(int numRanks, int tp,
                               const TestProgram::Dims &more = {}) {
  TestProgram p(numRanks, tp);
  std::string owners = std::to_string(numRanks / tp);
  std::string slices = std::to_string(tp);
  p.localPart("o", owners);
  p.localPart("t", slices, plan::Group_Tp);
  TestProgram::Dims whole = {owners, slices}, local = {"o", "t"};
  p.slice(*p.program.inputs[p.input("x", whole, "o")], "t", 1);
  p.inputBuffer(0, local);
  whole.insert(whole.end(), more.begin(), more.end());
  local.insert(local.end(), more.begin(), more.end());
  p.slice(*p.program.outputs[p.output("y", whole, "o")], "t", 1);
  p.outputBuffer(0, local);
  return p;
}

TEST(Mesh, StepsTalkInTheirGroup) {
  struct Case {
    plan::Group group;
    std::vector<float> expected;
  };
  // Ranks have the numbers 1 2 / 4 8 / 16 32.
  for (const Case &item : {Case{plan::Group_Rows, {21, 42, 21, 42, 21, 42}},
                           Case{plan::Group_Tp, {3, 3, 12, 12, 48, 48}},
                           Case{plan::Group_World, {63, 63, 63, 63, 63, 63}}}) {
    TestProgram p = gridProgram(6, 2);
    p.step("sum_group", {0}, {1}).group = item.group;
    auto context = contextOf(p.finish());
    std::vector<float> data = {1, 2, 4, 8, 16, 32};
    EXPECT_EQ(run(*context, {floats("x", {3, 2}, data)}), item.expected);
    // Groups of a context that has failed are made anew.
    context->cancel();
    EXPECT_EQ(run(*context, {floats("x", {3, 2}, data)}), item.expected);
  }
}

TEST(Mesh, NodesHaveTheirOwnCommunicators) {
  struct Case {
    int64_t nodeSize;
    std::vector<float> expected;
  };
  for (const Case &item : {Case{1, {1, 15, 2, 15, 4, 15, 8, 15}},
                           Case{2, {3, 5, 3, 10, 12, 5, 12, 10}},
                           Case{4, {15, 1, 15, 2, 15, 4, 15, 8}}}) {
    TestProgram p = gridProgram(4, 1, {"2"});
    // Two steps share their nodes.
    for (int i = 0; i < 2; ++i) {
      auto attribute = std::make_unique<plan::AttributeT>();
      attribute->name = "node_size";
      attribute->i = item.nodeSize;
      p.step("sum_nodes", {0}, {1}).attributes.push_back(std::move(attribute));
    }
    auto context = contextOf(p.finish());
    std::vector<float> data = {1, 2, 4, 8};
    EXPECT_EQ(run(*context, {floats("x", {4, 1}, data)}), item.expected);
  }
}

TEST(Mesh, SlicesDivideWhatAnOwnerHas) {
  TestProgram p(6, 3);
  p.symbol("batch", 0, 0);
  // Before what it is a part of: the order of the table does not matter.
  p.localPart("tokens", "batch.local", plan::Group_Tp);
  p.localPart("batch.local", "batch");
  p.input("x", {"batch", "4"}, "batch.local");
  p.output("y", {"batch", "4"}, "batch.local");
  int x = p.inputBuffer(0, {"batch.local", "4"});
  int mine = p.arena({"tokens", "4"});
  int more = p.arena({"tokens", "4"});
  int y = p.outputBuffer(0, {"batch.local", "4"});
  p.step("take_tokens", {x}, {mine}).group = plan::Group_Tp;
  p.step("add_one", {mine}, {more});
  p.step("gather_tokens", {more}, {y}).group = plan::Group_Tp;
  auto context = contextOf(p.finish());
  for (int64_t batch : {7, 2, 0, 1, 12}) {
    std::vector<float> data = counting(4 * batch);
    EXPECT_EQ(run(*context, {floats("x", {batch, 4}, data)}),
              counting(4 * batch, 1));
  }
}

TEST(Mesh, RanksSeeTheirPartOfAParameter) {
  // 7 units of 2 rows over 3 slices: 2, 2 and 3 units.
  TestProgram p = gridProgram(6, 3);
  p.localPart("ffn", "7", plan::Group_Tp);
  auto param = std::make_unique<plan::ParamT>();
  param->name = "w";
  param->layout = "row";
  param->dims = {14, 2};
  param->part_axis = 0;
  param->part = p.findSymbol("ffn");
  auto block = std::make_unique<plan::BlockT>();
  block->bytes = 14 * 2 * 4;
  block->source = plan::BlockSource_Synthetic;
  param->blocks.push_back(std::move(block));
  p.program.params.push_back(std::move(param));
  int w = p.buffer(plan::BufferKind_Param, 0, {"2 * ffn", "2"});
  p.step("num_rows", {w}, {1});
  static const std::byte bytes[14 * 2 * 4] = {};
  auto context = contextOf(p.finish([&](int rank, uint32_t, std::string_view) {
    ParamBlocks blocks;
    size_t numRows = rank % 3 == 2 ? 6 : 4;
    blocks.views = {{bytes, numRows * 8}};
    blocks.bytes = numRows * 8;
    return blocks;
  }));
  std::vector<float> data = counting(6);
  EXPECT_EQ(run(*context, {floats("x", {2, 3}, data)}),
            (std::vector<float>{4, 4, 6, 4, 4, 6}));
  EXPECT_EQ(context->counters(5).weightBytes, 48u);
}

TEST(Mesh, StatesAreDividedAlongTwoAxes) {
  // new [batch, seq, 4] is appended to a cache; y [batch, 4] sums over it.
  TestProgram p(4, 2);
  p.symbol("batch", 0, 0);
  p.symbol("seq", 0, 1);
  p.symbol("past", 1, 1);
  p.localPart("batch.local", "batch");
  p.localPart("heads", "4", plan::Group_Tp);
  p.input("new", {"batch", "seq", "4"}, "batch.local");
  p.input("past", {"batch", "past", "4"}, "batch.local");
  p.output("y", {"batch", "4"}, "batch.local");
  p.output("present", {"batch", "past + seq", "4"}, "batch.local");
  p.state("cache", {"batch", "past + seq", "4"}, 1, "past", "batch.local");
  p.slice(*p.program.inputs[0], "heads", 2);
  p.slice(*p.program.inputs[1], "heads", 2);
  p.slice(*p.program.outputs[0], "heads", 1);
  p.slice(*p.program.outputs[1], "heads", 2);
  p.slice(*p.program.states[0], "heads", 2);
  p.program.inputs[1]->state = p.program.outputs[1]->state = 0;
  p.program.states[0]->input = p.program.states[0]->output = 1;
  int fresh = p.inputBuffer(0, {"batch.local", "seq", "heads"});
  int cache = p.buffer(plan::BufferKind_State, 0,
                       {"batch.local", "past + seq", "heads"});
  int y = p.outputBuffer(0, {"batch.local", "heads"});
  p.step("append", {fresh}, {cache});
  p.step("sum_state", {cache}, {y});
  auto context = contextOf(p.finish());

  std::vector<float> past = counting(3 * 2 * 4), one(3 * 4, 1);
  std::vector<float> expected;
  for (int b = 0; b < 3; ++b)
    for (int i = 0; i < 4; ++i)
      expected.push_back(past[b * 8 + i] + past[b * 8 + 4 + i] + 1);
  EXPECT_EQ(run(*context, {floats("new", {3, 1, 4}, one),
                           floats("past", {3, 2, 4}, past)}),
            expected);
  RunOptions options;
  options.keepState = options.presentStates = true;
  for (float &value : expected)
    value += 1;
  EXPECT_EQ(run(*context, {floats("new", {3, 1, 4}, one)}, options), expected);
  StatusOr<std::span<const Output>> outputs =
      context->run(std::vector{floats("new", {3, 1, 4}, one)}, options);
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  std::vector<float> present = floatsOf(*outputs, "present");
  ASSERT_EQ(present.size(), 3u * 5 * 4);
  for (int b = 0; b < 3; ++b)
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(present[b * 20 + i], i < 8 ? past[b * 8 + i] : 1);
}

TEST(Guard, AStepIsSkippedWhereItsGuardIsZero) {
  // y = x + 1, and x + 2 for a batch of at least 4; d0 = 0 for a smaller one.
  TestProgram p(2);
  p.symbol("batch", 0, 0);
  p.localPart("batch.local", "batch");
  p.dataSymbol("d0", "batch");
  p.input("x", {"batch", "4"}, "batch.local");
  p.output("y", {"batch", "4"}, "batch.local");
  p.output("n", {"1"});
  int x = p.inputBuffer(0, {"batch.local", "4"});
  int t = p.arena({"batch.local", "4"});
  int odd = p.arena({"d0", "4"});
  int y = p.outputBuffer(0, {"batch.local", "4"});
  int n = p.outputBuffer(1, {"1"});
  auto guard = static_cast<int32_t>(p.expr("floordiv(batch, 4)"));
  p.step("add_one", {x}, {y});
  p.step("add_one", {x}, {t});
  p.step("add_one", {t}, {y}).guard = guard;
  p.step("odd_rows", {x}, {odd}).guard = guard;
  plan::StepT &step = p.step("value", {}, {n});
  auto attribute = std::make_unique<plan::AttributeT>();
  attribute->name = "value";
  attribute->kind = plan::AttributeKind_Exprs;
  attribute->exprs = {p.expr("d0")};
  step.attributes.push_back(std::move(attribute));
  auto context = contextOf(p.finish());
  for (int64_t batch : {3, 4, 1, 8, 3}) {
    // Rank 0 has the first half, all rows odd.
    std::vector<float> data = counting(4 * batch, 1);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {batch, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), counting(4 * batch, batch < 4 ? 2 : 3));
    float numOdd = batch < 4 ? 0 : batch / 2;
    EXPECT_EQ(floatsOf(*outputs, "n"), std::vector<float>{numOdd});
  }
}
