//===- Gate.h - The meaning of moe.gate -------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The routing of all tokens of a batch, in f32 as moe.gate defines it; free of
// IR, so that it can be compared with golden data of other systems.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_GATE_H
#define MOE_DIALECT_INTERP_GATE_H

#include "dialect/moe/MoeAttrs.h"

#include <cstdint>
#include <vector>

namespace moe::interp {

/// The attributes of moe.gate.
struct GateConfig {
  int64_t k = 1;
  dialect::RouterScore score = dialect::RouterScore::Softmax;
  dialect::MixWeight mixWeight = dialect::MixWeight::Score;
  dialect::Normalize normalize = dialect::Normalize::None;
  float normalizeEps = 0.0f;
  float scale = 1.0f;
  int64_t numGroups = 1, topkGroups = 1;
  dialect::GroupScore groupScore = dialect::GroupScore::Max;
  bool groupFillZero = false;
  float jitterEps = 0.01f;
  dialect::DropPolicy dropPolicy = dialect::DropPolicy::None;
  float capacityFactor = 1.0f;
  int64_t minCapacity = 0;
  bool normalizeAfterDrop = false;
  uint64_t randomSeed = 0;
};

/// Row-major operands; those that are absent are empty.
struct GateInputs {
  int64_t numTokens = 0, numExperts = 0;
  std::vector<float> logits;        // [T, E]
  std::vector<float> selectionBias; // [E]
  std::vector<float> expertScale;   // [E]
  std::vector<float> mixScores;     // [T, E]
  std::vector<bool> usedToken;      // [T]
};

/// Row-major [T, k]: -1 and 0 for a choice that was dropped.
struct GateOutputs {
  std::vector<float> weights;
  std::vector<int32_t> experts;
};

/// max(min_capacity, ceil(f32(T / E) * f32(capacity_factor * k))), in f32.
int64_t gateCapacity(const GateConfig &config, int64_t numTokens,
                     int64_t numExperts);

/// Of an expert that overflows, the tokens with the largest numbers stay.
uint64_t randomTokenPriority(uint64_t seed, int64_t token, int64_t expert);

GateOutputs evaluateGate(const GateConfig &config, const GateInputs &inputs);

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_GATE_H
