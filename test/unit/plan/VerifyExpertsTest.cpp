//===- VerifyExpertsTest.cpp - Weights of experts at the wrong place ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyCases.h"

using namespace moe;
using namespace moe::test;

using Program = plan::ProgramT;

/// Adds a step of experts whose first matrix is the parameter of the layer, of
/// another one with as many experts, and buffers of both.
static Program makeProgram() {
  Program program = syntheticProgram();
  for (int layer : {0, 1}) {
    if (layer > 0) {
      program.layers.push_back(
          std::make_unique<plan::LayerT>(*program.layers[0]));
      program.params.push_back(
          std::make_unique<plan::ParamT>(*program.params[1]));
      program.params.back()->layer = layer;
      program.params.back()->name = "others";
    }
    int param = static_cast<int>(program.params.size()) - 1;
    addBuffer(program, "experts", plan::BufferKind_Param, {"4", "2", "5"},
              param);
  }
  plan::StepT &step = add(program.steps);
  step.kernel = "routed_experts";
  step.layer = 0;
  // As x, choices and mixing weights anything will do here.
  step.inputs = {0, 4, 4, 6, -1, 6, -1, -1, -1};
  step.outputs = {3};
  return program;
}

static void expectErrors(const std::vector<VerifyCase> &cases) {
  expectErrors(makeProgram, cases);
}

TEST(VerifyExperts, AcceptsTheWeightsOfALayer) {
  Status status = verifyProgram(makeProgram(), 0);
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyExperts, WeightsAreReadAsWeights) {
  const char *misplaced =
      "step 2 (routed_experts): input 0, buffer 6, is param experts of the "
      "experts of layer 0, which only steps of theirs read as weights";
  const char *elsewhere =
      "step 1 (elementwise): input 1, buffer 6, is param experts of the "
      "experts of layer 0, which only steps of theirs read as weights";
  const char *behind =
      "step 2 (routed_experts): input 9, buffer 6, is param experts of the "
      "experts of layer 0, which only steps of theirs read as weights";
  expectErrors({
      {misplaced, [](Program &p) { p.steps[2]->inputs[0] = 6; }},
      {elsewhere, [](Program &p) { p.steps[1]->inputs[1] = 6; }},
      {behind, [](Program &p) { p.steps[2]->inputs.push_back(6); }},
  });
}

TEST(VerifyExperts, WeightsAreThoseOfTheLayer) {
  const char *other =
      "step 2 (routed_experts): input 5 (w2), buffer 7, is param others of the "
      "experts of layer 1, which only steps of theirs read as weights";
  const char *none =
      "step 2 (routed_experts): input 3 (w1), buffer 6, is param experts of "
      "the experts of layer 0, which only steps of theirs read as weights";
  expectErrors({
      {other, [](Program &p) { p.steps[2]->inputs[5] = 7; }},
      {none, [](Program &p) { p.steps[2]->layer = -1; }},
  });
}

// The residual is operand 9 of routed_experts and 3 of combine.
TEST(VerifyExperts, ResidualsLieAsResultsElsewhere) {
  auto add = [](Program &p, int buffer) {
    p.buffers[2]->last_step = 2;
    p.steps[2]->inputs.push_back(buffer);
  };
  Program program = makeProgram();
  add(program, 2);
  Status status = verifyProgram(program, 0);
  EXPECT_TRUE(status.isOk()) << status.message();
  const char *sizes =
      "step 2 (routed_experts): input 9 (residual), buffer 0, has another type "
      "or other sizes than the result, buffer 3";
  const char *type =
      "step 2 (routed_experts): input 9 (residual), buffer 2, has another type "
      "or other sizes than the result, buffer 3";
  const char *memory =
      "step 2 (routed_experts): input 9 (residual), buffer 3, shares memory "
      "with the result, buffer 3";
  const char *ofCombine =
      "step 2 (combine): input 3 (residual), buffer 0, has another type or "
      "other sizes than the result, buffer 3";
  expectErrors({
      {sizes, [&](Program &p) { add(p, 0); }},
      {type,
       [&](Program &p) {
         add(p, 2);
         p.buffers[2]->dtype = static_cast<uint8_t>(DType::I32);
       }},
      {memory, [&](Program &p) { add(p, 3); }},
      {ofCombine,
       [](Program &p) {
         p.steps[2]->kernel = "combine";
         p.steps[2]->inputs = {2, 4, -1, 0};
         p.buffers[2]->last_step = 2;
       }},
  });
}

TEST(VerifyExperts, OtherOperandsAreNoWeights) {
  const char *values =
      "step 2 (routed_experts): input 4 (b1), buffer 2, is no param of experts";
  const char *dense =
      "step 2 (experts): input 2 (w1), buffer 1, is no param of experts";
  expectErrors({
      {values,
       [](Program &p) {
         p.buffers[2]->last_step = 2;
         p.steps[2]->inputs[4] = 2;
       }},
      {dense,
       [](Program &p) {
         p.steps[2]->kernel = "experts";
         p.steps[2]->inputs = {0, 4, 1, -1, 6};
       }},
  });
}
