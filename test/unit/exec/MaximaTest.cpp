//===- MaximaTest.cpp - Reserving and growing -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/MemoryPlan.h"
#include "runtime/exec/Parts.h"
#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

TEST(PartOf, CoversEverythingOnce) {
  for (int numRanks = 1; numRanks <= 6; ++numRanks)
    for (int64_t whole = 0; whole <= 13; ++whole) {
      int64_t end = 0;
      for (int rank = 0; rank < numRanks; ++rank) {
        PartRange part = partOf(3 * whole, whole, rank, numRanks);
        EXPECT_EQ(part.begin, end);
        EXPECT_LE(part.end - part.begin,
                  3 * ((whole + numRanks - 1) / numRanks));
        end = part.end;
      }
      EXPECT_EQ(end, 3 * whole);
    }
}

TEST(Maxima, ExceedingAnExplicitMaximumNamesTheFlag) {
  auto context = contextOf(rowsModel(2, "add_one"));
  ASSERT_TRUE(context->prepare({{"batch", 3}}).isOk());
  std::vector<float> data = counting(16);
  EXPECT_TRUE(context->run(std::vector{floats("x", {3, 4}, data)}).isOk());
  Status status = errorOf(*context, std::vector{floats("x", {4, 4}, data)});
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_EQ(status.message(), "batch = 4 exceeds its maximum 3; raise it with "
                              "--max batch=4");
  EXPECT_TRUE(context->run(std::vector{floats("x", {2, 4}, data)}).isOk());
}

TEST(Maxima, UnknownOrNegativeMaximaAreUsageErrors) {
  auto context = contextOf(rowsModel(1, "add_one"));
  Status status = context->prepare({{"bach", 3}});
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_EQ(status.message(), "--max names \"bach\", expected one of batch");
  EXPECT_EQ(context->prepare({{"batch", -1}}).code(), StatusCode::Usage);
}

/// x [batch, 4] -> two steps, so that there is an arena.
static std::shared_ptr<Model> arenaModel(int numRanks, int64_t defaultMax) {
  TestProgram p(numRanks);
  p.symbol("batch", 0, 0, defaultMax);
  p.localPart("batch.local", "batch");
  p.input("x", {"batch", "4"}, "batch.local");
  p.output("y", {"batch", "4"}, "batch.local");
  int x = p.inputBuffer(0, {"batch.local", "4"});
  int t = p.arena({"batch.local", "4"});
  int y = p.outputBuffer(0, {"batch.local", "4"});
  p.step("add_one", {x}, {t});
  p.step("add_one", {t}, {y});
  return p.finish();
}

TEST(Maxima, MemoryIsReservedForTheMaximum) {
  auto context = contextOf(arenaModel(2, 0));
  EXPECT_EQ(context->reservedBytes(), 0u);
  ASSERT_TRUE(context->prepare({{"batch", 100}}).isOk());
  // Per rank: 50 rows of 16 bytes, rounded up to 64, and 100 of workspace.
  EXPECT_EQ(context->reservedBytes(), 2 * (832 + 100u));
  std::vector<float> data = counting(400);
  EXPECT_TRUE(context->run(std::vector{floats("x", {100, 4}, data)}).isOk());
  EXPECT_EQ(context->reservedBytes(), 2 * (832 + 100u));
}

TEST(Maxima, DefaultsAreReservedIfTheyAreSmall) {
  auto small = contextOf(arenaModel(1, 1000));
  ASSERT_TRUE(small->prepare({}).isOk());
  EXPECT_EQ(small->reservedBytes(), 16000 + 100u);
  // What a plan asks for on its own is not reserved if it is a lot.
  auto large = contextOf(arenaModel(1, int64_t(1) << 40));
  ASSERT_TRUE(large->prepare({}).isOk());
  EXPECT_EQ(large->reservedBytes(), 0u);
  std::vector<float> data = counting(4);
  EXPECT_TRUE(large->run(std::vector{floats("x", {1, 4}, data)}).isOk());
  EXPECT_EQ(large->reservedBytes(), 64 + 100u);
}

TEST(Maxima, MemoryGrowsWithTheRuns) {
  auto context = contextOf(arenaModel(3, 0));
  for (int64_t batch : {1, 5, 6, 7, 2, 200}) {
    std::vector<float> data = counting(4 * batch);
    StatusOr<std::span<const Output>> outputs =
        context->run(std::vector{floats("x", {batch, 4}, data)});
    ASSERT_TRUE(outputs.isOk()) << outputs.status().message();
    EXPECT_EQ(floatsOf(*outputs, "y"), counting(4 * batch, 2));
  }
}

TEST(Maxima, TheMemoryLimitHolds) {
  ContextOptions options;
  options.memoryLimit = 4000;
  auto context = contextOf(arenaModel(1, 0), options);
  std::vector<float> data = counting(4000);
  EXPECT_TRUE(context->run(std::vector{floats("x", {100, 4}, data)}).isOk());
  Status status = errorOf(*context, std::vector{floats("x", {1000, 4}, data)});
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_EQ(status.message(), "buffers for batch=1000 take 16100 bytes, more "
                              "than the limit of 4000");
  EXPECT_EQ(context->prepare({{"batch", int64_t(1) << 60}}).code(),
            StatusCode::OutOfMemory);
  // What fails changes nothing.
  EXPECT_TRUE(context->run(std::vector{floats("x", {100, 4}, data)}).isOk());
}
