//===- ParallelSpecTest.cpp - What a user asks of mesh and layers ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/ParallelSpec.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::solver;

namespace {

MeshDegrees mesh(std::string_view text, int64_t numRanks = 0) {
  StatusOr<MeshDegrees> parsed = parseMesh(text);
  EXPECT_TRUE(parsed.isOk()) << parsed.status().message();
  StatusOr<MeshDegrees> complete = completeMesh(*parsed, numRanks);
  EXPECT_TRUE(complete.isOk()) << complete.status().message();
  return *complete;
}

LayerForm form(std::string_view text, int64_t layer = 0) {
  StatusOr<LayerForms> forms = parseLayerForms(text);
  EXPECT_TRUE(forms.isOk()) << forms.status().message();
  return forms->of(layer);
}

std::string misfit(const LayerForm &form, const FormLimits &limits) {
  Status status = checkForm(form, limits);
  EXPECT_TRUE(status.isOk() || status.code() == StatusCode::Usage);
  return status.message();
}

} // namespace

TEST(ParallelSpec, MissingDegreesAreOne) {
  EXPECT_EQ(mesh("ep=4"), (MeshDegrees{1, 4, 1}));
  EXPECT_EQ(mesh("tp=2,dp=3"), (MeshDegrees{3, 1, 2}));
}

TEST(ParallelSpec, OneMissingDegreeTakesTheRanksThatAreLeft) {
  EXPECT_EQ(mesh("dp=2,tp=2", 16), (MeshDegrees{2, 4, 2}));
  EXPECT_EQ(mesh("ep=4", 16), (MeshDegrees{4, 4, 1}));
  EXPECT_EQ(mesh("dp=2,ep=4", 16), (MeshDegrees{2, 4, 2}));
}

TEST(ParallelSpec, RefusesMeshesThatDoNotFit) {
  EXPECT_EQ(completeMesh({2, 4, 2}, 8).status().message(),
            "a mesh of dp = 2, ep = 4, tp = 2 has 16 ranks, expected 8");
  EXPECT_EQ(completeMesh({3, 0, 0}, 8).status().message(),
            "8 ranks are not a multiple of the 3 that the mesh takes");
  EXPECT_EQ(completeMesh({65536, 65536, 65536}, 0).status().code(),
            StatusCode::Usage);
  for (const char *text : {"", "dp", "dp=", "dp=-1", "dp=2,", "pp=2", "dp=2x",
                           "dp=99999999999999999999", "dp=1,dp=1"})
    EXPECT_EQ(parseMesh(text).status().code(), StatusCode::Usage) << text;
}

TEST(ParallelSpec, WhatStandsForOneLayerGoesBeforeAll) {
  const char *text = "3:slice=2+hierarchical,*:coordinated+chunks=2";
  EXPECT_EQ(form(text, 3).exchange, Exchange::Hierarchical);
  EXPECT_EQ(form(text, 3).experts, ExpertForm::Slice);
  EXPECT_EQ(form(text, 3).slices, 2);
  EXPECT_EQ(form(text, 3).chunks, 2);
  EXPECT_EQ(form(text, 0).exchange, Exchange::Coordinated);
  EXPECT_FALSE(form(text, 0).experts.has_value());
}

TEST(ParallelSpec, SlicesBelongToTheWordBesideThem) {
  EXPECT_FALSE(form("*:slice=4,1:slice", 1).slices.has_value());
  EXPECT_FALSE(form("*:slice=4,1:replicate", 1).slices.has_value());
}

TEST(ParallelSpec, WritesWhatItReads) {
  const char *text = "slice=2+flat+small=hierarchical+small-tokens=64+chunks=4+"
                     "chunk-tokens=512";
  EXPECT_EQ(toString(form("*:" + std::string(text))), text);
  EXPECT_EQ(toString(LayerForm()), "default");
}

TEST(ParallelSpec, RefusesUnknownWords) {
  for (const char *text :
       {"slice", "x:slice", "-1:slice", "0:", "0:slices", "0:slice=0",
        "0:flat+flat", "0:slice+spread", "0:small=replicated", "0:chunks=0",
        "0:chunks", "0:slice,", "0:slice=2+slice=3", "0:slice,,1:slice",
        "0:flat+"})
    EXPECT_EQ(parseLayerForms(text).status().code(), StatusCode::Usage) << text;
}

TEST(ParallelSpec, RefusesLayersThatDoNotExist) {
  StatusOr<LayerForms> forms = parseLayerForms("7:slice,*:flat");
  ASSERT_TRUE(forms.isOk());
  EXPECT_TRUE(forms->checkLayers(8).isOk());
  EXPECT_EQ(forms->checkLayers(4).message(),
            "MoE layer 7 does not exist: the model has 4, counted from 0");
  EXPECT_EQ(forms->checkLayers(0).message(),
            "MoE layer 7 does not exist: the model has none");
}

TEST(ParallelSpec, RefusesContradictions) {
  FormLimits limits{{1, 6, 1}, 0, false};
  EXPECT_EQ(misfit(form("*:slice+flat"), limits), "");
  EXPECT_EQ(misfit(form("*:slice=7"), limits),
            "slice=7: there are only 6 ranks");
  EXPECT_EQ(misfit(form("*:coordinated"), limits),
            "coordinated: needs a mesh with tp > 1");
  EXPECT_EQ(misfit(form("*:hierarchical"), limits),
            "hierarchical: needs the number of ranks on a node (--node-size)");
  EXPECT_EQ(misfit(form("*:small=flat"), limits),
            "small and small-tokens need each other");
  EXPECT_EQ(misfit(form("*:chunk-tokens=4"), limits),
            "chunk-tokens: needs chunks");
  limits.nodeSize = 4;
  EXPECT_EQ(misfit(form("*:small=hierarchical+small-tokens=8"), limits),
            "hierarchical: nodes of 4 ranks do not divide 6 ranks");
  limits.reduceExact = true;
  EXPECT_EQ(misfit(form("*:slice"), limits),
            "slice: sums of an expert are not split over ranks with "
            "--reduce=exact");
}
