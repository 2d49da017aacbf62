//===- GateTest.cpp - gate, dispatch, combine and golden layers -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The golden data are gating functions and layers of DeepSpeed, executed.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/GateConfig.h"
#include "test/cts/kernels/KernelRunner.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <set>

using namespace moe;
using namespace moe::test;
using Json = nlohmann::json;

namespace {

const Json &golden() {
  static const Json data = [] {
    std::ifstream file(MOE_SOURCE_DIR "/test/golden/deepspeed_moe_golden.json");
    return Json::parse(file);
  }();
  return data;
}

void flatten(const Json &from, std::vector<float> &to) {
  if (!from.is_array()) {
    to.push_back(from.get<float>());
    return;
  }
  for (const Json &each : from)
    flatten(each, to);
}

/// A tensor of nested lists.
Tensor tensorOf(const Json &json) {
  std::vector<int64_t> dims;
  for (const Json *at = &json; at->is_array(); at = &at->front())
    dims.push_back(static_cast<int64_t>(at->size()));
  std::vector<float> values;
  flatten(json, values);
  return Tensor::f32(dims, values);
}

struct Routes {
  Tensor weights, experts;
  int64_t k;
  int expert(int64_t token, int64_t j) const {
    return static_cast<int>(experts.at(token * k + j));
  }
};

/// The attributes of DeepSpeed's gate for k choices.
struct Policy {
  int64_t k = 1;
  std::string drop = "none";
  double capacityFactor = 1;
  int64_t minCapacity = 0;

  static Policy of(int64_t k, bool drops, const std::string &ranking,
                   double factor, int64_t minCapacity) {
    Policy policy{k, "none", factor, minCapacity};
    if (drops)
      policy.drop = k < 3 && ranking.empty() ? "choice"
                    : ranking == "position"  ? "token"
                                             : "probs";
    return policy;
  }
};

class Gate : public KernelTest {
protected:
  Routes route(const Tensor &logits, const Policy &policy) {
    int64_t tokens = logits.view.dims[0];
    Routes routes{Tensor::zeros(DType::F32, {tokens, policy.k}),
                  Tensor::zeros(DType::I32, {tokens, policy.k}), policy.k};
    runner.step("gate")
        .with("k", policy.k)
        .with("drop_policy", policy.drop.c_str())
        .with("capacity_factor", policy.capacityFactor)
        .with("min_capacity", policy.minCapacity);
    if (policy.k > 1)
      runner.with("normalize", "sum_max")
          .with("normalize_eps", 1.1920929e-07)
          .with("normalize_after_drop", 1);
    runner.run({&logits}, {&routes.weights, &routes.experts});
    return routes;
  }
  struct Dispatched {
    Tensor rows, counts, slots;
  };
  Dispatched dispatch(const Tensor &x, const Tensor &experts, int64_t E) {
    int64_t choices = experts.size();
    Dispatched d{Tensor::zeros(x.view.dtype, {choices, x.view.dims[1]}),
                 Tensor::zeros(DType::I32, {E}), experts};
    runner.step("dispatch").with("num_experts", E).learning({choices});
    runner.run({&x, &experts}, {&d.rows, &d.counts, &d.slots});
    return d;
  }
};

/// The slot of every choice inside its expert, as DeepSpeed numbers them: k = 2
/// in its own gate lets second choices queue behind all first ones, counted
/// before dropping; otherwise survivors are numbered in token order.
std::vector<int> slotsOf(const Routes &kept, const Routes &all, bool isQueue,
                         int64_t numExperts) {
  int64_t tokens = kept.experts.view.dims[0];
  std::vector<int> slots(tokens * kept.k, -1), next(numExperts, 0);
  auto number = [&](int64_t token, int64_t j) {
    int64_t i = token * kept.k + j;
    int expert = isQueue ? all.expert(token, j) : kept.expert(token, j);
    if (expert < 0)
      return;
    int slot = next[expert]++;
    if (kept.expert(token, j) >= 0)
      slots[i] = slot;
  };
  if (isQueue) {
    for (int64_t j = 0; j < kept.k; ++j)
      for (int64_t token = 0; token < tokens; ++token)
        number(token, j);
  } else {
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t j = 0; j < kept.k; ++j)
        number(token, j);
  }
  return slots;
}

TEST_P(Gate, GoldenGatings) {
  ASSERT_EQ(golden()["gating"].size(), 100u);
  int index = 0;
  for (const Json &item : golden()["gating"]) {
    SCOPED_TRACE("case " + std::to_string(index++));
    const Json &args = item["args"];
    std::string function = item["fn"];
    int64_t k = function == "top1"   ? 1
                : function == "top2" ? 2
                                     : args["k"].get<int64_t>();
    bool drops = args["drop"];
    std::string ranking = args.value("policy", "");
    Policy policy =
        Policy::of(k, drops, ranking, args["cf"], args["min_capacity"]);
    Tensor logits = tensorOf(item["logits"]);
    int64_t tokens = item["S"], numExperts = item["E"];
    Routes kept = route(logits, policy);
    Routes all = route(logits, {k, "none", 1, 0});

    std::vector<int64_t> counts(numExperts, 0);
    for (int64_t i = 0; i < all.experts.size(); ++i)
      ++counts[static_cast<int64_t>(all.experts.at(i))];
    EXPECT_EQ(counts, item["exp_counts"].get<std::vector<int64_t>>());

    cpu::GateConfig config;
    config.k = k;
    config.capacityFactor = policy.capacityFactor;
    config.minCapacity = policy.minCapacity;
    int64_t capacity = drops ? config.capacity(tokens, numExperts)
                             : *std::max_element(counts.begin(), counts.end());
    EXPECT_EQ(capacity, item["capacity"].get<int64_t>());

    std::vector<int> slots = slotsOf(kept, all, function == "top2", numExperts);
    std::set<std::tuple<int64_t, int, int>> expected, found;
    std::map<std::pair<int64_t, int>, double> weights;
    for (const Json &r : item["routes"]) {
      int64_t token = r[0].get<int64_t>();
      int expert = r[1].get<int>();
      expected.emplace(token, expert, r[2].get<int>());
      weights[{token, expert}] = r[3].get<double>();
    }
    for (int64_t i = 0; i < kept.experts.size(); ++i) {
      if (slots[i] < 0) {
        EXPECT_EQ(kept.weights.at(i), 0);
        continue;
      }
      int expert = static_cast<int>(kept.experts.at(i));
      found.insert({i / k, expert, slots[i]});
      EXPECT_NEAR(kept.weights.at(i), (weights[{i / k, expert}]), 1e-6);
    }
    EXPECT_EQ(found, expected);
  }
}

TEST_P(Gate, GoldenLayers) {
  ASSERT_EQ(golden()["layers"].size(), 6u);
  for (const Json &layer : golden()["layers"]) {
    const Json &params = layer["params"];
    int64_t k = layer["k"], E = layer["E"], H = layer["H"], F = layer["F"];
    ASSERT_EQ(layer["act"], "gelu_erf");
    Tensor x = tensorOf(layer["x"]);
    int64_t tokens = x.size() / H;
    x.view = Tensor::zeros(DType::F32, {tokens, H}).view;
    x.view.data = x.bytes.data();
    auto linear = [&](const Tensor &in, const std::string &name, int64_t n) {
      Tensor w = tensorOf(params[name + ".weight"]);
      Tensor bias = params.contains(name + ".bias")
                        ? tensorOf(params[name + ".bias"])
                        : Tensor::absent();
      Tensor y = Tensor::zeros(DType::F32, {tokens, n});
      runner.step("matmul").with("transpose_rhs", 1);
      runner.run({&in, &w, &bias}, {&y});
      return y;
    };
    // One weight of all experts, transposed to [in, out].
    auto stacked = [&](const std::string &suffix, std::vector<int64_t> dims) {
      Tensor result = Tensor::zeros(DType::F32, dims);
      int64_t each = result.size() / E;
      for (int64_t e = 0; e < E; ++e) {
        Tensor w = tensorOf(params["deepspeed_moe.experts.deepspeed_experts." +
                                   std::to_string(e) + suffix]);
        for (int64_t i = 0; i < each; ++i) {
          int64_t rows = w.view.rank == 2 ? w.view.dims[0] : 1;
          result.set(e * each + i, w.at(i % rows * (each / rows) + i / rows));
        }
      }
      return result;
    };
    Tensor w1 = stacked(".a.weight", {E, H, F}).packed();
    Tensor w2 = stacked(".b.weight", {E, F, H}).packed();
    Tensor bias1 = Tensor::zeros(DType::F32, {E, F});
    Tensor bias2 = Tensor::zeros(DType::F32, {E, H});
    for (int64_t e = 0; e < E; ++e) {
      std::string prefix =
          "deepspeed_moe.experts.deepspeed_experts." + std::to_string(e);
      Tensor a = tensorOf(params[prefix + ".a.bias"]);
      Tensor b = tensorOf(params[prefix + ".b.bias"]);
      for (int64_t i = 0; i < F; ++i)
        bias1.set(e * F + i, a.at(i));
      for (int64_t i = 0; i < H; ++i)
        bias2.set(e * H + i, b.at(i));
    }

    Tensor logits = linear(x, "deepspeed_moe.gate.wg", E);
    Policy policy = Policy::of(k, layer["drop"], "", layer["eval_cf"],
                               layer["min_capacity"]);
    Routes routes = route(logits, policy);
    Dispatched d = dispatch(x, routes.experts, E);
    Tensor rows = d.rows;
    runner.step("experts").with("activation", "gelu_erf");
    runner.run({&d.rows, &d.counts, &w1, &bias1, &w2, &bias2}, {&rows});
    Tensor y = Tensor::zeros(DType::F32, {tokens, H});
    runner.step("combine").run({&rows, &d.slots, &routes.weights}, {&y});
    if (layer["residual"]) {
      Tensor hidden = linear(x, "mlp.a", F), act = hidden;
      runner.step("unary").with("kind", "gelu_erf").run({&hidden}, {&act});
      Tensor dense = linear(act, "mlp.b", H);
      Tensor gate = linear(x, "coefficient", 2), mixed = y;
      runner.step("mix").with("kind", "residual");
      runner.run({&y, &dense, &gate}, {&mixed});
      y = mixed;
    }
    expectClose(y, tensorOf(layer["y"]), 1e-5, 2e-6);
  }
}

TEST(GateConfig, CapacityIsComputedInF32) {
  // 100 / 2 * 1.1 is 55 in f32 and 55.00000000000001 in f64.
  cpu::GateConfig config;
  config.capacityFactor = 1.1;
  EXPECT_EQ(config.capacity(100, 2), 55);
  config.minCapacity = 60;
  EXPECT_EQ(config.capacity(100, 2), 60);
  config.capacityFactor = 1e300;
  EXPECT_GT(config.capacity(100, 2), 100);
}

TEST_P(Gate, DropsByProbabilityAndByPosition) {
  // The worked example of docs/semantics.md: C = 2.
  Tensor logits =
      Tensor::f32({4, 4}, {.11f, .2f, .1f, .3f, .3f, .4f, .11f, .1f, //
                           .11f, .1f, .6f, .5f, .1f, .11f, .7f, .8f});
  using Set = std::set<std::pair<int64_t, int>>;
  auto keptBy = [&](const char *policy) {
    Routes routes = route(logits, {2, policy, 1, 1});
    Set kept;
    for (int64_t i = 0; i < 8; ++i)
      if (routes.experts.at(i) >= 0)
        kept.insert({i / 2, static_cast<int>(routes.experts.at(i))});
    return kept;
  };
  EXPECT_EQ(keptBy("probs"),
            (Set{{0, 1}, {1, 0}, {1, 1}, {2, 2}, {2, 3}, {3, 2}, {3, 3}}));
  EXPECT_EQ(keptBy("token"),
            (Set{{0, 1}, {0, 3}, {1, 0}, {1, 1}, {2, 2}, {2, 3}, {3, 2}}));
}

TEST_P(Gate, TiesGoToTheLowerIndex) {
  Tensor logits = Tensor::f32({1, 6}, {1, 3, 3, 2, 3, 2});
  Routes routes = route(logits, {4, "none", 1, 0});
  EXPECT_EQ(routes.experts.values<int32_t>(),
            (std::vector<int32_t>{1, 2, 4, 3}));
}

TEST_P(Gate, RandomSelectionKeepsCapacityAndFollowsTheSeed) {
  Tensor logits = Tensor::random(DType::F32, {64, 4}, rng);
  auto keptBy = [&](int64_t seed) {
    Tensor w = Tensor::zeros(DType::F32, {64, 1});
    Tensor e = Tensor::zeros(DType::I32, {64, 1});
    runner.step("gate").with("k", 1).with("drop_policy", "random");
    runner.with("capacity_factor", 0.5).with("random_seed", seed);
    runner.run({&logits}, {&w, &e});
    return e.values<int32_t>();
  };
  std::vector<int32_t> kept = keptBy(1);
  EXPECT_EQ(kept, keptBy(1));
  EXPECT_NE(kept, keptBy(2));
  Routes all = route(logits, {1, "none", 1, 0});
  for (int expert = 0; expert < 4; ++expert) {
    // Those that stay have the largest numbers.
    std::vector<std::pair<uint64_t, bool>> order;
    for (int64_t t = 0; t < 64; ++t)
      if (all.expert(t, 0) == expert)
        order.push_back(
            {cpu::randomTokenPriority(1, t, expert), kept[t] == expert});
    std::sort(order.rbegin(), order.rend());
    for (size_t i = 0; i < order.size(); ++i)
      EXPECT_EQ(order[i].second, i < 8);
  }
}

TEST_P(Gate, UnusedTokensTakeNoPlace) {
  Tensor logits = Tensor::f32({4, 2}, {1, 0, 1, 0, 1, 0, 1, 0});
  Tensor used = Tensor::of<uint8_t>(DType::Bool, {4}, {0, 1, 1, 1});
  Tensor absent = Tensor::absent();
  Tensor w = Tensor::zeros(DType::F32, {4, 1});
  Tensor e = Tensor::zeros(DType::I32, {4, 1});
  runner.step("gate").with("k", 1).with("drop_policy", "choice");
  runner.run({&logits, &absent, &absent, &absent, &used}, {&w, &e});
  EXPECT_EQ(e.values<int32_t>(), (std::vector<int32_t>{-1, 0, 0, -1}));
  EXPECT_EQ(w.at(0), 0);
}

//===----------------------------------------------------------------------===//
// Router families against a plain reference
//===----------------------------------------------------------------------===//

std::vector<double> softmax(std::vector<double> x) {
  double largest = *std::max_element(x.begin(), x.end()), sum = 0;
  for (double &v : x)
    sum += v = std::exp(v - largest);
  for (double &v : x)
    v /= sum;
  return x;
}

TEST_P(Gate, DeepSeekV3) {
  // sigmoid, bias, groups by the sum of the best two, normalised and scaled.
  constexpr int64_t T = 33, E = 16, k = 4;
  Tensor logits = Tensor::random(DType::F32, {T, E}, rng);
  Tensor bias = Tensor::random(DType::F32, {E}, rng, 0.3f);
  Tensor w = Tensor::zeros(DType::F32, {T, k});
  Tensor e = Tensor::zeros(DType::I32, {T, k});
  runner.step("gate").with("k", k).with("score", "sigmoid");
  runner.with("num_groups", 4).with("topk_groups", 2);
  runner.with("group_score", "top2_sum").with("normalize", "sum_plus");
  runner.with("normalize_eps", 1e-20).with("scale", 2.5);
  runner.run({&logits, &bias}, {&w, &e});
  for (int64_t t = 0; t < T; ++t) {
    std::vector<double> score(E), selection(E), groups(4);
    for (int64_t i = 0; i < E; ++i) {
      score[i] = 1 / (1 + std::exp(-logits.at(t * E + i)));
      selection[i] = score[i] + bias.at(i);
    }
    for (int64_t g = 0; g < 4; ++g) {
      std::vector<double> members(selection.begin() + 4 * g,
                                  selection.begin() + 4 * g + 4);
      std::sort(members.rbegin(), members.rend());
      groups[g] = members[0] + members[1];
    }
    std::vector<double> sorted = groups;
    std::sort(sorted.rbegin(), sorted.rend());
    for (int64_t i = 0; i < E; ++i)
      if (groups[i / 4] < sorted[1])
        selection[i] = -INFINITY;
    double sum = 0;
    std::vector<int64_t> best;
    for (int64_t j = 0; j < k; ++j) {
      int64_t at = std::max_element(selection.begin(), selection.end()) -
                   selection.begin();
      selection[at] = -INFINITY;
      best.push_back(at);
      sum += score[at];
    }
    for (int64_t j = 0; j < k; ++j) {
      EXPECT_EQ(e.at(t * k + j), best[j]);
      EXPECT_NEAR(w.at(t * k + j), 2.5 * score[best[j]] / sum, 1e-6);
    }
  }
}

TEST_P(Gate, GroupsFilledWithZero) {
  // DeepSeek-V2: the group score is the largest member, others become 0.
  Tensor logits = Tensor::f32({1, 4}, {3, -9, 2, 1});
  Tensor w = Tensor::zeros(DType::F32, {1, 3});
  Tensor e = Tensor::zeros(DType::I32, {1, 3});
  runner.step("gate").with("k", 3).with("num_groups", 2);
  runner.with("topk_groups", 1)
      .with("group_fill_zero", 1)
      .run({&logits}, {&w, &e});
  // Softmax of -9 is positive, so expert 1 is better than the filled ones.
  EXPECT_EQ(e.values<int32_t>(), (std::vector<int32_t>{0, 1, 2}));
}

TEST_P(Gate, WeightsOfTheChosenAndOfOtherScores) {
  constexpr int64_t T = 5, E = 8, k = 3;
  Tensor logits = Tensor::random(DType::F16, {T, E}, rng);
  Tensor mix = Tensor::random(DType::F32, {T, E}, rng);
  Tensor scale = Tensor::random(DType::F32, {E}, rng);
  Tensor absent = Tensor::absent();
  Tensor w = Tensor::zeros(DType::F32, {T, k});
  Tensor e = Tensor::zeros(DType::I32, {T, k});
  auto chosen = [&](const Tensor &from, int64_t t) {
    std::vector<double> result;
    for (int64_t j = 0; j < k; ++j)
      result.push_back(from.at(t * E + static_cast<int64_t>(e.at(t * k + j))));
    return result;
  };
  runner.step("gate").with("k", k).with("score", "logits");
  runner.with("mix_weight", "softmax_topk").run({&logits}, {&w, &e});
  for (int64_t t = 0; t < T; ++t)
    for (int64_t j = 0; j < k; ++j)
      EXPECT_NEAR(w.at(t * k + j), softmax(chosen(logits, t))[j], 1e-6);
  runner.step("gate").with("k", k).with("score", "logits");
  runner.with("mix_weight", "sigmoid_logit").run({&logits}, {&w, &e});
  for (int64_t t = 0; t < T; ++t)
    for (int64_t j = 0; j < k; ++j)
      EXPECT_NEAR(w.at(t * k + j), 1 / (1 + std::exp(-chosen(logits, t)[j])),
                  1e-6);
  runner.step("gate").with("k", k).run({&logits, &absent, &scale, &mix},
                                       {&w, &e});
  for (int64_t t = 0; t < T; ++t)
    for (int64_t j = 0; j < k; ++j)
      EXPECT_NEAR(w.at(t * k + j),
                  chosen(mix, t)[j] *
                      scale.at(static_cast<int64_t>(e.at(t * k + j))),
                  1e-6);
}

TEST_P(Gate, SparseMixer) {
  constexpr int64_t T = 40, E = 6;
  Tensor logits = Tensor::random(DType::F32, {T, E}, rng, 0.05f);
  Tensor w = Tensor::zeros(DType::F32, {T, 2});
  Tensor e = Tensor::zeros(DType::I32, {T, 2});
  runner.step("gate").with("k", 2).with("score", "sparse_mixer");
  runner.with("jitter_eps", 0.2).run({&logits}, {&w, &e});
  for (int64_t t = 0; t < T; ++t) {
    std::vector<double> left(E);
    for (int64_t i = 0; i < E; ++i)
      left[i] = logits.at(t * E + i);
    for (int64_t j = 0; j < 2; ++j) {
      int64_t best = std::max_element(left.begin(), left.end()) - left.begin();
      double top = left[best];
      std::vector<double> masked = left;
      for (int64_t i = 0; i < E; ++i) {
        double s = logits.at(t * E + i);
        if (top - s > 0.4 * std::fmax(std::fabs(s), top))
          masked[i] = -INFINITY;
      }
      EXPECT_EQ(e.at(t * 2 + j), best);
      EXPECT_NEAR(w.at(t * 2 + j), softmax(masked)[best], 1e-6);
      left[best] = -INFINITY;
    }
  }
}

//===----------------------------------------------------------------------===//
// dispatch, combine
//===----------------------------------------------------------------------===//

TEST_P(Gate, DispatchSortsByExpertThenToken) {
  Tensor x = Tensor::random(DType::F32, {4, 3}, rng);
  Tensor experts = Tensor::i32({4, 2}, {2, 0, -1, 2, 0, -1, 2, 1});
  Dispatched d = dispatch(x, experts, 4);
  EXPECT_EQ(runner.dataSizes, (std::vector<int64_t>{6}));
  EXPECT_EQ(d.counts.values<int32_t>(), (std::vector<int32_t>{2, 1, 3, 0}));
  EXPECT_EQ(d.slots.values<int32_t>(),
            (std::vector<int32_t>{3, 0, -1, 4, 1, -1, 5, 2}));
  for (int64_t i = 0; i < 8; ++i) {
    auto slot = static_cast<int64_t>(d.slots.at(i));
    for (int64_t m = 0; slot >= 0 && m < 3; ++m)
      EXPECT_EQ(d.rows.at(slot * 3 + m), x.at(i / 2 * 3 + m));
  }
}

TEST_P(Gate, DispatchScalesRows) {
  for (DType dtype : {DType::F32, DType::BF16}) {
    Tensor x = Tensor::random(dtype, {2, 5}, rng);
    Tensor experts = Tensor::i32({2, 1}, {1, 0});
    Tensor weights = Tensor::f32({2, 1}, {0.5f, 2});
    Tensor rows = Tensor::zeros(dtype, {2, 5});
    Tensor counts = Tensor::zeros(DType::I32, {2}), slots = experts;
    runner.step("dispatch").with("num_experts", 2);
    runner.run({&x, &experts, &weights}, {&rows, &counts, &slots});
    for (int64_t m = 0; m < 5; ++m) {
      EXPECT_EQ(rows.at(m), 2 * x.at(5 + m));
      EXPECT_EQ(rows.at(5 + m), 0.5 * x.at(m));
    }
  }
}

TEST_P(Gate, CombineAddsInTheOrderOfTheChoices) {
  for (DType dtype : {DType::F32, DType::F16}) {
    Tensor rows = Tensor::random(dtype, {7, 50}, rng);
    Tensor slots = Tensor::i32({3, 2}, {6, 1, -1, 2, -1, -1});
    Tensor weights = Tensor::random(DType::F32, {3, 2}, rng);
    Tensor y = Tensor::zeros(dtype, {3, 50}), expected = y;
    runner.step("combine").run({&rows, &slots, &weights}, {&y});
    for (int64_t i = 0; i < 150; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < 2; ++j) {
        auto slot = static_cast<int64_t>(slots.at(i / 50 * 2 + j));
        if (slot >= 0)
          sum += weights.at(i / 50 * 2 + j) * rows.at(slot * 50 + i % 50);
      }
      expected.set(i, sum);
    }
    double tolerance = dtype == DType::F32 ? 1e-6 : 1e-3;
    expectClose(y, expected, tolerance, tolerance);
    Tensor bad = Tensor::i32({3, 2}, {7, 1, -1, 2, -1, -1});
    EXPECT_EQ(runner.step("combine").tryRun({&rows, &bad}, {&y}).message(),
              "combine: slot 7 is not a row of [7, 50]");
  }
}

TEST_P(Gate, NoTokens) {
  Routes routes = route(Tensor::zeros(DType::F32, {0, 4}), {2, "probs", 1, 0});
  Dispatched d = dispatch(Tensor::zeros(DType::F32, {0, 8}), routes.experts, 4);
  EXPECT_EQ(d.counts.values<int32_t>(), (std::vector<int32_t>{0, 0, 0, 0}));
  Tensor y = Tensor::zeros(DType::F32, {0, 8});
  runner.step("combine").run({&d.rows, &d.slots, &routes.weights}, {&y});
}

MOE_ON_ALL_MACHINES(Gate);

} // namespace
