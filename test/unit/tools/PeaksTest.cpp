//===- PeaksTest.cpp - What a machine can do at most ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/peaks/Peaks.h"
#include "runtime/io/Json.h"
#include "test/unit/tools/BigramPlan.h"
#include "tools/moe-run/StepFloors.h"

using namespace moe;
using namespace moe::test;
using namespace moe::tools;
using nlohmann::json;

TEST(Floor, IsTheLongerOfReadingAndMultiplying) {
  // 10 bytes at 5 per second, 9 operations at 3 per second.
  Floor floor = Floor::of(10, 9, 5, 3);
  EXPECT_EQ(floor.seconds, 3);
  EXPECT_FALSE(floor.isMemory);
  floor = Floor::of(20, 9, 5, 3);
  EXPECT_EQ(floor.seconds, 4);
  EXPECT_TRUE(floor.isMemory);
}

TEST(Peaks, BestTakesTheLargerOfEachRate) {
  Peaks a, b;
  a.bandwidth = 2;
  a.readLoop = "a";
  b.bandwidth = 1;
  b.readLoop = "b";
  a.flops = 3;
  b.flops = 4;
  Peaks both = best(a, b);
  EXPECT_EQ(both.bandwidth, 2);
  EXPECT_EQ(both.readLoop, "a");
  EXPECT_EQ(both.flops, 4);
}

TEST(PeakLoops, EveryLoopOfThisMachineRuns) {
  alignas(64) std::byte memory[4 * kReadUnit] = {};
  memory[0] = std::byte(1);
  uint64_t sum = 0;
  for (const ReadLoop &loop : readLoops())
    sum += loop.run(memory, sizeof(memory));
  for (const MultiplyLoop &loop : f32Loops())
    sum += loop.run(3);
  for (const MultiplyLoop &loop : int8Loops())
    sum += loop.run(3);
  EXPECT_NE(sum, 0u);
}

TEST(PeakLoops, StayWithinTheSetThatKernelsAreHeldTo) {
  size_t all = f32Loops().size(), allOfInt8 = int8Loops().size();
  ASSERT_EQ(setenv("MOE_CPU_ISA", "avx2", 1), 0);
  for (const std::vector<MultiplyLoop> &loops : {f32Loops(), int8Loops()})
    for (const MultiplyLoop &loop : loops) {
      std::string name = loop.name;
      EXPECT_EQ(name.find("VNNI"), std::string::npos) << name;
      EXPECT_EQ(name.find("64 bytes"), std::string::npos) << name;
      EXPECT_EQ(name.find("16 numbers"), std::string::npos) << name;
    }
  ASSERT_EQ(setenv("MOE_CPU_ISA", "portable", 1), 0);
  EXPECT_EQ(f32Loops().size(), 1u);
  EXPECT_EQ(int8Loops().size(), 1u);
  ASSERT_EQ(unsetenv("MOE_CPU_ISA"), 0);
  EXPECT_EQ(f32Loops().size(), all);
  EXPECT_EQ(int8Loops().size(), allOfInt8);
}

TEST(PeakMeter, MeasuresAllRatesAndAgain) {
  StatusOr<std::unique_ptr<PeakMeter>> meter = PeakMeter::create(2);
  ASSERT_TRUE(meter.isOk()) << meter.status().message();
  EXPECT_GE(PeakMeter::memoryBytes(), 1u << 20);
  Peaks peaks = (*meter)->measure();
  EXPECT_EQ(peaks.threads, 2);
  for (const Peaks &each : {peaks, (*meter)->again(peaks)}) {
    EXPECT_GT(each.bandwidth, 0);
    EXPECT_GT(each.flops, 0);
    EXPECT_GT(each.int8Operations, 0);
    EXPECT_FALSE(each.readLoop.empty());
  }
}

using StepFloorsTest = BigramTest;

TEST_F(StepFloorsTest, BenchShowsRatesOfSteps) {
  Outcome outcome = run({"bench", plan, "--shape", "batch=1,seq=2", "--seconds",
                         "0.01", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json object = json::parse(outcome.output);
  EXPECT_GT(object["machine"]["bandwidth_GB_per_s"], 0);
  json step = object["cells"][0]["steps"][0];
  EXPECT_GT(step["GB_per_s"], 0);
  EXPECT_EQ(step["GFLOP_per_s"], 0); // a gather
  // The table of 4 MiB may be in a cache, so nobody knows a floor.
  EXPECT_FALSE(step.contains("percent_of_floor"));

  outcome = run({"bench", plan, "--shape", "batch=1,seq=2", "--seconds", "0.01",
                 "--no-floors", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_FALSE(json::parse(outcome.output).contains("machine"));
}
