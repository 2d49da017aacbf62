//===- GateConfig.h - The attributes of moe.gate ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_GATECONFIG_H
#define MOE_RUNTIME_KERNELS_CPU_GATECONFIG_H

#include "runtime/support/Status.h"

#include <cstdint>

namespace moe {
class StepAttributes;
}

namespace moe::cpu {

enum class RouterScore : uint8_t { Softmax, Sigmoid, Logits, SparseMixer };
enum class GroupScore : uint8_t { Max, Top2Sum };
enum class MixWeight : uint8_t { Score, SoftmaxTopk, SigmoidLogit };
enum class Normalize : uint8_t { None, SumPlus, SumMax };
enum class DropPolicy : uint8_t { None, Choice, Token, Probs, Logits, Random };

struct GateConfig {
  int64_t k = 1;
  RouterScore score = RouterScore::Softmax;
  MixWeight mixWeight = MixWeight::Score;
  Normalize normalize = Normalize::None;
  float normalizeEps = 0;
  float scale = 1;
  int64_t numGroups = 1, topkGroups = 1;
  GroupScore groupScore = GroupScore::Max;
  bool groupFillZero = false;
  float jitterEps = 0.01f;
  DropPolicy dropPolicy = DropPolicy::None;
  double capacityFactor = 1;
  int64_t minCapacity = 0;
  bool normalizeAfterDrop = false;
  uint64_t randomSeed = 0;

  static StatusOr<GateConfig> parse(StepAttributes &attributes);
  /// max(min_capacity, ceil(f32(T / E) * f32(capacity_factor * k))), in f32.
  int64_t capacity(int64_t numTokens, int64_t numExperts) const;
};

/// Random token selection: of an expert that overflows, the tokens with the
/// largest numbers stay. The token counts over the whole batch, so the choice
/// does not depend on how ranks divide it.
uint64_t randomTokenPriority(uint64_t seed, int64_t token, int64_t expert);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_GATECONFIG_H
