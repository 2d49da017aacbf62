//===- Gate.cpp - The meaning of moe.gate ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Gate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace moe::dialect;

namespace moe::interp {

static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

static float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

/// The softmax over all of `x`.
static std::vector<float> softmax(const std::vector<float> &x) {
  float largest = *std::max_element(x.begin(), x.end());
  std::vector<float> result;
  float sum = 0.0f;
  for (float value : x) {
    result.push_back(std::exp(value - largest));
    sum += result.back();
  }
  for (float &value : result)
    value /= sum;
  return result;
}

/// The indices of the `k` largest values, ties to the lower index.
static std::vector<int32_t> largest(const std::vector<float> &values,
                                    int64_t k) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return values[a] > values[b]; });
  order.resize(k);
  return order;
}

int64_t gateCapacity(const GateConfig &config, int64_t numTokens,
                     int64_t numExperts) {
  float perExpert = static_cast<float>(numTokens) / numExperts;
  float factor = static_cast<float>(double(config.capacityFactor) * config.k);
  auto capacity = static_cast<int64_t>(std::ceil(perExpert * factor));
  return std::max(config.minCapacity, capacity);
}

uint64_t randomTokenPriority(uint64_t seed, int64_t token, int64_t expert) {
  // splitmix64 of the three, one after the other.
  uint64_t state = seed;
  for (uint64_t word : {uint64_t(token), uint64_t(expert)}) {
    state += word + 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    state ^= state >> 31;
  }
  return state;
}

namespace {
/// One token's choices.
struct Choice {
  int32_t expert = -1;
  float weight = 0.0f;
};

/// The state of one evaluation.
class Gate {
public:
  Gate(const GateConfig &config, const GateInputs &inputs)
      : config(config), inputs(inputs),
        choices(inputs.numTokens, std::vector<Choice>(config.k)) {}

  GateOutputs run();

private:
  std::vector<float> rowOf(const std::vector<float> &matrix,
                           int64_t token) const {
    auto begin = matrix.begin() + token * inputs.numExperts;
    return {begin, begin + inputs.numExperts};
  }
  bool isUsed(int64_t token) const {
    return inputs.usedToken.empty() || inputs.usedToken[token];
  }
  std::vector<float> scoreOf(const std::vector<float> &logits) const;
  void limitGroups(std::vector<float> &selection) const;
  void choose(int64_t token);
  void mixSparsely(int64_t token);
  void drop();
  void keepFirst(int64_t capacity);
  void keepBest(int64_t capacity);
  double priorityOf(int64_t token, int32_t expert, bool isChosen) const;
  void normalize(std::vector<Choice> &row) const;

  const GateConfig &config;
  const GateInputs &inputs;
  std::vector<std::vector<Choice>> choices;
};
} // namespace

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

std::vector<float> Gate::scoreOf(const std::vector<float> &logits) const {
  if (config.score == RouterScore::Softmax)
    return softmax(logits);
  std::vector<float> score = logits;
  if (config.score == RouterScore::Sigmoid)
    for (float &value : score)
      value = sigmoid(value);
  return score;
}

/// The selection of experts outside of the best groups becomes minus infinity.
void Gate::limitGroups(std::vector<float> &selection) const {
  int64_t size = inputs.numExperts / config.numGroups;
  std::vector<float> scores;
  for (int64_t group = 0; group < config.numGroups; ++group) {
    auto begin = selection.begin() + group * size;
    std::vector<float> members(begin, begin + size);
    bool sumsTwo = config.groupScore == GroupScore::Top2Sum && size > 1;
    float score = 0.0f;
    for (int32_t i : largest(members, sumsTwo ? 2 : 1))
      score += members[i];
    scores.push_back(score);
  }
  std::vector<bool> stays(config.numGroups, false);
  for (int32_t group : largest(scores, config.topkGroups))
    stays[group] = true;
  for (int64_t e = 0; e < inputs.numExperts; ++e)
    if (!stays[e / size])
      selection[e] = config.groupFillZero ? 0.0f : kMinusInfinity;
}

/// The two choices of the sparse mixer (PhiMoE).
void Gate::mixSparsely(int64_t token) {
  std::vector<float> logits = rowOf(inputs.logits, token);
  std::vector<float> left = logits;
  for (Choice &choice : choices[token]) {
    int32_t best = largest(left, 1)[0];
    float top = left[best];
    std::vector<float> masked = left;
    for (size_t e = 0; e < masked.size(); ++e)
      if (top - logits[e] >
          2.0f * config.jitterEps * std::max(std::fabs(logits[e]), top))
        masked[e] = kMinusInfinity;
    choice = {best, softmax(masked)[best]};
    left[best] = kMinusInfinity;
  }
}

void Gate::choose(int64_t token) {
  std::vector<float> logits = rowOf(inputs.logits, token);
  std::vector<float> score = scoreOf(logits), selection = score;
  for (size_t e = 0; e < inputs.selectionBias.size(); ++e)
    selection[e] += inputs.selectionBias[e];
  if (config.numGroups > 1)
    limitGroups(selection);
  std::vector<int32_t> chosen = largest(selection, config.k);
  bool mixesScore = config.mixWeight == MixWeight::Score;
  std::vector<float> base = mixesScore ? score : logits;
  if (!inputs.mixScores.empty())
    base = rowOf(inputs.mixScores, token);
  std::vector<float> weights;
  for (int32_t e : chosen)
    weights.push_back(base[e]);
  if (config.mixWeight == MixWeight::SoftmaxTopk)
    weights = softmax(weights);
  for (int64_t j = 0; j < config.k; ++j) {
    float weight = config.mixWeight == MixWeight::SigmoidLogit
                       ? sigmoid(weights[j])
                       : weights[j];
    choices[token][j] = {chosen[j], weight};
  }
}

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

/// Places go in order: by choice, then token, or by token, then choice.
void Gate::keepFirst(int64_t capacity) {
  std::vector<int64_t> taken(inputs.numExperts, 0);
  auto place = [&](Choice &choice) {
    if (choice.expert >= 0 && taken[choice.expert]++ >= capacity)
      choice = Choice();
  };
  if (config.dropPolicy == DropPolicy::Choice) {
    for (int64_t j = 0; j < config.k; ++j)
      for (std::vector<Choice> &row : choices)
        place(row[j]);
    return;
  }
  for (std::vector<Choice> &row : choices)
    for (Choice &choice : row)
      place(choice);
}

/// What token competes with for a place in an expert, which it chose or not.
double Gate::priorityOf(int64_t token, int32_t expert, bool isChosen) const {
  std::vector<float> logits = rowOf(inputs.logits, token);
  switch (config.dropPolicy) {
  case DropPolicy::Random:
    return static_cast<double>(
        randomTokenPriority(config.randomSeed, token, expert) >> 11);
  case DropPolicy::Probs:
    return softmax(logits)[expert];
  default:
    // By logits, tokens that did not choose the expert compete with 0.
    return isChosen ? logits[expert] : 0.0;
  }
}

/// Places go to the best tokens of each expert.
void Gate::keepBest(int64_t capacity) {
  struct Competitor {
    double priority;
    Choice *choice;
  };
  for (int32_t expert = 0; expert < inputs.numExperts; ++expert) {
    std::vector<Competitor> queue;
    for (int64_t token = 0; token < inputs.numTokens; ++token) {
      std::vector<Choice> &row = choices[token];
      auto found =
          std::find_if(row.begin(), row.end(), [&](const Choice &choice) {
            return choice.expert == expert;
          });
      bool isChosen = found != row.end();
      if (isChosen || config.dropPolicy == DropPolicy::Logits)
        queue.push_back({priorityOf(token, expert, isChosen),
                         isChosen ? &*found : nullptr});
    }
    std::stable_sort(queue.begin(), queue.end(),
                     [](const Competitor &a, const Competitor &b) {
                       return a.priority > b.priority;
                     });
    for (size_t i = capacity; i < queue.size(); ++i)
      if (queue[i].choice)
        *queue[i].choice = Choice();
  }
}

void Gate::drop() {
  int64_t capacity = gateCapacity(config, inputs.numTokens, inputs.numExperts);
  if (config.dropPolicy == DropPolicy::Choice ||
      config.dropPolicy == DropPolicy::Token)
    keepFirst(capacity);
  else
    keepBest(capacity);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void Gate::normalize(std::vector<Choice> &row) const {
  if (config.normalize == Normalize::None)
    return;
  float sum = 0.0f;
  for (const Choice &choice : row)
    sum += choice.weight;
  float divisor = config.normalize == Normalize::SumPlus
                      ? sum + config.normalizeEps
                      : std::max(sum, config.normalizeEps);
  for (Choice &choice : row)
    choice.weight /= divisor;
}

GateOutputs Gate::run() {
  for (int64_t token = 0; token < inputs.numTokens; ++token) {
    if (!isUsed(token))
      continue;
    if (config.score == RouterScore::SparseMixer)
      mixSparsely(token);
    else
      choose(token);
  }
  auto normalizeAll = [&] {
    for (int64_t token = 0; token < inputs.numTokens; ++token)
      if (isUsed(token))
        normalize(choices[token]);
  };
  if (!config.normalizeAfterDrop)
    normalizeAll();
  if (config.dropPolicy != DropPolicy::None)
    drop();
  if (config.normalizeAfterDrop)
    normalizeAll();
  GateOutputs outputs;
  for (const std::vector<Choice> &row : choices) {
    for (const Choice &choice : row) {
      float weight = choice.weight * config.scale;
      if (choice.expert >= 0 && !inputs.expertScale.empty())
        weight *= inputs.expertScale[choice.expert];
      outputs.experts.push_back(choice.expert);
      outputs.weights.push_back(choice.expert < 0 ? 0.0f : weight);
    }
  }
  return outputs;
}

GateOutputs evaluateGate(const GateConfig &config, const GateInputs &inputs) {
  return Gate(config, inputs).run();
}

} // namespace moe::interp
