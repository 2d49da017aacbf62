//===- Sampler.h - Chooses the next token -----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_SAMPLER_H
#define MOE_RUNTIME_TEXT_SAMPLER_H

#include "runtime/support/Status.h"
#include "runtime/text/Bpe.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moe {

/// xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64: the same
/// numbers for a seed on every machine.
class Random {
public:
  explicit Random(uint64_t seed);
  uint64_t next();
  /// In [0, 1), a multiple of 2^-53.
  double uniform();
  /// In [0, count), count > 0.
  uint64_t below(uint64_t count);

private:
  uint64_t state[4];
};

/// How to choose. The candidates are the topK largest logits (0: all), of
/// these the fewest whose probability reaches topP.
struct SamplingOptions {
  /// Logits are divided by it; 0 takes the largest logit.
  double temperature = 0.0;
  int64_t topK = 0;
  double topP = 1.0;
  uint64_t seed = 0;

  /// Errors (Usage) name the command-line option: a negative, infinite or NaN
  /// temperature, a negative topK, a topP outside of (0, 1].
  Status check() const;
};

/// Chooses tokens of one sequence. Of equal logits the lower id comes first;
/// NaN is never chosen.
class Sampler {
public:
  /// Sequences of one batch draw from streams of their own, so that the text
  /// of one does not depend on its neighbours.
  Sampler(const SamplingOptions &options, uint64_t stream = 0);

  /// The next token. Errors (Other): no logit is a finite number or +inf.
  StatusOr<TokenId> sample(std::span<const float> logits);

private:
  SamplingOptions options;
  Random random;
  std::vector<TokenId> candidates;
  std::vector<double> weights;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_SAMPLER_H
