//===- PlanJson.h - A plan as one JSON object -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INSPECT_PLANJSON_H
#define MOE_TOOLS_MOE_INSPECT_PLANJSON_H

#include "runtime/io/Json.h"
#include "runtime/plan/PlanFile.h"

namespace moe::tools {

/// All that moe-inspect --json prints. BadPlan as of factsOfRanks.
StatusOr<nlohmann::ordered_json> planJson(const PlanFile &plan);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_INSPECT_PLANJSON_H
