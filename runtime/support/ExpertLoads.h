//===- ExpertLoads.h - How often experts were chosen ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the placement of experts by load reads: of each MoE layer, how many rows
// each expert was given in small runs (decode steps) and in large ones
// (prefill), and which experts the same token chose. Ranks record what they
// dispatch, each for itself; the sums are those of all tokens.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_EXPERTLOADS_H
#define MOE_RUNTIME_SUPPORT_EXPERTLOADS_H

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace moe {

/// Counts of one MoE layer.
struct ExpertLoads {
  /// A run in which a rank dispatches at most this many tokens is small.
  static constexpr int64_t kSmallTokens = 64;
  /// Layers of more experts have no pairs: they would take E * E counters.
  static constexpr int64_t kMaxPairedExperts = 1024;

  struct Phase {
    int64_t runs = 0;
    std::vector<int64_t> rows; ///< [E]
    bool operator==(const Phase &) const = default;
  };

  ExpertLoads() = default;
  explicit ExpertLoads(int64_t numExperts)
      : small{0, std::vector<int64_t>(numExperts)}, large{0,
                                                          std::vector<int64_t>(
                                                              numExperts)},
        pairs(numExperts <= kMaxPairedExperts ? numExperts * numExperts : 0) {}

  int64_t numExperts() const { return static_cast<int64_t>(small.rows.size()); }
  /// Tokens that chose both a and b, a < b.
  int64_t &pair(int64_t a, int64_t b) { return pairs[a * numExperts() + b]; }
  int64_t pair(int64_t a, int64_t b) const {
    return pairs[a * numExperts() + b];
  }

  /// Adds one dispatch: `choices` [T, k], the experts of T tokens, -1 where one
  /// was dropped. Choices out of range are not counted.
  void record(std::span<const int32_t> choices, int64_t k) {
    if (k < 1)
      return;
    int64_t tokens = static_cast<int64_t>(choices.size()) / k;
    Phase &phase = tokens <= kSmallTokens ? small : large;
    ++phase.runs;
    auto isExpert = [&](int32_t e) { return e >= 0 && e < numExperts(); };
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t i = 0; i < k; ++i) {
        int32_t a = choices[t * k + i];
        if (!isExpert(a))
          continue;
        ++phase.rows[a];
        for (int64_t j = 0; j < i && !pairs.empty(); ++j)
          if (int32_t b = choices[t * k + j]; isExpert(b) && a != b)
            ++pair(std::min(a, b), std::max(a, b));
      }
  }

  /// Adds what another rank recorded in the same runs, for the same experts.
  void addRank(const ExpertLoads &other) {
    auto add = [](std::vector<int64_t> &to, const std::vector<int64_t> &from) {
      for (size_t i = 0; i < to.size() && i < from.size(); ++i)
        to[i] += from[i];
    };
    for (auto [to, from] :
         {std::pair(&small, &other.small), std::pair(&large, &other.large)}) {
      add(to->rows, from->rows);
      to->runs = std::max(to->runs, from->runs);
    }
    add(pairs, other.pairs);
  }

  bool operator==(const ExpertLoads &) const = default;

  Phase small, large;
  std::vector<int64_t> pairs; ///< [E, E], above the diagonal; or empty
};

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_EXPERTLOADS_H
