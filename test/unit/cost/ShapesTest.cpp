//===- ShapesTest.cpp - Values for the symbols of a plan ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Shapes.h"

#include "test/unit/plan/TestProgram.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::cost;
using namespace moe::test;

using Numbers = std::map<std::string, int64_t>;

/// ids [batch, seq] and a mask [batch, total] with total = past + seq, a cache
/// of length past.
static plan::ProgramT decoder() {
  plan::ProgramT program;
  program.num_ranks = 3;
  for (const char *name : {"batch", "seq", "past", "total"})
    add(program.symbols).name = name;
  addPort(program, program.inputs, "ids", {"batch", "seq"}, -1);
  plan::StateT &state = add(program.states);
  state.length = expr(program, "past");
  state.input = 0;
  plan::ConstraintT &constraint = add(program.constraints);
  constraint.lhs = expr(program, "total");
  constraint.rhs = expr(program, "past + seq");
  return program;
}

TEST(Shapes, FindsBatchAndPast) {
  plan::ProgramT program = decoder();
  EXPECT_EQ(pastSymbol(program), "past");
  EXPECT_EQ(batchSymbol(program), "batch");
}

TEST(Shapes, CompletesWhatIsNotGiven) {
  plan::ProgramT program = decoder();
  StatusOr<Numbers> shape = completeShape(program, "--shape", {{"seq", 6}});
  ASSERT_TRUE(shape.isOk()) << shape.status().message();
  EXPECT_EQ(*shape,
            (Numbers{{"batch", 4}, {"past", 0}, {"seq", 6}, {"total", 6}}));
}

TEST(Shapes, RefusesWhatTheModelDoesNotHave) {
  plan::ProgramT program = decoder();
  auto error = [&](Numbers given) {
    Status status = completeShape(program, "--shape", given).status();
    EXPECT_EQ(status.code(), StatusCode::Usage);
    return status.message();
  };
  EXPECT_EQ(error({{"sek", 6}}), "--shape: the model has no size 'sek'");
  EXPECT_EQ(error({{"seq", -1}}), "--shape: seq = -1 is negative");
  EXPECT_EQ(error({{"seq", 1}, {"total", 9}, {"past", 3}}),
            "--shape: the model demands total = past + seq, which are 9 and 4");
}

TEST(Shapes, TypicalRunsHaveARowForEachRank) {
  plan::ProgramT program = decoder();
  StatusOr<TypicalShapes> shapes = typicalShapes(program);
  ASSERT_TRUE(shapes.isOk()) << shapes.status().message();
  EXPECT_EQ(shapes->decode,
            (Numbers{{"batch", 3}, {"past", 512}, {"seq", 1}, {"total", 513}}));
  EXPECT_EQ(shapes->prefill,
            (Numbers{{"batch", 3}, {"past", 0}, {"seq", 128}, {"total", 128}}));
}
