//===- TraceTest.cpp - Traces of runs -------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ChromeTrace.h"
#include "runtime/io/Json.h"
#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

TEST(Trace, HasOneEventForEachStepAndRank) {
  auto model = rowsModel(2, "add_one");
  std::vector<StepTime> times = {{0, 0, 1000, 3500}, {1, 0, 2000, 2500}};
  StatusOr<nlohmann::json> trace = parseJson(chromeTrace(*model, times));
  ASSERT_TRUE(trace.isOk()) << trace.status().message();
  const nlohmann::json &events = (*trace)["traceEvents"];
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1]["args"]["name"], "rank 1");
  EXPECT_EQ(events[2]["name"], "add_one");
  EXPECT_EQ(events[2]["ts"], 1.0);
  EXPECT_EQ(events[2]["dur"], 2.5);
  EXPECT_EQ(events[2]["args"]["nodes"][0], "/node0");
  EXPECT_EQ(events[3]["tid"], 1);
}
