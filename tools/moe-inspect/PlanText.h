//===- PlanText.h - A plan for the eye --------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INSPECT_PLANTEXT_H
#define MOE_TOOLS_MOE_INSPECT_PLANTEXT_H

#include "runtime/plan/PlanFile.h"

#include <string>

namespace moe::tools {

/// Tables of layers, placement, ranks, ports, caches, exchanges and steps.
StatusOr<std::string> planText(const PlanFile &plan);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_INSPECT_PLANTEXT_H
