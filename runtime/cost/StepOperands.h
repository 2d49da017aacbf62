//===- StepOperands.h - Look-ups in a step of a plan ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_STEPOPERANDS_H
#define MOE_RUNTIME_COST_STEPOPERANDS_H

#include "runtime/plan/Plan_generated.h"

#include <string_view>

namespace moe::cost {

/// The attribute, or null if the step has none of this name.
inline const plan::AttributeT *findAttribute(const plan::StepT &step,
                                             std::string_view name) {
  for (const auto &attribute : step.attributes)
    if (attribute->name == name)
      return attribute.get();
  return nullptr;
}

/// The buffer of an operand, or -1 if it is absent.
inline int inputOf(const plan::StepT &step, size_t index) {
  return index < step.inputs.size() ? step.inputs[index] : -1;
}

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_STEPOPERANDS_H
