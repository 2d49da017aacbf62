//===- WeightsText.h - The report about weights -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_WEIGHTSTEXT_H
#define MOE_TOOLS_MOE_OPT_WEIGHTSTEXT_H

#include "passes/quantize/WeightReport.h"
#include "runtime/io/Json.h"

namespace moe::tool {

/// How the weights of products are stored, and what that costs: a table with a
/// line for each weight; nothing if there are none.
std::string weightsText(const std::vector<pass::ProductRow> &products);
/// The same as a JSON array.
nlohmann::ordered_json
weightsJson(const std::vector<pass::ProductRow> &products);

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_WEIGHTSTEXT_H
