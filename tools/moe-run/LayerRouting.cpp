//===- LayerRouting.cpp - Which experts the tokens of a run choose --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerRouting.h"

#include "runtime/io/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <random>

using namespace moe;
using namespace moe::tools;

StatusOr<RoutingKind> tools::parseRouting(std::string_view text) {
  RoutingKind kind;
  kind.name = text;
  if (text == "uniform")
    return kind;
  if (text == "one") {
    kind.isOne = true;
    return kind;
  }
  constexpr std::string_view kZipf = "zipf:";
  if (text.starts_with(kZipf)) {
    std::string_view digits = text.substr(kZipf.size());
    const char *end = digits.data() + digits.size();
    auto [last, error] = std::from_chars(digits.data(), end, kind.exponent);
    if (!digits.empty() && error == std::errc() && last == end &&
        kind.exponent >= 0 && kind.exponent <= 10)
      return kind;
  }
  return Status(StatusCode::Usage,
                "--routing is '" + printableUtf8(text) +
                    "', expected uniform, one, or zipf:S with S from 0 to 10");
}

namespace {

/// Draws routings in which experts are numbers without a meaning yet.
class Draws {
public:
  Draws(const RoutingKind &kind, int64_t experts, int64_t k, uint64_t seed)
      : kind(kind), experts(experts), k(k), random(seed), keys(experts),
        order(experts) {}

  /// Numbers in [0, 1).
  double unit() { return static_cast<double>(random() >> 11) * 0x1p-53; }

  /// Fisher and Yates; std::shuffle differs between libraries.
  void shuffle(std::vector<int32_t> &values) {
    for (size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[random() % i]);
  }

  /// k different experts. With noise of the right distribution added to the
  /// logarithm of each chance, the k largest sums are a draw without
  /// replacement (Gumbel).
  void token(int32_t *chosen) {
    std::iota(order.begin(), order.end(), 0);
    for (int64_t e = 0; !kind.isOne && e < experts; ++e)
      keys[e] = -kind.exponent * std::log(static_cast<double>(e + 1)) -
                std::log(-std::log(unit() + 0x1p-54));
    if (!kind.isOne)
      std::partial_sort(order.begin(), order.begin() + k, order.end(),
                        [&](int a, int b) { return keys[a] > keys[b]; });
    std::copy_n(order.begin(), k, chosen);
  }

private:
  const RoutingKind &kind;
  int64_t experts, k;
  std::mt19937_64 random;
  std::vector<double> keys;
  std::vector<int32_t> order;
};

} // namespace

/// Gives the numbers that were drawn to experts, those in front of `waiting`
/// first, and moves these to its end.
static void assignExperts(Routing &routing, std::vector<int32_t> &waiting,
                          Draws &draws) {
  std::vector<int32_t> drawn = routing.chosen;
  std::sort(drawn.begin(), drawn.end());
  drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
  size_t count = drawn.size();
  draws.shuffle(drawn);
  std::vector<int32_t> expertOf(waiting.size());
  for (size_t i = 0; i < count; ++i)
    expertOf[drawn[i]] = waiting[i];
  for (int32_t &choice : routing.chosen)
    choice = expertOf[choice];
  // A step uses experts in ascending order: the last ones are the newest.
  std::sort(waiting.begin(), waiting.begin() + count);
  routing.active.assign(waiting.begin(), waiting.begin() + count);
  std::rotate(waiting.begin(), waiting.begin() + count, waiting.end());
}

/// Logits for which a gate chooses what is chosen, and its weights.
static void makeLogits(Routing &routing, int64_t tokens, int64_t experts,
                       int64_t k, Draws &draws) {
  routing.logits.resize(tokens * experts);
  for (float &logit : routing.logits)
    logit = static_cast<float>(-1 - draws.unit());
  routing.weights.resize(tokens * k);
  for (int64_t token = 0; token < tokens; ++token) {
    float *logits = routing.logits.data() + token * experts;
    double *weights = routing.weights.data() + token * k;
    double sum = 0;
    for (int64_t i = 0; i < k; ++i) {
      // From 2 down to 1, each in a range of its own.
      double logit = 2 - (static_cast<double>(i) + draws.unit() / 2) /
                             static_cast<double>(k);
      float &place = logits[routing.chosen[token * k + i]];
      place = static_cast<float>(logit);
      weights[i] = std::exp(static_cast<double>(place));
      sum += weights[i];
    }
    for (int64_t i = 0; i < k; ++i)
      weights[i] /= sum;
  }
}

std::vector<Routing> tools::makeRoutings(const RoutingKind &kind,
                                         int64_t tokens, int64_t experts,
                                         int64_t k, size_t count,
                                         uint64_t seed) {
  Draws draws(kind, experts, k, seed);
  std::vector<int32_t> waiting(experts);
  std::iota(waiting.begin(), waiting.end(), 0);
  draws.shuffle(waiting);
  std::vector<Routing> routings(count);
  for (Routing &routing : routings) {
    routing.chosen.resize(tokens * k);
    for (int64_t token = 0; token < tokens; ++token)
      draws.token(routing.chosen.data() + token * k);
    assignExperts(routing, waiting, draws);
    makeLogits(routing, tokens, experts, k, draws);
  }
  return routings;
}
