//===- StepKinds.h - What kind of step a kernel's name tells ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_STEPKINDS_H
#define MOE_RUNTIME_PLAN_STEPKINDS_H

#include "runtime/plan/Plan_generated.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace moe {

/// True for kernels whose steps all talk to other ranks. All ranks of a group
/// must reach such steps in the same order.
inline bool isCollectiveKernel(std::string_view kernel) {
  static constexpr std::string_view kNames[] = {"all_gather", "all_reduce",
                                                "reduce_scatter", "all_to_all",
                                                "all_to_all_back"};
  return std::find(std::begin(kNames), std::end(kNames), kernel) !=
         std::end(kNames);
}

/// True for a kernel that talks to other ranks if its step names a part: tokens
/// of all ranks compete for the places of experts.
inline bool isCollectiveWithPart(std::string_view kernel) {
  return kernel == "gate";
}

inline bool isCollective(const plan::StepT &step) {
  auto isPart = [](const auto &attribute) { return attribute->name == "part"; };
  return isCollectiveKernel(step.kernel) ||
         (isCollectiveWithPart(step.kernel) &&
          std::any_of(step.attributes.begin(), step.attributes.end(), isPart));
}

/// True for steps that look up in their layer's placement which experts this
/// rank holds; their group is the layer's.
inline bool readsPlacement(const plan::StepT &step) {
  return step.kernel == "experts" || step.kernel == "routed_experts" ||
         step.kernel == "all_to_all" || step.kernel == "all_to_all_back";
}

/// The weights of a step of experts are six of its operands, of which those
/// that it has not are absent.
inline constexpr const char *kExpertWeights[] = {"w1", "b1", "w2",
                                                 "b2", "w3", "b3"};

/// The first of them among the operands, 0 for steps of other kernels.
inline size_t firstExpertWeight(std::string_view kernel) {
  if (kernel == "experts")
    return 2;
  return kernel == "routed_experts" ? 3 : 0;
}

/// The operand that a step which mixes rows of experts adds to the sums, the
/// last one, which may be left out; 0 for steps of other kernels.
inline size_t residualOperand(std::string_view kernel) {
  if (kernel == "combine")
    return 3;
  return kernel == "routed_experts"
             ? firstExpertWeight(kernel) + std::size(kExpertWeights)
             : 0;
}

/// The ranks in a node of an exchange that works in two stages, 0 for others.
inline int64_t nodeSizeOf(const plan::StepT &step) {
  for (const auto &attribute : step.attributes)
    if (attribute->name == "node_size" &&
        attribute->kind == plan::AttributeKind_Int)
      return attribute->i;
  return 0;
}

} // namespace moe

#endif // MOE_RUNTIME_PLAN_STEPKINDS_H
