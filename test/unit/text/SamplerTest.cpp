//===- SamplerTest.cpp - Chooses the next token ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

using namespace moe;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

static TokenId sample(Sampler &sampler, std::vector<float> logits) {
  StatusOr<TokenId> id = sampler.sample(logits);
  EXPECT_TRUE(id.isOk()) << id.status().message();
  return id.isOk() ? *id : -1;
}

static std::map<TokenId, int> histogram(SamplingOptions options,
                                        std::vector<float> logits, int draws) {
  Sampler sampler(options);
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i)
    ++counts[sample(sampler, logits)];
  return counts;
}

TEST(RandomTest, IsTheReferenceGenerator) {
  // xoshiro256** on the first four numbers of splitmix64(0), which are
  // e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f, f88bb8a8724c81ec.
  Random random(0);
  EXPECT_EQ(random.next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(random.next(), 0xbf6e1f784956452au);
}

TEST(RandomTest, NumbersAreInRange) {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    double u = random.uniform();
    EXPECT_TRUE(u >= 0 && u < 1);
    EXPECT_LT(random.below(3), 3u);
  }
}

TEST(SamplerTest, GreedyTakesTheFirstLargest) {
  Sampler sampler(SamplingOptions{});
  EXPECT_EQ(sample(sampler, {1, 3, 3, 2}), 1);
  EXPECT_EQ(sample(sampler, {kNaN, -5, kNaN}), 1);
  EXPECT_EQ(sample(sampler, {1, kInf, 2}), 1);
}

TEST(SamplerTest, RefusesLogitsWithoutAChoice) {
  Sampler sampler(SamplingOptions{.temperature = 1});
  for (std::vector<float> logits :
       {std::vector<float>{}, {kNaN, kNaN}, {-kInf}})
    EXPECT_FALSE(sampler.sample(logits).isOk());
}

TEST(SamplerTest, FollowsTheProbabilities) {
  // p = 0.5, 0.25, 0.25 of 10000 draws; 5 sigma is 250.
  float ln2 = std::log(2.0f);
  auto counts = histogram({.temperature = 1}, {ln2, 0, -kInf, 0}, 10000);
  EXPECT_NEAR(counts[0], 5000, 250);
  EXPECT_NEAR(counts[1], 2500, 250);
  EXPECT_NEAR(counts[3], 2500, 250);
  EXPECT_EQ(counts[2], 0);
  // Temperature 0.5 squares the ratios: 4 : 1 : 1.
  EXPECT_NEAR(histogram({.temperature = 0.5}, {ln2, 0, 0}, 6000)[0], 4000, 200);
}

TEST(SamplerTest, TopKKeepsTheLargest) {
  auto counts = histogram({.temperature = 10, .topK = 2}, {1, 4, 2, 4}, 1000);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_GT(counts[1], 0);
  EXPECT_GT(counts[3], 0);
  // Of equals the lower ids.
  counts = histogram({.temperature = 1, .topK = 2}, {0, 0, 0}, 100);
  EXPECT_EQ(counts[2], 0);
}

TEST(SamplerTest, TopPKeepsTheFewestThatReachIt) {
  // p = 4/7, 2/7, 1/7: the first two have 6/7.
  float ln2 = std::log(2.0f);
  std::vector<float> logits = {0, ln2, 2 * ln2};
  auto counts = histogram({.temperature = 1, .topP = 0.8}, logits, 1000);
  EXPECT_EQ(counts[0], 0);
  EXPECT_GT(counts[1], 0);
  counts = histogram({.temperature = 1, .topP = 1e-9}, logits, 100);
  EXPECT_EQ(counts[2], 100);
}

TEST(SamplerTest, SeedAndStreamDecide) {
  auto draw = [](uint64_t seed, uint64_t stream) {
    Sampler sampler({.temperature = 1, .seed = seed}, stream);
    std::vector<TokenId> ids;
    for (int i = 0; i < 32; ++i)
      ids.push_back(sample(sampler, std::vector<float>(100, 0.0f)));
    return ids;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

TEST(SamplerTest, ChecksOptions) {
  EXPECT_TRUE(SamplingOptions{}.check().isOk());
  for (double bad : {-1.0, double(kNaN), double(kInf)})
    EXPECT_EQ(SamplingOptions{.temperature = bad}.check().code(),
              StatusCode::Usage);
  for (double bad : {0.0, -0.5, 1.5, double(kNaN)})
    EXPECT_NE(SamplingOptions{.topP = bad}.check().message().find("--top-p"),
              std::string::npos);
  EXPECT_FALSE(SamplingOptions{.topK = -1}.check().isOk());
}
