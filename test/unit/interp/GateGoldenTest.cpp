//===- GateGoldenTest.cpp - The gate against DeepSpeed --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every case of test/golden/deepspeed_moe_golden.json, recorded by running
// DeepSpeed's gating functions: capacity, and each token, expert, slot and
// weight.
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Gate.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <fstream>
#include <map>
#include <tuple>

using namespace moe::dialect;
using namespace moe::interp;

namespace {

nlohmann::json readGolden() {
  std::ifstream file(MOE_SOURCE_DIR "/test/golden/deepspeed_moe_golden.json");
  return nlohmann::json::parse(file);
}

/// How DeepSpeed's functions are spelled as attributes of moe.gate.
GateConfig configOf(const nlohmann::json &golden) {
  const nlohmann::json &args = golden["args"];
  std::string function = golden["fn"];
  GateConfig config;
  config.k = function == "top1" ? 1 : function == "top2" ? 2 : int(args["k"]);
  config.capacityFactor = args["cf"];
  config.minCapacity = args["min_capacity"];
  if (function != "top1") {
    config.normalize = Normalize::SumMax;
    config.normalizeEps = 1.1920929e-07f;
    config.normalizeAfterDrop = true;
  }
  if (!args["drop"].get<bool>())
    return config;
  if (function != "topk")
    config.dropPolicy = DropPolicy::Choice;
  else
    config.dropPolicy =
        args["policy"] == "probs" ? DropPolicy::Probs : DropPolicy::Token;
  return config;
}

GateInputs inputsOf(const nlohmann::json &golden) {
  GateInputs inputs;
  inputs.numTokens = golden["S"];
  inputs.numExperts = golden["E"];
  for (const auto &row : golden["logits"])
    for (float logit : row)
      inputs.logits.push_back(logit);
  return inputs;
}

/// (token, expert) -> (slot, weight). Second choices of top2 queue behind all
/// first choices; otherwise slots are in token order.
using Routes = std::map<std::pair<int, int>, std::pair<int, float>>;

Routes routesOf(const GateOutputs &outputs, const GateInputs &inputs, int64_t k,
                bool queuesByChoice) {
  Routes routes;
  std::vector<int> taken(inputs.numExperts, 0);
  auto add = [&](int64_t token, int64_t choice) {
    int32_t expert = outputs.experts[token * k + choice];
    if (expert >= 0)
      routes[{token, expert}] = {taken[expert]++,
                                 outputs.weights[token * k + choice]};
  };
  if (queuesByChoice)
    for (int64_t j = 0; j < k; ++j)
      for (int64_t token = 0; token < inputs.numTokens; ++token)
        add(token, j);
  else
    for (int64_t token = 0; token < inputs.numTokens; ++token)
      for (int64_t j = 0; j < k; ++j)
        add(token, j);
  return routes;
}

TEST(GateGolden, RoutesAsDeepSpeed) {
  nlohmann::json golden = readGolden();
  ASSERT_EQ(golden["gating"].size(), 100u);
  for (size_t i = 0; i < golden["gating"].size(); ++i) {
    const nlohmann::json &entry = golden["gating"][i];
    SCOPED_TRACE("case " + std::to_string(i) + " " + entry["args"].dump());
    GateConfig config = configOf(entry);
    GateInputs inputs = inputsOf(entry);
    if (config.dropPolicy != DropPolicy::None) {
      EXPECT_EQ(gateCapacity(config, inputs.numTokens, inputs.numExperts),
                entry["capacity"].get<int64_t>());
    }
    Routes routes = routesOf(evaluateGate(config, inputs), inputs, config.k,
                             entry["fn"] == "top2");
    EXPECT_EQ(routes.size(), entry["routes"].size());
    for (const auto &route : entry["routes"]) {
      auto found = routes.find({route[0], route[1]});
      ASSERT_NE(found, routes.end()) << route;
      EXPECT_EQ(found->second.first, route[2].get<int>()) << route;
      EXPECT_NEAR(found->second.second, route[3].get<float>(), 1e-6) << route;
    }
  }
}

// The worked example of docs: k = 2 by the algorithm for k >= 3, factor 1.
// C = ceil(f32(4 / 4) * f32(1 * 2)) = 2.
TEST(GateGolden, RanksByProbabilityOrPosition) {
  GateConfig config;
  config.k = 2;
  config.minCapacity = 1;
  GateInputs inputs;
  inputs.numTokens = inputs.numExperts = 4;
  inputs.logits = {.11f, .2f, .1f, .3f, .3f, .4f,  .11f, .1f,
                   .11f, .1f, .6f, .5f, .1f, .11f, .7f,  .8f};
  using Kept = std::vector<std::pair<int, int>>;
  auto kept = [&](DropPolicy policy) {
    config.dropPolicy = policy;
    Kept pairs;
    for (auto &[pair, route] :
         routesOf(evaluateGate(config, inputs), inputs, 2, false))
      pairs.push_back(pair);
    return pairs;
  };
  EXPECT_EQ(kept(DropPolicy::Probs),
            (Kept{{0, 1}, {1, 0}, {1, 1}, {2, 2}, {2, 3}, {3, 2}, {3, 3}}));
  EXPECT_EQ(kept(DropPolicy::Token),
            (Kept{{0, 1}, {0, 3}, {1, 0}, {1, 1}, {2, 2}, {2, 3}, {3, 2}}));
}

// Tokens that did not choose an expert compete for its places with 0.
TEST(GateGolden, NegativeLogitsLoseToNobody) {
  GateConfig config;
  config.dropPolicy = DropPolicy::Logits;
  config.minCapacity = 1;
  config.capacityFactor = 0.5f;
  GateInputs inputs;
  inputs.numTokens = 2;
  inputs.numExperts = 2;
  // C = max(1, ceil(1 * 0.5)) = 1; token 1 takes the place of expert 0 with 0.
  inputs.logits = {-1.0f, -2.0f, -2.0f, -1.0f};
  GateOutputs outputs = evaluateGate(config, inputs);
  EXPECT_EQ(outputs.experts, (std::vector<int32_t>{-1, -1}));
}

TEST(GateGolden, UnusedTokensTakeNoPlace) {
  GateConfig config;
  config.dropPolicy = DropPolicy::Token;
  config.capacityFactor = 1.0f;
  GateInputs inputs;
  inputs.numTokens = 2;
  inputs.numExperts = 2;
  inputs.logits = {1.0f, 0.0f, 1.0f, 0.0f};
  inputs.usedToken = {false, true};
  GateOutputs outputs = evaluateGate(config, inputs);
  EXPECT_EQ(outputs.experts, (std::vector<int32_t>{-1, 0}));
  EXPECT_EQ(outputs.weights[0], 0.0f);
}

} // namespace
