//===- PortsTest.cpp - Inputs, outputs and their parts --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

TEST(Ports, RowsAreDividedOverAnyNumberOfRanks) {
  for (int numRanks = 1; numRanks <= 5; ++numRanks) {
    auto context = contextOf(rowsModel(numRanks, "add_one"));
    // Fewer rows than ranks leave some with none, and no row leaves all.
    for (int64_t batch : {1, 0, 7, 2, 5, 3}) {
      std::vector<float> data = counting(4 * batch);
      StatusOr<std::span<const Output>> outputs =
          context->run(std::vector{floats("x", {batch, 4}, data)});
      ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
      ASSERT_EQ(outputs->size(), 1u);
      EXPECT_EQ((*outputs)[0].dims[0], batch);
      EXPECT_EQ(floatsOf(*outputs, "y"), counting(4 * batch, 1));
    }
  }
}

TEST(Ports, EveryRankGathersAndTheFirstWritesTheOutput) {
  for (int numRanks = 1; numRanks <= 5; ++numRanks) {
    TestProgram p(numRanks);
    p.symbol("batch", 0, 0);
    p.localPart("batch.local", "batch");
    p.input("x", {"batch", "4"}, "batch.local");
    p.output("y", {"batch", "4"});
    int x = p.inputBuffer(0, {"batch.local", "4"});
    int y = p.outputBuffer(0, {"batch", "4"});
    p.step("gather_rows", {x}, {y});
    auto context = contextOf(p.finish());
    for (int64_t batch : {4, 1, 9}) {
      std::vector<float> data = counting(4 * batch);
      StatusOr<std::span<const Output>> outputs =
          context->run(std::vector{floats("x", {batch, 4}, data)});
      ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
      EXPECT_EQ(floatsOf(*outputs, "y"), data);
    }
  }
}

TEST(Ports, InnerAxesAreDividedToo) {
  for (int numRanks = 1; numRanks <= 4; ++numRanks) {
    TestProgram p(numRanks);
    p.symbol("batch", 0, 1);
    p.localPart("batch.local", "batch");
    p.input("x", {"3", "batch", "2"}, "batch.local", 1);
    p.output("y", {"3", "batch", "2"}, "batch.local", 1);
    int x = p.inputBuffer(0, {"3", "batch.local", "2"});
    int y = p.outputBuffer(0, {"3", "batch.local", "2"});
    p.step("add_one", {x}, {y});
    auto context = contextOf(p.finish());
    for (int64_t batch : {5, 2}) {
      std::vector<float> data = counting(6 * batch);
      StatusOr<std::span<const Output>> outputs =
          context->run(std::vector{floats("x", {3, batch, 2}, data)});
      ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
      EXPECT_EQ(floatsOf(*outputs, "y"), counting(6 * batch, 1));
    }
  }
}

TEST(Ports, ADividedAxisMayBeAMultiple) {
  // Rows are batch * 2 x 4: rank r owns both rows of its batch entries.
  TestProgram p(2);
  p.symbol("batch", 0, 1);
  p.localPart("batch.local", "batch");
  p.input("n", {"1", "batch"});
  p.input("x", {"2 * batch", "4"}, "batch.local");
  p.output("y", {"2 * batch", "4"}, "batch.local");
  int x = p.inputBuffer(1, {"2 * batch.local", "4"});
  int y = p.outputBuffer(0, {"2 * batch.local", "4"});
  p.step("add_one", {x}, {y});
  auto context = contextOf(p.finish());
  std::vector<float> data = counting(24), three = counting(3);
  StatusOr<std::span<const Output>> outputs = context->run(
      std::vector{floats("n", {1, 3}, three), floats("x", {6, 4}, data)});
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  EXPECT_EQ(floatsOf(*outputs, "y"), counting(24, 1));
}

TEST(Ports, OutputsThatAreViewsOrInputsAreCopied) {
  TestProgram p(2);
  p.symbol("batch", 0, 0);
  p.localPart("batch.local", "batch");
  p.input("x", {"batch", "4"}, "batch.local");
  p.output("flat", {"4 * batch"}, "batch.local");
  p.output("same", {"batch", "4"}, "batch.local");
  int x = p.inputBuffer(0, {"batch.local", "4"});
  int t = p.arena({"batch.local", "4"});
  p.step("add_one", {x}, {t});
  int flat = p.view(t, {"4 * batch.local"});
  p.program.outputs[0]->buffer = flat;
  p.program.outputs[1]->buffer = x;
  // Something after it that could take the bytes of t.
  p.output("z", {"batch", "4"}, "batch.local");
  int u = p.arena({"batch.local", "4"});
  int z = p.outputBuffer(2, {"batch.local", "4"});
  p.step("add_one", {x}, {u});
  p.step("add_one", {u}, {z});
  auto context = contextOf(p.finish());
  std::vector<float> data = counting(12, 5);
  StatusOr<std::span<const Output>> outputs =
      context->run(std::vector{floats("x", {3, 4}, data)});
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  EXPECT_EQ(floatsOf(*outputs, "flat"), counting(12, 6));
  EXPECT_EQ(floatsOf(*outputs, "same"), data);
  EXPECT_EQ(floatsOf(*outputs, "z"), counting(12, 7));
}

TEST(Ports, OutputsCanBeInTheCallersMemory) {
  auto context = contextOf(rowsModel(3, "add_one"));
  std::vector<float> data = counting(20), mine(20);
  std::vector<OutputMemory> memory = {{"y", mine.data(), 80}};
  RunOptions options;
  options.outputMemory = memory;
  StatusOr<std::span<const Output>> outputs =
      context->run(std::vector{floats("x", {5, 4}, data)}, options);
  ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
  EXPECT_EQ(mine, counting(20, 1));
  EXPECT_EQ((*outputs)[0].data, mine.data());

  memory[0].bytes = 79;
  EXPECT_EQ(errorOf(*context, std::vector{floats("x", {5, 4}, data)}, options)
                .message(),
            "output \"y\" takes 80 bytes, 79 are given");
  memory[0].name = "w";
  EXPECT_EQ(errorOf(*context, std::vector{floats("x", {5, 4}, data)}, options)
                .message(),
            "output \"w\" does not exist");
}

/// x [batch, seq], mask [batch, past + seq] -> y = x + 1.
static std::shared_ptr<Model> maskedModel() {
  TestProgram p(1);
  p.symbol("batch", 0, 0);
  p.symbol("seq", 0, 1);
  p.symbol("past", 2, 0);
  p.input("x", {"batch", "seq"});
  p.input("mask", {"batch", "past + seq"});
  p.input("old", {"past"});
  p.output("y", {"batch", "seq"});
  int x = p.inputBuffer(0, {"batch", "seq"});
  p.inputBuffer(1, {"batch", "past + seq"});
  int y = p.outputBuffer(0, {"batch", "seq"});
  p.step("add_one", {x}, {y});
  auto constraint = std::make_unique<plan::ConstraintT>();
  constraint->lhs = p.expr("mod(seq, 2)");
  constraint->rhs = p.expr("0");
  constraint->what = "node \"/Reshape\"";
  p.program.constraints.push_back(std::move(constraint));
  return p.finish();
}

TEST(Ports, ShapesThatContradictEachOtherAreErrors) {
  auto context = contextOf(maskedModel());
  std::vector<float> data = counting(100);
  auto message = [&](std::vector<int64_t> x, std::vector<int64_t> mask,
                     std::vector<int64_t> old) {
    std::vector<Input> inputs = {{"x", DType::F32, x, data.data()},
                                 {"mask", DType::F32, mask, data.data()},
                                 {"old", DType::F32, old, data.data()}};
    Status status = errorOf(*context, inputs);
    EXPECT_EQ(status.code(), StatusCode::IoError);
    return status.message();
  };
  EXPECT_EQ(message({2, 4}, {2, 7}, {5}),
            "input \"mask\" has dimension 1 = 7, expected past + seq = 9");
  EXPECT_EQ(message({2, 4}, {3, 9}, {5}),
            "input \"mask\" has dimension 0 = 3, expected batch = 2");
  EXPECT_EQ(message({2, 4}, {18}, {5}),
            "input \"mask\" has 1 dimensions, expected [batch, past + seq]");
  EXPECT_EQ(message({2, 3}, {2, 8}, {5}),
            "node \"/Reshape\": mod(seq, 2) = 1, expected 0 = 0");
  EXPECT_EQ(message({2, -4}, {2, 8}, {5}),
            "input \"x\" has a size that is negative or overflows");
}

TEST(Ports, InputsThatDoNotFitAreErrors) {
  auto context = contextOf(maskedModel());
  std::vector<float> data = counting(100);
  std::vector<int64_t> x = {2, 4}, mask = {2, 9}, old = {5};
  std::vector<Input> right = {{"x", DType::F32, x, data.data()},
                              {"mask", DType::F32, mask, data.data()},
                              {"old", DType::F32, old, data.data()}};
  EXPECT_TRUE(context->run(right).isOk());
  // In any order, and without the one that is only read for its shape.
  EXPECT_TRUE(context->run(std::vector{right[2], right[0], right[1]}).isOk());

  EXPECT_EQ(errorOf(*context, std::vector{right[0], right[2]}).message(),
            "input \"mask\" is missing");
  EXPECT_EQ(errorOf(*context, std::vector{right[0], right[1]}).message(),
            "no given input tells the value of \"past\"");
  EXPECT_EQ(errorOf(*context, std::vector{right[0], right[0]}).message(),
            "input \"x\" is given twice");
  std::vector<Input> wrong = right;
  wrong[1].name = "maks";
  EXPECT_EQ(errorOf(*context, wrong).message(),
            "input \"maks\" does not exist, expected x, mask, old");
  wrong = right;
  wrong[0].dtype = DType::F64;
  EXPECT_EQ(errorOf(*context, wrong).message(),
            "input \"x\" has element type f64, expected f32");
  wrong = right;
  wrong[0].data = nullptr;
  EXPECT_EQ(errorOf(*context, wrong).message(), "input \"x\" has no data");
}
