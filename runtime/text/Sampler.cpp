//===- Sampler.cpp - Chooses the next token -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

using namespace moe;

static uint64_t splitMix(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

Random::Random(uint64_t seed) {
  for (uint64_t &word : state)
    word = splitMix(seed);
}

uint64_t Random::next() {
  uint64_t result = std::rotl(state[1] * 5, 7) * 9;
  uint64_t shifted = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = std::rotl(state[3], 45);
  return result;
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

uint64_t Random::below(uint64_t count) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(next()) * count >>
                               64);
}

Status SamplingOptions::check() const {
  auto bad = [](const char *option, const std::string &found,
                const char *expected) {
    return Status(StatusCode::Usage, std::string(option) + " is " + found +
                                         ", expected " + expected);
  };
  if (!(temperature >= 0) || std::isinf(temperature))
    return bad("--temperature", std::to_string(temperature),
               "a number >= 0 (0: always the most likely token)");
  if (topK < 0)
    return bad("--top-k", std::to_string(topK), "a number >= 0 (0: all)");
  if (!(topP > 0) || topP > 1)
    return bad("--top-p", std::to_string(topP), "0 < p <= 1");
  return Status::ok();
}

Sampler::Sampler(const SamplingOptions &options, uint64_t stream)
    : options(options),
      random(options.seed ^ std::rotl(stream * 0x9e3779b97f4a7c15, 32)) {}

StatusOr<TokenId> Sampler::sample(std::span<const float> logits) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  TokenId best = -1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > (best < 0 ? kNever : logits[best]))
      best = static_cast<TokenId>(i);
  if (best < 0)
    return Status(StatusCode::Other,
                  "all logits of a token are NaN or -infinity");
  if (options.temperature == 0 || std::isinf(logits[best]))
    return best;

  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > kNever)
      candidates.push_back(static_cast<TokenId>(i));
  bool isSorted = options.topK > 0 || options.topP < 1;
  auto isBefore = [&](TokenId a, TokenId b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  if (isSorted) {
    size_t kept = candidates.size();
    if (options.topK > 0)
      kept = std::min<uint64_t>(kept, options.topK);
    std::partial_sort(candidates.begin(), candidates.begin() + kept,
                      candidates.end(), isBefore);
    candidates.resize(kept);
  }
  weights.clear();
  double total = 0;
  for (TokenId id : candidates) {
    weights.push_back(std::exp((double(logits[id]) - double(logits[best])) /
                               options.temperature));
    total += weights.back();
  }
  if (options.topP < 1) {
    double mass = 0, wanted = options.topP * total;
    size_t kept = 0;
    while (kept < weights.size() && mass < wanted)
      mass += weights[kept++];
    candidates.resize(kept);
    total = mass;
  }
  double draw = random.uniform() * total;
  for (size_t i = 0; i + 1 < candidates.size(); ++i) {
    draw -= weights[i];
    if (draw < 0)
      return candidates[i];
  }
  return candidates.back();
}
