//===- PlanFacts.h - What a plan means for each rank ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INSPECT_PLANFACTS_H
#define MOE_TOOLS_MOE_INSPECT_PLANFACTS_H

#include "runtime/plan/Placement.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/Status.h"

#include <string>
#include <vector>

namespace moe::tools {

/// What one rank holds.
struct RankFacts {
  uint64_t weightBytes = 0;
  uint64_t expertWeightBytes = 0;
  /// By layer: the experts it holds, or slices of them.
  std::vector<std::vector<LocalExpert>> experts;
};

/// In time and memory that grow with the entries of the layers' places. BadPlan
/// if ranks cannot divide a weight as the plan says.
StatusOr<std::vector<RankFacts>> factsOfRanks(const plan::ProgramT &program);

/// How a layer runs on the mesh.
struct LayerFacts {
  int degree = 0; ///< ranks of the group that hold an expert
  /// The smallest and largest number over the experts.
  int fewestReplicas = 0, mostReplicas = 0;
  int fewestSlices = 0, mostSlices = 0;
  int chunks = 0; ///< parts in which its tokens travel
  /// "none", or the form of its exchange and up to how many tokens another:
  /// "hierarchical, flat up to 64 tokens".
  std::string exchange = "none";
};
std::vector<LayerFacts> factsOfLayers(const plan::ProgramT &program);

/// "rows", "tp" or "world".
std::string groupName(plan::Group group);
/// Whether it matters which group a step has.
bool hasGroup(const plan::StepT &step);

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
