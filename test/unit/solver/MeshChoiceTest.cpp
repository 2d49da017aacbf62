//===- MeshChoiceTest.cpp - Which mesh, and how its layers run ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/MeshChoice.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::solver;

namespace {

/// Eight layers of 16 experts of 64 MB, of which a token chooses 2, and 1 GB of
/// dense weights with 16 heads.
MeshProblem largeModel(int64_t numRanks) {
  MeshProblem problem;
  problem.numRanks = numRanks;
  MoeLayerSummary layer;
  layer.experts = 16;
  layer.k = 2;
  layer.inputs = layer.outputs = 2048;
  layer.inner = 4096;
  layer.rowFlops = 4.0 * 2048 * 4096;
  layer.expertBytes = 2.0 * 2048 * 4096 * 4;
  problem.model.layers.assign(8, layer);
  problem.model.slicedBytes = 1e9;
  problem.model.slicedFlops = 0.5e9;
  problem.model.heads = problem.model.keyHeads = 16;
  problem.model.reductions = 16;
  problem.model.hidden = 2048;
  problem.model.cacheBytes = 8 * 16 * 256 * 4;
  problem.cluster = cost::defaultCluster();
  problem.decode = {double(numRanks), 1, 512};
  problem.prefill = {double(numRanks), 128, 0};
  return problem;
}

/// Too small for anything but messages to matter.
MeshProblem smallModel(int64_t numRanks) {
  MeshProblem problem = largeModel(numRanks);
  for (MoeLayerSummary &layer : problem.model.layers) {
    layer.inputs = layer.outputs = 64;
    layer.inner = 128;
    layer.rowFlops = 4.0 * 64 * 128;
    layer.expertBytes = 2.0 * 64 * 128 * 4;
  }
  problem.model.slicedBytes = 1e6;
  problem.model.slicedFlops = 0.5e6;
  problem.model.hidden = 64;
  problem.model.cacheBytes = 8 * 4 * 32 * 4;
  return problem;
}

MeshSolution solve(const MeshProblem &problem) {
  StatusOr<MeshSolution> solution = chooseMesh(problem);
  EXPECT_TRUE(solution.isOk()) << solution.status().message();
  if (!solution.isOk())
    return {};
  Status verified = problem.verify(*solution);
  EXPECT_TRUE(verified.isOk()) << verified.message();
  return *solution;
}

std::string errorOf(const MeshProblem &problem) {
  return chooseMesh(problem).status().message();
}

} // namespace

TEST(MeshChoice, OneRankHasOneMesh) {
  MeshSolution solution = solve(largeModel(1));
  EXPECT_EQ(solution.chosen.mesh, (MeshDegrees{1, 1, 1}));
  EXPECT_TRUE(solution.others.empty());
}

TEST(MeshChoice, SmallModelsOnlySpreadTheirExperts) {
  EXPECT_EQ(solve(smallModel(4)).chosen.mesh, (MeshDegrees{1, 4, 1}));
}

TEST(MeshChoice, DenseWeightsThatTakeTimeAreSliced) {
  // Every rank reads 1 GB of dense weights in a decode step unless tp divides
  // it.
  MeshSolution solution = solve(largeModel(4));
  EXPECT_GT(solution.chosen.mesh.tp, 1);
  ASSERT_FALSE(solution.others.empty());
  for (const MeshCandidate &other : solution.others)
    EXPECT_NE(other.lost, "");
}

TEST(MeshChoice, ExactSumsAreNotSliced) {
  MeshProblem problem = largeModel(4);
  problem.reduceExact = true;
  MeshSolution solution = solve(problem);
  EXPECT_EQ(solution.chosen.mesh.tp, 1);
  problem.given.tp = 2;
  EXPECT_EQ(errorOf(problem), "no mesh is possible");
}

TEST(MeshChoice, HeadsBoundTp) {
  MeshProblem problem = largeModel(8);
  problem.model.heads = 2;
  EXPECT_LE(solve(problem).chosen.mesh.tp, 2);
  problem.model.heads = 0;
  EXPECT_EQ(solve(problem).chosen.mesh.tp, 1);
}

TEST(MeshChoice, CopiesOfExpertsAreWeighedWhenAskedFor) {
  MeshProblem problem = smallModel(4);
  for (const MeshCandidate &other : solve(problem).others)
    EXPECT_EQ(other.mesh.dp, 1);
  // Without exchanges a small model is fastest.
  problem.weighsCopies = true;
  EXPECT_EQ(solve(problem).chosen.mesh.dp, 4);
}

TEST(MeshChoice, SmallGainsDoNotMoveTheMesh) {
  MeshProblem problem = smallModel(4);
  problem.weighsCopies = true;
  problem.margin = 0.25;
  problem.leastGain = 1; // a second
  EXPECT_EQ(solve(problem).chosen.mesh, (MeshDegrees{1, 4, 1}));
}

TEST(MeshChoice, GivenDegreesStay) {
  MeshProblem problem = largeModel(8);
  problem.given = {2, 0, 2};
  EXPECT_EQ(solve(problem).chosen.mesh, (MeshDegrees{2, 2, 2}));
}

TEST(MeshChoice, FewerExpertsThanRanksAreSlicedOrReplicated) {
  MeshProblem problem = smallModel(32);
  problem.model.heads = 0;
  EXPECT_EQ(solve(problem).chosen.forms[0].experts, ExpertForm::Slice);
  problem.reduceExact = true;
  EXPECT_EQ(solve(problem).chosen.forms[0].experts, ExpertForm::Replicate);
}

TEST(MeshChoice, GivenFormsStay) {
  MeshProblem problem = smallModel(4);
  problem.forms.layers[3].experts = ExpertForm::Slice;
  MeshSolution solution = solve(problem);
  EXPECT_EQ(solution.chosen.forms[3].experts, ExpertForm::Slice);
  EXPECT_EQ(solution.chosen.forms[2].experts, ExpertForm::Spread);
  problem.forms.layers[3].exchange = Exchange::Coordinated;
  EXPECT_GT(solve(problem).chosen.mesh.tp, 1); // it needs tp
}

TEST(MeshChoice, ManyRanksSendFewTokensThroughNodes) {
  MeshProblem problem = smallModel(64);
  problem.model.heads = 0;
  problem.cluster.nodes = 8;
  problem.cluster.devicesPerNode = 8;
  problem.nodeSize = 8;
  problem.decode = {64, 1, 512};
  LayerForm form = solve(problem).chosen.forms[0];
  // 7 + 7 messages instead of 63.
  EXPECT_TRUE(form.exchange == Exchange::Hierarchical ||
              form.small == Exchange::Hierarchical)
      << toString(form);
}

TEST(MeshChoice, MemoryRulesOutMeshes) {
  MeshProblem problem = smallModel(4);
  problem.weighsCopies = true;
  double copies = weighMesh(problem, {4, 1, 1}).memoryBytes;
  double spread = weighMesh(problem, {1, 4, 1}).memoryBytes;
  ASSERT_GT(copies, spread);
  problem.memoryBytes = (copies + spread) / 2;
  MeshSolution solution = solve(problem);
  EXPECT_LE(solution.chosen.memoryBytes, problem.memoryBytes);
  EXPECT_LT(solution.chosen.mesh.dp, 4);
}

TEST(MeshChoice, SaysWhatWouldFit) {
  MeshProblem problem = largeModel(2);
  // 8 GiB of experts and 1 GB of others need 32 ranks of 0.5 GiB.
  problem.memoryBytes = 0.5 * (1 << 30);
  Status status = chooseMesh(problem).status();
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_NE(status.message().find("no mesh of 2 ranks fits 512.0 MiB per rank"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("ranks would fit"), std::string::npos);
  problem.memoryBytes = 1;
  EXPECT_NE(errorOf(problem).find("more ranks would not help"),
            std::string::npos);
}

TEST(MeshChoice, RefusesProblemsThatMakeNoSense) {
  MeshProblem problem = smallModel(0);
  EXPECT_EQ(errorOf(problem), "0 ranks, expected between 1 and 65536");
  problem = smallModel(4);
  problem.model.layers[0].k = 17;
  EXPECT_EQ(errorOf(problem),
            "a layer of 16 experts of which a token chooses 17");
  problem = smallModel(4);
  problem.decodeShare = 2;
  EXPECT_EQ(errorOf(problem), "the share of decode is not between 0 and 1");
  problem = smallModel(4);
  problem.given = {3, 0, 0};
  EXPECT_EQ(errorOf(problem),
            "4 ranks are not a multiple of the 3 that the mesh takes");
}

TEST(MeshChoice, FindsWrongSolutions) {
  MeshProblem problem = smallModel(4);
  MeshSolution solution = solve(problem);
  MeshSolution wrong = solution;
  wrong.chosen.mesh.ep = 2;
  EXPECT_EQ(problem.verify(wrong).message(),
            "the mesh has 2 ranks, expected 4");
  wrong = solution;
  wrong.chosen.forms.pop_back();
  EXPECT_EQ(problem.verify(wrong).message(), "there are forms for 7 layers");
  wrong = solution;
  wrong.chosen.forms[0].exchange = Exchange::Coordinated;
  EXPECT_EQ(problem.verify(wrong).message(),
            "coordinated: needs a mesh with tp > 1");
  problem.memoryBytes = 1;
  EXPECT_EQ(problem.verify(solution).message().rfind("the mesh needs", 0), 0u);
}
