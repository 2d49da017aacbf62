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

/// Four ranks, dp 1 x ep 2 x tp 2, with a step on stream 1.
static void makeParallel(plan::ProgramT &program) {
  program.num_ranks = 4;
  program.tp = 2;
  program.num_streams = 2;
  program.num_events = 1;
  plan::SymbolT &part = add(program.symbols);
  part.name = "columns";
  part.kind = plan::SymbolKind_LocalPart;
  part.whole = expr(program, "3");
  part.group = plan::Group_Tp;
  plan::LayerT &layer = *program.layers[0];
  layer.group = plan::Group_World;
  for (uint32_t expert = 0; expert < 4; ++expert)
    layer.places[expert]->ranks = {expert};
  // Expert 3 is sliced over ranks 2 and 3.
  layer.places[3]->ranks = {2, 3};
  layer.places[3]->slices = 2;
  program.params[0]->part_axis = 1;
  program.params[0]->part = 1;
  program.buffers[1]->dims = exprs(program, {"4", "columns"});
  program.buffers[2]->dims = exprs(program, {"batch", "columns"});
  program.buffers[3]->dims = exprs(program, {"batch", "columns"});
  program.outputs[0]->slice_axis = 1;
  program.outputs[0]->slice_part = 1;
  // Beside the product, which is of the layer, stream 1 copies x.
  program.steps[0]->layer = 0;
  plan::BufferT &copy =
      addBuffer(program, "copy", plan::BufferKind_Arena, {"batch", "4"}, -1);
  copy.first_step = 0;
  copy.last_step = 2;
  program.buffers[2]->first_step = 1;
  program.buffers[2]->last_step = 2;
  auto beside = std::make_unique<plan::StepT>();
  beside->kernel = "copy";
  beside->inputs = {0};
  beside->outputs = {6};
  beside->stream = 1;
  beside->records = 0;
  beside->layer = 0;
  program.steps.insert(program.steps.begin(), std::move(beside));
  program.steps[2]->waits = {0};
  program.steps[2]->guard = expr(program, "batch");
}

TEST_F(InspectTest, ShowsMeshGroupsAndSchedule) {
  ASSERT_TRUE(writeSmallPlan(path, makeParallel).isOk());
  Outcome outcome = inspect({path, "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json plan = json::parse(outcome.output);
  EXPECT_EQ(plan["mesh"], (json{{"dp", 1}, {"ep", 2}, {"tp", 2}}));
  EXPECT_EQ(plan["num_streams"], 2);
  EXPECT_EQ(plan["moe_layers"][0]["group"], "world");
  EXPECT_EQ(plan["moe_layers"][0]["slices_of_experts"], (json{1, 1, 1, 2}));
  EXPECT_EQ(plan["moe_layers"][0]["degree"], 4);
  EXPECT_EQ(plan["ranks"][3]["experts"], (json{{3}}));
  EXPECT_EQ(plan["ranks"][3]["slices"], (json{{1}}));
  // Rank 0 of the pair has floor(3 / 2) columns of the 4 x 3 matrix, rank 1 the
  // other two, and each an expert; experts of this plan have no dimension that
  // slices divide, so rank 2 has expert 2 and all of expert 3.
  EXPECT_EQ(plan["ranks"][0]["weight_bytes"], 4 * 1 * 4 + 2 * 16 * 4);
  EXPECT_EQ(plan["ranks"][1]["weight_bytes"], 4 * 2 * 4 + 2 * 16 * 4);
  EXPECT_EQ(plan["ranks"][2]["weight_bytes"], 4 * 1 * 4 + 2 * 2 * 16 * 4);
  EXPECT_EQ(plan["outputs"][0]["slices"],
            (json{{"axis", 1}, {"by", "columns"}}));
  EXPECT_EQ(plan["steps"][0]["records"], 0);
  EXPECT_EQ(plan["steps"][0]["stream"], 1);
  EXPECT_EQ(plan["steps"][2]["waits"], (json{0}));
  EXPECT_EQ(plan["steps"][2]["guard"], "batch");

  outcome = inspect({path});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  for (const char *part :
       {"mesh of dp 1 x ep 2 x tp 2", "2, 3:0/2", "axis 1 by columns",
        "  step  stream 0                  stream 1\n"
        "     0  |                         copy, records 0\n"
        "     1  matmul                    |\n"
        "     2  elementwise, waits for 0\n",
        "waits for 0, if batch"})
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
