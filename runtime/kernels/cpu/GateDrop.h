//===- GateDrop.h - Who gets a place in an expert ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The second phase of moe.gate: experts with more tokens than places drop some.
// Where ranks divide the tokens, each drops of its own what one device would
// drop of them. For that, ranks exchange no more than decides:
//
//   by position   how many tokens of each rank made choice j for expert e,
//                 [k, E] i32: they say where in an expert's queue the tokens
//                 of a rank begin
//   by score,     the expert and the score of every choice, [T, k] pairs, to
//   at random     the ranks that have tokens
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_GATEDROP_H
#define MOE_RUNTIME_KERNELS_CPU_GATEDROP_H

#include "runtime/kernels/cpu/GateConfig.h"
#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

/// A choice as other tokens see it.
struct Competitor {
  float key;
  int32_t expert; ///< -1 for a token that is not used
};

/// What the tokens of this rank chose, [T, k].
struct Choices {
  int64_t tokens = 0, experts = 0;
  float *weights = nullptr;
  int32_t *chosen = nullptr;
  /// Null where the position decides.
  Competitor *competitors = nullptr;

  void drop(int64_t choice) const {
    chosen[choice] = -1;
    weights[choice] = 0;
  }
};

/// The tokens that compete: rank r has [begins[r] * each, begins[r + 1] * each)
/// of `whole`. A rank without tokens does not know the two.
struct RowsOfRanks {
  std::span<const int64_t> begins;
  int64_t each = 0, whole = 0;
};

struct DropMemory {
  int64_t *counts; ///< [E + 1]
  // By score.
  Competitor *competitors; ///< [T, k]
  int64_t *queue;          ///< [whole, k], sorted by expert
  // Between ranks.
  Competitor *received; ///< [whole, k]
  int32_t *ownCounts;   ///< [k, E]
  int32_t *allCounts;   ///< [numRanks][k, E]
  SendBlock *send;      ///< [numRanks]
  RecvBlock *recv;      ///< [numRanks]
};

class GateDrop {
public:
  /// `isDivided`: ranks divide the tokens.
  GateDrop(const GateConfig &config, bool isDivided, int rank, int numRanks)
      : config(config), isDivided(isDivided), rank(rank), numRanks(numRanks) {}

  /// For at most `tokens` tokens of this rank.
  DropMemory cut(Scratch &scratch, int64_t tokens, int64_t experts) const;
  /// Drops choices. Collective if ranks divide the tokens.
  Status run(const Choices &choices, const RowsOfRanks &rows,
             const DropMemory &memory, StepContext &context) const;

private:
  bool isByPosition() const {
    return config.dropPolicy == DropPolicy::Choice ||
           config.dropPolicy == DropPolicy::Token;
  }
  /// The tokens of all ranks at most, if this one has `tokens`.
  int64_t wholeAtMost(int64_t tokens) const;
  Status exchangeCounts(const Choices &choices, const DropMemory &memory,
                        StepContext &context) const;
  Status exchangeCompetitors(const Choices &choices, const RowsOfRanks &rows,
                             const DropMemory &memory,
                             StepContext &context) const;
  void addCounts(const Choices &choices, const DropMemory &memory, int numFirst,
                 int64_t beginChoice, int64_t endChoice) const;
  void dropLate(const Choices &choices, const DropMemory &memory,
                int64_t capacity) const;
  void sortByExpert(const Choices &choices, const Competitor *all,
                    int64_t numAll, const DropMemory &memory) const;
  int64_t placesOf(const Competitor *all, std::span<const int64_t> queue,
                   int64_t whole, int64_t capacity) const;
  bool isBetter(const Competitor *all, int64_t a, int64_t b,
                int64_t expert) const;
  void dropWorst(const Choices &choices, const RowsOfRanks &rows,
                 const Competitor *all, const DropMemory &memory,
                 int64_t capacity) const;

  GateConfig config;
  bool isDivided;
  int rank, numRanks;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_GATEDROP_H
