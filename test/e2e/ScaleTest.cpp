//===- ScaleTest.cpp - Meshes that no machine here has --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Large generated models for many ranks: compiled and simulated, not run.
//
//===----------------------------------------------------------------------===//

#include "Tools.h"
#include "test/models/generate/LargeTransformer.h"

#include <chrono>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

class ScaleTest : public testing::Test {
protected:
  void make(const TransformerSizes &sizes) {
    Status status = writeTransformer(scratch.path, sizes);
    ASSERT_TRUE(status.isOk()) << status.message();
  }

  /// Compiles the model; options may ask for a report.
  Outcome compile(std::vector<std::string> options) {
    std::vector<std::string> args = {scratch.path / "model.onnx",
                                     "--weights=synthetic"};
    args.insert(args.end(), options.begin(), options.end());
    auto begin = std::chrono::steady_clock::now();
    Outcome outcome = runTool("moe-opt", args, scratch.path);
    seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
            .count();
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return outcome;
  }

  json inspect(const std::string &plan) {
    Outcome outcome = runTool("moe-inspect", {plan, "--json"}, scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return json::parse(outcome.output);
  }

  ScratchFolder scratch;
  double seconds = 0;
};

} // namespace

TEST_F(ScaleTest, PrMoeCompilesForAnyNumberOfRanks) {
  make(TransformerSizes::prmoe());
  for (int ranks : {1, 2, 3, 8, 24, 64, 128}) {
    std::string flag = "--ranks=" + std::to_string(ranks);
    std::string plan = scratch.path / "model.moeplan";
    compile({flag, "-o", plan, "--mesh=ep=" + std::to_string(ranks)});
    EXPECT_GT(std::filesystem::file_size(plan), 0u);
  }
}

TEST_F(ScaleTest, PrMoeHasOneExpertPerRankAndLayerAt128) {
  make(TransformerSizes::prmoe());
  std::string plan = scratch.path / "model.moeplan";
  for (const char *reduce : {"--reduce=any", "--reduce=exact"}) {
    compile({"--ranks=128", "-o", plan, reduce, "--mesh=ep=128"});
    json ranks = inspect(plan).at("ranks");
    ASSERT_EQ(ranks.size(), 128u);
    for (const json &rank : ranks)
      for (const json &experts : rank.at("experts"))
        ASSERT_EQ(experts.size(), 1u) << reduce << ": " << rank.dump();
  }
}

TEST_F(ScaleTest, ThousandsOfRanksCompileInSeconds) {
  make(TransformerSizes::deep());
  Outcome outcome = compile({"--ranks=4096", "--node-size=8", "--simulate",
                             "--shape=batch=4096,seq=1,past=1024"});
  EXPECT_NE(outcome.output.find("on 4096 ranks"), std::string::npos);
  EXPECT_NE(outcome.output.find("predicted"), std::string::npos);
  RecordProperty("seconds", static_cast<int>(seconds));
  // The machine may be busy: a tenth of it is the aim.
  EXPECT_LT(seconds, 60);
}

TEST_F(ScaleTest, ReportSaysWhyMeshesLost) {
  make(TransformerSizes::prmoe());
  Outcome outcome = compile({"--ranks=16", "--memory=32G", "--report=json"});
  json report = json::parse(outcome.output);
  EXPECT_EQ(report.at("num_ranks"), 16);
  EXPECT_LE(report.at("mesh").at("memory_bytes"), 32.0 * (1 << 30));
  ASSERT_FALSE(report.at("others").empty());
  for (const json &other : report.at("others"))
    EXPECT_NE(other.at("lost"), "");
  for (const json &run : report.at("runs")) {
    EXPECT_GT(run.at("seconds"), 0);
    EXPECT_EQ(run.at("layers").size(), 12u);
  }
}

TEST_F(ScaleTest, MemoryThatIsTooSmallIsAnErrorThatSaysWhatFits) {
  make(TransformerSizes::prmoe());
  Outcome outcome = runTool("moe-opt",
                            {scratch.path / "model.onnx", "--weights=synthetic",
                             "--ranks=2", "--memory=8G", "--report"},
                            scratch.path);
  EXPECT_EQ(outcome.exitCode, 2);
  EXPECT_NE(outcome.errors.find("no mesh of 2 ranks fits 8.0 GiB per rank"),
            std::string::npos)
      << outcome.errors;
  EXPECT_NE(outcome.errors.find("ranks would fit"), std::string::npos);
}
