//===- InspectTest.cpp - moe-inspect --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "test/unit/plan/TestProgram.h"
#include "test/unit/tools/BigramPlan.h"

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

/// On the small program of the plan's tests: two ranks, one layer of four
/// experts.
class InspectTest : public testing::Test {
protected:
  void SetUp() override {
    path = scratch.path / "small.moeplan";
    ASSERT_TRUE(writeSmallPlan(path).isOk());
  }
  Outcome inspect(std::vector<std::string> args) {
    return runTool("moe-inspect", args, scratch.path);
  }
  ScratchFolder scratch;
  std::string path;
};

} // namespace

TEST_F(InspectTest, JsonHoldsTheWholePlan) {
  Outcome outcome = inspect({path, "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json plan = json::parse(outcome.output);
  json layer = {{"experts", 4},          {"k", 2},
                {"router", "softmax"},   {"capacity", "none"},
                {"residual", false},     {"shared", false},
                {"nodes", json::array()}};
  ASSERT_EQ(plan["moe_layers"].size(), 1u);
  for (const auto &[key, value] : layer.items())
    EXPECT_EQ(plan["moe_layers"][0][key], value) << key;
  // A rank holds the 4 x 3 matrix and two experts of [2, 16] in panels.
  EXPECT_EQ(plan["ranks"][1]["weight_bytes"], 4 * 3 * 4 + 2 * 2 * 16 * 4);
  EXPECT_EQ(plan["ranks"][1]["expert_weight_bytes"], 2 * 2 * 16 * 4);
  EXPECT_EQ(plan["ranks"][1]["experts"], (json{{2, 3}}));
  EXPECT_EQ(plan["steps"].size(), 2u);
  EXPECT_EQ(plan["steps"][1]["kernel"], "elementwise");
  EXPECT_EQ(plan["steps"][1]["program"], (json{"add", "relu"}));
  EXPECT_EQ(plan["steps"][1]["nodes"], (json{"/relu"}));
  EXPECT_EQ(plan["steps"][0]["attributes"]["transpose"], 0);
  EXPECT_EQ(plan["buffers"].size(), 6u);
  EXPECT_EQ(plan["buffers"][0]["dims"], (json{"batch", "4"}));
  EXPECT_EQ(plan["weights"][1]["layout"], "panel16");
  EXPECT_EQ(plan["weights"][1]["source"], "embedded");
  EXPECT_TRUE(plan["states"].is_array());
}

TEST_F(InspectTest, TextShowsLayersPlacementAndSteps) {
  Outcome outcome = inspect({path});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  for (const char *part :
       {"small.onnx for 2 ranks: 2 steps", "MoE layers", "softmax",
        "Experts of each rank", "0-1", "2-3", "Weights of each rank",
        "Inputs and outputs", "f32 [batch, 4]", "elementwise: add, relu"})
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part << "\n"
                                                            << outcome.output;
}

TEST_F(InspectTest, VerifyFindsDamagedWeights) {
  EXPECT_EQ(inspect({path, "--verify"}).exitCode, 0);
  std::string bytes = readFile(path);
  bytes[130] ^= 1; // the first section behind the preamble: weights
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(inspect({path}).exitCode, 0);
  EXPECT_EQ(inspect({path, "--verify"}).exitCode, 6);
}
