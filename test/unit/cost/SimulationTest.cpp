//===- SimulationTest.cpp - A plan walked without running it --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Simulation.h"

#include "test/unit/cost/LayerProgram.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::cost;
using namespace moe::test;

namespace {

Simulation run(const plan::ProgramT &program, int64_t batch,
               const Cluster &cluster = defaultCluster()) {
  StatusOr<Simulation> result = simulate(program, {{"batch", batch}}, cluster);
  EXPECT_TRUE(result.isOk()) << result.status().message();
  return *result;
}

} // namespace

TEST(Simulation, StepsOfOneRankFollowEachOther) {
  Simulation result = run(layerProgram(1), 8);
  double sum = 0;
  for (const StepCost &step : result.steps)
    sum += step.seconds;
  EXPECT_NEAR(result.seconds, sum, 1e-15);
}

TEST(Simulation, RanksWithEqualWorkAreCountedTogether) {
  Simulation result = run(layerProgram(4), 9); // 2 2 2 3 rows
  ASSERT_EQ(result.ranks.size(), 2u);
  EXPECT_EQ(result.ranks[0].count + result.ranks[1].count, 4);
}

TEST(Simulation, MemoryIsWeightsAndWhatLivesTogether) {
  Simulation result = run(layerProgram(1), 10);
  EXPECT_DOUBLE_EQ(result.ranks[0].weightBytes, 4 * 2 * 8 * 32 * 4);
  // In step 1: counts, locals and route of 4 numbers, and received and
  // computed of 10 rows of 8.
  EXPECT_DOUBLE_EQ(result.ranks[0].arenaBytes, (3 * 4 + 2 * 10 * 8) * 4);
}

TEST(Simulation, StreamsOverlapUntilAStepWaits) {
  plan::ProgramT program = layerProgram(1);
  double alone = run(program, 1000).seconds;
  // The same experts again on stream 1, which the way back waits for.
  auto copy = std::make_unique<plan::StepT>(*program.steps[kExperts]);
  copy->stream = 1;
  copy->records = 0;
  program.num_streams = 2;
  program.num_events = 1;
  program.steps.insert(program.steps.begin() + kExperts, std::move(copy));
  program.steps[3]->waits = {0};
  Simulation both = run(program, 1000);
  EXPECT_NEAR(both.seconds, alone, 1e-12);
  program.steps[1]->stream = 0;
  EXPECT_NEAR(run(program, 1000).seconds, alone + both.steps[1].seconds, 1e-12);
}

TEST(Simulation, GuardedStepsAreSkipped) {
  plan::ProgramT program = layerProgram(1);
  program.steps[kExperts]->guard = 0; // batch
  EXPECT_TRUE(run(program, 1).steps[kExperts].runs);
  Simulation none = run(program, 0);
  EXPECT_FALSE(none.steps[kExperts].runs);
  EXPECT_EQ(none.steps[kExperts].seconds, 0);
}

TEST(Simulation, SlowLinksMakeSlowRuns) {
  Cluster fast = defaultCluster(), slow = fast;
  slow.insideNode.latency *= 100;
  EXPECT_GT(run(layerProgram(2), 8, slow).seconds,
            run(layerProgram(2), 8, fast).seconds);
}

TEST(Simulation, MissingSizesAreErrors) {
  plan::ProgramT program = layerProgram(1);
  EXPECT_FALSE(simulate(program, {}, defaultCluster()).isOk());
}
