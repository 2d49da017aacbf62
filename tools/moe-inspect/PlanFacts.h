//===- PlanFacts.h - What a plan means for each rank ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INSPECT_PLANFACTS_H
#define MOE_TOOLS_MOE_INSPECT_PLANFACTS_H

#include "runtime/plan/Plan_generated.h"

#include <string>
#include <vector>

namespace moe::tools {

/// What one rank holds.
struct RankFacts {
  uint64_t weightBytes = 0;
  uint64_t expertWeightBytes = 0;
  /// By layer: the experts it holds.
  std::vector<std::vector<int>> experts;
};

std::vector<RankFacts> factsOfRanks(const plan::ProgramT &program);

/// Whether a step exchanges data with other ranks.
bool isExchange(const plan::StepT &step);

std::vector<std::string> nodeNames(const plan::ProgramT &program,
                                   const std::vector<uint32_t> &nodes);
/// Texts of sizes.
std::vector<std::string> dimTexts(const plan::ProgramT &program,
                                  const std::vector<uint32_t> &exprs);

/// Bytes of all blocks of a parameter.
uint64_t bytesOf(const plan::ParamT &param);
/// "embedded", "reference" or "synthetic".
std::string sourceOf(const plan::ParamT &param);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_INSPECT_PLANFACTS_H
