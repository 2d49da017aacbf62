//===- GateTokens.cpp - How one token chooses its experts -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Gate.h"

#include <cmath>
#include <limits>

namespace moe::cpu {

static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

/// The indices of the k largest values in order, ties to the lower index. NaN
/// counts as minus infinity.
static void chooseLargest(const float *values, int64_t count, int64_t k,
                          int32_t *chosen) {
  auto valueOf = [&](int64_t i) {
    return values[i] != values[i] ? kMinusInfinity : values[i];
  };
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    float value = valueOf(i);
    if (found == k && !(value > valueOf(chosen[k - 1])))
      continue;
    int64_t place = found < k ? found++ : k - 1;
    for (; place > 0 && value > valueOf(chosen[place - 1]); --place)
      chosen[place] = chosen[place - 1];
    chosen[place] = static_cast<int32_t>(i);
  }
}

void GateKernel::limitGroups(float *selection, float *groups,
                             int64_t experts) const {
  int64_t size = experts / config.numGroups;
  for (int64_t g = 0; g < config.numGroups; ++g) {
    const float *members = selection + g * size;
    bool sumsTwo = config.groupScore == GroupScore::Top2Sum && size > 1;
    int32_t best[2] = {0, 0};
    chooseLargest(members, size, sumsTwo ? 2 : 1, best);
    groups[g] = members[best[0]] + (sumsTwo ? members[best[1]] : 0);
  }
  auto isBefore = [&](int64_t a, int64_t b) {
    return groups[a] > groups[b] || (groups[a] == groups[b] && a < b);
  };
  for (int64_t g = 0; g < config.numGroups; ++g) {
    int64_t better = 0;
    for (int64_t other = 0; other < config.numGroups; ++other)
      better += isBefore(other, g);
    if (better >= config.topkGroups)
      std::fill_n(selection + g * size, size,
                  config.groupFillZero ? 0.0f : kMinusInfinity);
  }
}

/// The two choices of the sparse mixer: each is the softmax over the logits
/// that are close to the largest one, the second without the first expert.
void GateKernel::mixSparsely(const Routing &routing, int64_t token,
                             const Rows &rows) const {
  const float *logits = routing.logits + token * routing.experts;
  float *left = rows.selection, *masked = rows.other;
  std::copy_n(logits, routing.experts, left);
  for (int64_t j = 0; j < config.k; ++j) {
    int32_t best = 0;
    chooseLargest(left, routing.experts, 1, &best);
    float top = left[best];
    for (int64_t e = 0; e < routing.experts; ++e) {
      bool isFar = top - logits[e] > 2.0f * config.jitterEps *
                                         std::max(std::fabs(logits[e]), top);
      masked[e] = isFar ? kMinusInfinity : left[e];
    }
    isa.softmaxRow(masked, masked, routing.experts, false);
    routing.chosen[token * config.k + j] = best;
    routing.weights[token * config.k + j] = masked[best];
    left[best] = kMinusInfinity;
  }
}

void GateKernel::setWeights(const Routing &routing, int64_t token,
                            const Rows &rows) const {
  int64_t at = token * routing.experts;
  const float *base =
      config.mixWeight == MixWeight::Score ? rows.score : routing.logits + at;
  if (routing.mixScores)
    base = routing.mixScores + at;
  const int32_t *chosen = routing.chosen + token * config.k;
  float *weights = routing.weights + token * config.k;
  for (int64_t j = 0; j < config.k; ++j)
    weights[j] = base[chosen[j]];
  if (config.mixWeight == MixWeight::SoftmaxTopk)
    isa.softmaxRow(weights, weights, config.k, false);
  if (config.mixWeight == MixWeight::SigmoidLogit)
    isa.sigmoidRow(weights, weights, config.k);
}

void GateKernel::choose(const Routing &routing, int64_t token,
                        const Rows &rows) const {
  if (config.score == RouterScore::SparseMixer)
    return mixSparsely(routing, token, rows);
  const float *logits = routing.logits + token * routing.experts;
  if (config.score == RouterScore::Softmax)
    isa.softmaxRow(logits, rows.score, routing.experts, false);
  else if (config.score == RouterScore::Sigmoid)
    isa.sigmoidRow(logits, rows.score, routing.experts);
  else
    std::copy_n(logits, routing.experts, rows.score);
  const float *selection = rows.score;
  if (routing.selectionBias || config.numGroups > 1) {
    for (int64_t e = 0; e < routing.experts; ++e)
      rows.selection[e] =
          rows.score[e] +
          (routing.selectionBias ? routing.selectionBias[e] : 0);
    if (config.numGroups > 1)
      limitGroups(rows.selection, rows.other, routing.experts);
    selection = rows.selection;
  }
  chooseLargest(selection, routing.experts, config.k,
                routing.chosen + token * config.k);
  setWeights(routing, token, rows);
}

/// What the choices of a token compete with.
void GateKernel::setKeys(const Routing &routing, int64_t token,
                         const Rows &rows) const {
  const float *logits = routing.logits + token * routing.experts;
  const float *keys = logits;
  if (config.dropPolicy == DropPolicy::Probs) {
    isa.softmaxRow(logits, rows.other, routing.experts, false);
    keys = rows.other;
  }
  for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i)
    routing.competitors[i] = {keys[routing.chosen[i]], routing.chosen[i]};
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void GateKernel::normalize(const Routing &routing, int64_t token) const {
  if (config.normalize == Normalize::None)
    return;
  float *weights = routing.weights + token * config.k;
  float sum = 0;
  for (int64_t j = 0; j < config.k; ++j)
    sum += weights[j];
  float divisor = config.normalize == Normalize::SumPlus
                      ? sum + config.normalizeEps
                      : std::max(sum, config.normalizeEps);
  for (int64_t j = 0; j < config.k; ++j)
    weights[j] /= divisor;
}

void GateKernel::finish(const Routing &routing, int64_t token) const {
  for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i) {
    int32_t expert = routing.chosen[i];
    float weight = routing.weights[i] * config.scale;
    if (expert >= 0 && routing.expertScale)
      weight *= routing.expertScale[expert];
    routing.weights[i] = expert < 0 ? 0.0f : weight;
  }
}

void GateKernel::route(const Routing &routing, int64_t token,
                       int thread) const {
  if (!routing.isUsed(token)) {
    for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i) {
      routing.drop(i);
      if (routing.competitors)
        routing.competitors[i] = {0, -1};
    }
    return;
  }
  const Rows &rows = routing.threads[thread];
  choose(routing, token, rows);
  if (routing.competitors)
    setKeys(routing, token, rows);
  if (!drops() || !config.normalizeAfterDrop)
    normalize(routing, token);
  if (!drops())
    finish(routing, token);
}

} // namespace moe::cpu
