//===- LayerSpecTest.cpp - Layers as texts, and their routing -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerSpec.h"
#include "tools/moe-run/LayerRouting.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

using namespace moe;
using namespace moe::tools;

static std::string layerError(std::string_view text) {
  StatusOr<LayerSpec> spec = parseLayer(text);
  return spec.isOk() ? "" : spec.status().message();
}

TEST(LayerSpec, HasWhatTheTextSays) {
  StatusOr<LayerSpec> spec =
      parseLayer("E=128,k=8,H=2048,I=768,act=gelu,gated");
  ASSERT_TRUE(spec.isOk()) << spec.status().message();
  EXPECT_EQ(spec->experts, 128);
  EXPECT_EQ(spec->k, 8);
  EXPECT_EQ(spec->hidden, 2048);
  EXPECT_EQ(spec->inner, 768);
  EXPECT_EQ(spec->activation, "gelu_erf");
  EXPECT_TRUE(spec->isGated);
  EXPECT_EQ(spec->operationsPerRow(), 2.0 * 3 * 2048 * 768);
}

TEST(LayerSpec, SaysWhatIsWrongWithATextAndWhatIsAllowed) {
  EXPECT_NE(layerError("E=8,k=2,H=4,I=4,gatet").find("did you mean 'gated'"),
            std::string::npos);
  EXPECT_NE(layerError("E=8,k=2,H=4").find("I is missing"), std::string::npos);
  EXPECT_NE(
      layerError("E=8,k=9,H=4,I=4").find("k is 9, expected at most E = 8"),
      std::string::npos);
  EXPECT_NE(layerError("E=8,k=2,H=4,I=4,act=silv").find("did you mean 'silu'"),
            std::string::npos);
  EXPECT_NE(layerError("E=8,E=8,k=2,H=4,I=4").find("E is given twice"),
            std::string::npos);
  EXPECT_NE(layerError("E=8,k=2,H=4,I=4,gated=1").find("takes no value"),
            std::string::npos);
  for (const char *text :
       {"", ",", "E", "E=", "E=0,k=1,H=1,I=1", "E=-1,k=1,H=1,I=1",
        "E=99999999999999999999,k=1,H=1,I=1", "E=1x,k=1,H=1,I=1",
        "E=1,k=1,H=1048577,I=1"})
    EXPECT_EQ(parseLayer(text).status().code(), StatusCode::Usage) << text;
}

TEST(LayerSpec, RefusesTypesThatDoNotGoTogether) {
  LayerSpec spec = *parseLayer("E=2,k=1,H=64,I=32");
  EXPECT_FALSE(setTypes(spec, {"f16", "int8"}).isOk());
  EXPECT_FALSE(setTypes(spec, {"f32", "float", 32, true}).isOk());
  EXPECT_FALSE(setTypes(spec, {"int8", "float", 24}).isOk());
  EXPECT_FALSE(setTypes(spec, {"int4", "int8", 16}).isOk());
  EXPECT_FALSE(setTypes(spec, {"i32"}).isOk());
}

TEST(LayerSpec, BlocksOfWholeColumnsHoldTheLongerOnes) {
  LayerSpec spec = *parseLayer("E=2,k=1,H=65,I=32");
  ASSERT_TRUE(setTypes(spec, {"int4", "int8", 0}).isOk());
  EXPECT_EQ(spec.layout, "panel16.q4x96"); // 65 rounded up to 32
}

TEST(LayerSpec, SmallLayersAreCopied) {
  LayerSpec spec = *parseLayer("E=4,k=1,H=64,I=32");
  // Two matrices of 64 * 32 f32 in 4 experts.
  EXPECT_EQ(*expertBytes(spec), 2u * 64 * 32 * 4);
  ASSERT_TRUE(setCopies(spec, 3 * 4 * 2 * 64 * 32 * 4 + 1).isOk());
  EXPECT_EQ(spec.copies, 4);
  ASSERT_TRUE(setCopies(spec, 0).isOk());
  EXPECT_EQ(spec.copies, 1);
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

TEST(LayerRouting, TextsAreChecked) {
  EXPECT_TRUE(parseRouting("uniform").isOk());
  EXPECT_TRUE(parseRouting("one")->isOne);
  EXPECT_EQ(parseRouting("zipf:0.8")->exponent, 0.8);
  for (const char *text : {"", "zipf", "zipf:", "zipf:x", "zipf:-1", "zipf:nan",
                           "zipf:11", "zipf:1x", "uniform:1"})
    EXPECT_EQ(parseRouting(text).status().code(), StatusCode::Usage) << text;
}

TEST(LayerRouting, LogitsAreLargestForTheExpertsThatAreChosen) {
  for (const Routing &routing :
       makeRoutings(*parseRouting("uniform"), 5, 12, 3, 4, 1))
    for (int token = 0; token < 5; ++token) {
      std::vector<int32_t> order(12);
      std::iota(order.begin(), order.end(), 0);
      const float *logits = routing.logits.data() + 12 * token;
      std::sort(order.begin(), order.end(),
                [&](int a, int b) { return logits[a] > logits[b]; });
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(order[i], routing.chosen[3 * token + i]);
        sum += routing.weights[3 * token + i];
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
}

TEST(LayerRouting, AllExpertsPassBeforeOneComesAgain) {
  // 4 runs of one token with 2 of 8 experts use each expert once.
  std::vector<Routing> routings =
      makeRoutings(*parseRouting("uniform"), 1, 8, 2, 8, 3);
  for (size_t begin : {0, 4}) {
    std::set<int32_t> seen;
    for (size_t run = begin; run < begin + 4; ++run)
      seen.insert(routings[run].active.begin(), routings[run].active.end());
    EXPECT_EQ(seen.size(), 8u);
  }
}

TEST(LayerRouting, OneMeansTheSameExpertsForAllTokens) {
  for (const Routing &routing :
       makeRoutings(*parseRouting("one"), 6, 8, 2, 3, 0)) {
    EXPECT_EQ(routing.active.size(), 2u);
    for (int token = 1; token < 6; ++token)
      EXPECT_EQ(routing.chosen[2 * token], routing.chosen[0]);
  }
}

TEST(LayerRouting, ZipfPrefersFewExperts) {
  auto largest = [](const char *kind) {
    std::vector<Routing> routings =
        makeRoutings(*parseRouting(kind), 1000, 16, 1, 1, 7);
    std::vector<int> counts(16);
    for (int32_t expert : routings[0].chosen)
      ++counts[expert];
    return *std::max_element(counts.begin(), counts.end());
  };
  // The first of 16 with chances 1 / i has 1 / 3.38 of all, not 1 / 16.
  EXPECT_NEAR(largest("zipf:1"), 296, 60);
  EXPECT_NEAR(largest("uniform"), 63, 35);
}
