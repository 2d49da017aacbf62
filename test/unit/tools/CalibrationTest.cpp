//===- CalibrationTest.cpp - Measurements for the cost model --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Cluster.h"
#include "runtime/io/Json.h"
#include "test/unit/tools/BigramPlan.h"
#include "tools/moe-run/KernelProbe.h"

using namespace moe;
using namespace moe::test;
using namespace moe::tools;
using nlohmann::json;

namespace {
using CalibrationTest = BigramTest;

StatusOr<double> matmulSeconds(int64_t rows, int64_t columns) {
  KernelProbe probe("matmul");
  probe.input({rows, 64}).weight(64, columns, 2).output({rows, columns});
  return probe.seconds(0.01);
}
} // namespace

TEST(KernelProbe, MoreWorkTakesLonger) {
  StatusOr<double> small = matmulSeconds(1, 16);
  StatusOr<double> large = matmulSeconds(96, 1024);
  ASSERT_TRUE(small.isOk()) << small.status().message();
  ASSERT_TRUE(large.isOk()) << large.status().message();
  EXPECT_GT(*small, 0);
  EXPECT_GT(*large, *small);
}

TEST(KernelProbe, ReportsWhatTheKernelRefuses) {
  EXPECT_FALSE(KernelProbe("no such kernel").seconds().isOk());
  KernelProbe probe("matmul");
  probe.input({1, 64}).weight(32, 16).output({1, 16}); // 64 and 32 differ
  EXPECT_EQ(probe.seconds().status().code(), StatusCode::BadPlan);
}

TEST_F(CalibrationTest, WritesAFileThatPredictsRuns) {
  std::string cluster = file("cluster.json");
  Outcome outcome = run({"calibrate", "-o", cluster});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_NE(outcome.output.find("GFLOP/s"), std::string::npos);
  StatusOr<cost::Cluster> read = cost::readCluster(cluster);
  ASSERT_TRUE(read.isOk()) << read.status().message();
  EXPECT_GT(read->device.peakFlops, 1e8);
  EXPECT_GT(read->device.memoryBandwidth, 1e8);
  EXPECT_GE(read->nodeMemoryBandwidth, read->device.memoryBandwidth);
  EXPECT_GT(read->device.memoryBytes, 0);

  outcome = run({"bench", plan, "--shape", "batch=1,seq=2", "--seconds", "0.01",
                 "--json", "--cluster", cluster});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json cell = json::parse(outcome.output)["cells"][0];
  EXPECT_GT(cell["predicted_ms"], 0);
  EXPECT_GT(cell["steps"][0]["predicted_ms"], 0);
}

TEST_F(CalibrationTest, HelpHasExamples) {
  Outcome outcome = run({"calibrate", "--help"});
  EXPECT_EQ(outcome.exitCode, 0);
  EXPECT_NE(outcome.output.find("calibrate -o cluster.json"),
            std::string::npos);
}

TEST_F(CalibrationTest, BenchRefusesWhatIsNoCluster) {
  Outcome outcome = run({"bench", plan, "--cluster", file("none.json")});
  EXPECT_NE(outcome.exitCode, 0);
  EXPECT_NE(outcome.errors.find("none.json"), std::string::npos);
  outcome = run({"bench", plan, "--cluster", plan, "--calibrate"});
  EXPECT_EQ(outcome.exitCode, 2);
}
