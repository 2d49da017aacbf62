//===- StepWorkTest.cpp - What a step of a plan has to do -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepWork.h"

#include "runtime/support/DType.h"
#include "test/unit/cost/LayerProgram.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace moe;
using namespace moe::cost;
using namespace moe::test;

namespace {

/// Work of a step on a rank.
class StepWorkTest : public testing::Test {
protected:
  StepWork workOf(const plan::ProgramT &program, int64_t batch, int rank,
                  int step, int64_t nodeSize = 0) {
    StatusOr<PlanSizes> sizes = PlanSizes::create(program, {{"batch", batch}});
    EXPECT_TRUE(sizes.isOk()) << sizes.status().message();
    StatusOr<PlanWork> work = PlanWork::create(*sizes, nodeSize);
    EXPECT_TRUE(work.isOk()) << work.status().message();
    return work->work(work->classOf(rank), step);
  }
};

} // namespace

TEST_F(StepWorkTest, ExpertsReadTheActiveWeights) {
  // One token on one rank: one expert of 2 * 8 * 32 weights.
  StepWork work = workOf(layerProgram(1), 1, 0, kExperts);
  EXPECT_EQ(work.kind, KernelKind::Product);
  EXPECT_DOUBLE_EQ(work.weightBytes, 2 * 8 * 32 * 4);
  // 2 (8 * 32 + 32 * 16): the 8 columns of w2 are a panel of 16.
  EXPECT_DOUBLE_EQ(work.flops, 2 * (8 * 32 + 32 * 16));
  EXPECT_DOUBLE_EQ(work.units, 32);
}

TEST_F(StepWorkTest, RoutedExpertsReadTokensAndWhatTheyChose) {
  // In place of the exchange: its rows are tokens with 2 of 4 experts each.
  plan::ProgramT program = layerProgram(1);
  plan::StepT &step = *program.steps[kExchange];
  std::vector<int> weights(program.steps[kExperts]->inputs.begin() + 2,
                           program.steps[kExperts]->inputs.end());
  program.exprs.push_back("2");
  program.buffers.push_back(std::make_unique<plan::BufferT>());
  plan::BufferT &choices = *program.buffers.back();
  uint32_t rows = program.buffers[step.inputs[0]]->dims[0];
  choices.dims = {rows, static_cast<uint32_t>(program.exprs.size()) - 1};
  choices.dtype = static_cast<uint8_t>(DType::I32);
  step.kernel = "routed_experts";
  step.inputs = {step.inputs[0], static_cast<int>(program.buffers.size()) - 1,
                 -1};
  step.inputs.insert(step.inputs.end(), weights.begin(), weights.end());
  step.outputs.resize(1);
  program.layers[0]->k = 2;
  StepWork work = workOf(program, 10, 0, kExchange);
  EXPECT_EQ(work.kind, KernelKind::Product);
  EXPECT_DOUBLE_EQ(work.flops, 20 * 2 * (8 * 32 + 32 * 16));
  EXPECT_DOUBLE_EQ(work.units, 20 * 32);
  // Of 4 experts, 10 tokens with 2 each leave out 4 (1/2)^10.
  double active = 4 * (1 - std::pow(0.5, 10));
  EXPECT_NEAR(work.weightBytes, active * 2 * 8 * 32 * 4, 1e-6);
  // x and the result of 10 tokens, choices of 4 bytes; and an output of each
  // choice, which is written and read again.
  double operands = 2 * 10 * 8 * 4 + 10 * 2 * 4;
  EXPECT_DOUBLE_EQ(work.activationBytes, operands + 2 * 20 * 8 * 4);
  // What is added to the result is read too.
  step.inputs.push_back(step.inputs[0]);
  StepWork added = workOf(program, 10, 0, kExchange);
  EXPECT_DOUBLE_EQ(added.activationBytes, work.activationBytes + 10 * 8 * 4);
  // So it is where rows are mixed in a step of their own.
  step.kernel = "combine";
  step.inputs = {step.inputs[0], step.inputs[1], -1};
  work = workOf(program, 10, 0, kExchange);
  EXPECT_DOUBLE_EQ(work.units, 20 * 8 * 4);
  step.inputs.push_back(step.inputs[0]);
  added = workOf(program, 10, 0, kExchange);
  EXPECT_DOUBLE_EQ(added.units, work.units + 10 * 8 * 4);
}

TEST_F(StepWorkTest, RanksShareRowsOfAllSenders) {
  // 10 rows over 4 experts on 2 ranks: 5 rows each, whoever sent them.
  plan::ProgramT program = layerProgram(2);
  for (int rank : {0, 1})
    EXPECT_DOUBLE_EQ(workOf(program, 10, rank, kExperts).units, 5 * 32);
}

TEST_F(StepWorkTest, FlatExchangeSendsAMessageToEachOtherRank) {
  // 4 ranks, 400 rows: 100 rows of 32 bytes here, 3/4 of them leave. Counts of
  // 4 experts go to 3 ranks.
  StepWork there = workOf(layerProgram(4), 400, 0, kExchange);
  EXPECT_TRUE(there.isCollective);
  EXPECT_NEAR(there.messages(), 3 + 3, 1e-6);
  EXPECT_DOUBLE_EQ(there.bytesSent(), 75 * 32 + 3 * 16);
  StepWork back = workOf(layerProgram(4), 400, 0, kBack);
  EXPECT_NEAR(back.messages(), 3, 1e-6);
  EXPECT_DOUBLE_EQ(back.bytesSent(), 75 * 32);
}

TEST_F(StepWorkTest, OneRankSendsNothing) {
  StepWork work = workOf(layerProgram(1), 8, 0, kExchange);
  EXPECT_EQ(work.messages(), 0);
  EXPECT_EQ(work.bytesSent(), 0);
}

TEST_F(StepWorkTest, FlatExchangeKnowsNodes) {
  // Nodes of 2: of 3 other ranks 1 is on this node.
  StepWork back = workOf(layerProgram(4), 400, 0, kBack, /*nodeSize=*/2);
  EXPECT_NEAR(back.inside.messages, 1, 1e-6);
  EXPECT_NEAR(back.across.messages, 2, 1e-6);
  EXPECT_DOUBLE_EQ(back.across.bytes, 50 * 32);
}

TEST_F(StepWorkTest, RoundedRowsAreMultipliedWithCodesAsIntegers) {
  plan::ProgramT program = layerProgram(1);
  StepWork floats = workOf(program, 8, 0, kExperts);
  EXPECT_EQ(floats.int8Flops, 0);
  setText(*program.steps[kExperts], "arithmetic", "int8");
  EXPECT_EQ(workOf(program, 8, 0, kExperts).int8Flops, 0) << "no codes";
  // w2 [32, 8], padded to 16 columns, is as large as w1 [8, 32] twice.
  program.params[1]->layout = "panel16.q4x32";
  StepWork mixed = workOf(program, 8, 0, kExperts);
  EXPECT_EQ(mixed.flops, floats.flops);
  EXPECT_DOUBLE_EQ(mixed.int8Flops, floats.flops * 2 / 3);
  program.params[1]->layout = "panel16.q4x16";
  EXPECT_EQ(workOf(program, 8, 0, kExperts).int8Flops, 0) << "other blocks";
}

TEST_F(StepWorkTest, TokensThatCompeteTellWhatDecides) {
  // A gate of 8 of 8 experts, in place of a step with operands of its shapes.
  plan::ProgramT program = layerProgram(4);
  plan::StepT &gate = *program.steps[kBack];
  gate.kernel = "gate";
  gate.inputs = {0};
  EXPECT_FALSE(workOf(program, 400, 0, kBack).isCollective);
  setText(gate, "part", "batch.local");
  setText(gate, "drop_policy", "token");
  // [k, E] counts of 4 bytes to 3 ranks.
  StepWork work = workOf(program, 400, 0, kBack);
  EXPECT_TRUE(work.isCollective);
  EXPECT_EQ(work.kind, KernelKind::Gate);
  EXPECT_DOUBLE_EQ(work.messages(), 3);
  EXPECT_DOUBLE_EQ(work.bytesSent(), 3 * 8 * 8 * 4);
  gate.attributes.back()->s = "probs";
  // Pairs of 8 bytes of 100 tokens.
  EXPECT_DOUBLE_EQ(workOf(program, 400, 0, kBack).bytesSent(), 3 * 100 * 8 * 8);
}

TEST_F(StepWorkTest, RoutersMultiply) {
  // Rows of 8 columns and 2 experts, in a panel of 16.
  plan::ProgramT program = layerProgram(1);
  plan::StepT &router = *program.steps[kBack];
  router.kernel = "router";
  program.exprs.push_back("8");
  program.exprs.push_back("2");
  program.buffers.push_back(std::make_unique<plan::BufferT>());
  uint32_t numExprs = static_cast<uint32_t>(program.exprs.size());
  program.buffers.back()->dims = {numExprs - 2, numExprs - 1};
  program.buffers.back()->dtype = static_cast<uint8_t>(DType::F32);
  router.inputs = {0, static_cast<int>(program.buffers.size()) - 1};
  StepWork work = workOf(program, 5, 0, kBack);
  EXPECT_EQ(work.kind, KernelKind::Product);
  EXPECT_DOUBLE_EQ(work.flops, 2 * 5 * 8 * 16);
}

TEST_F(StepWorkTest, HierarchicalExchangeHasFewMessages) {
  plan::ProgramT program = layerProgram(4);
  for (int step : {kExchange, kBack})
    setText(*program.steps[step], "form", "hierarchical");
  // G = 2, N = 2: one message in each stage; half of 100 rows leave in each.
  StepWork back = workOf(program, 400, 0, kBack, /*nodeSize=*/2);
  EXPECT_DOUBLE_EQ(back.inside.messages, 1);
  EXPECT_DOUBLE_EQ(back.across.messages, 1);
  EXPECT_DOUBLE_EQ(back.inside.bytes, 50 * 32);
  EXPECT_DOUBLE_EQ(back.across.bytes, 50 * 32);
}

TEST_F(StepWorkTest, SmallFormRunsUpToItsTokens) {
  plan::ProgramT program = layerProgram(4);
  plan::StepT &back = *program.steps[kBack];
  setText(back, "small_form", "hierarchical");
  setNumber(back, "small_tokens", 8);
  back.attributes.push_back(std::make_unique<plan::AttributeT>());
  back.attributes.back()->name = "tokens";
  back.attributes.back()->kind = plan::AttributeKind_Exprs;
  back.attributes.back()->exprs = {0}; // batch
  ASSERT_EQ(program.exprs[0], "batch");
  EXPECT_DOUBLE_EQ(workOf(program, 8, 0, kBack, 2).messages(), 2);
  EXPECT_NEAR(workOf(program, 900, 0, kBack, 2).messages(), 3, 1e-6);
}

TEST_F(StepWorkTest, ReplicatedTokensTravelBackOnly) {
  plan::ProgramT program = layerProgram(2);
  for (int step : {kExchange, kBack})
    setText(*program.steps[step], "form", "replicated");
  EXPECT_EQ(workOf(program, 8, 0, kExchange).bytesSent(), 0);
  // batch.local stands for the rows that every rank has: 4, 2 of them here.
  EXPECT_DOUBLE_EQ(workOf(program, 8, 0, kBack).bytesSent(), 2 * 32);
}

TEST_F(StepWorkTest, RanksOfEqualWorkAreOneClass) {
  plan::ProgramT program = layerProgram(4);
  auto classes = [&](int64_t batch) {
    StatusOr<PlanSizes> sizes = PlanSizes::create(program, {{"batch", batch}});
    return PlanWork::create(*sizes, 0)->numClasses();
  };
  EXPECT_EQ(classes(8), 1);
  EXPECT_EQ(classes(9), 2); // 2 2 2 3 rows
}

TEST_F(StepWorkTest, RanksHoldTheirExpertsAndSlices) {
  plan::ProgramT program = layerProgram(2);
  StatusOr<PlanSizes> sizes = PlanSizes::create(program, {{"batch", 1}});
  EXPECT_DOUBLE_EQ(PlanWork::create(*sizes, 0)->expertWeightBytes(0),
                   2 * 2 * 8 * 32 * 4);
  // All experts in halves of 16 of 32 columns on both ranks.
  for (auto &place : program.layers[0]->places) {
    place->ranks = {0, 1};
    place->slices = 2;
  }
  EXPECT_DOUBLE_EQ(PlanWork::create(*sizes, 0)->expertWeightBytes(0),
                   4 * 8 * 32 * 4);
}
