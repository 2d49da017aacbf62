//===- Shapes.h - Values for the symbols of a plan --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_SHAPES_H
#define MOE_RUNTIME_COST_SHAPES_H

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/DimExpr.h"
#include "runtime/support/Status.h"

#include <map>
#include <string>
#include <string_view>

namespace moe::cost {

/// The symbol that is the length of the caches; empty if there is none.
std::string pastSymbol(const plan::ProgramT &program);
/// The symbol whose value ranks divide; empty if there is none.
std::string batchSymbol(const plan::ProgramT &program);

/// Values for all symbols of the inputs: those given, else 0 for the length of
/// caches and `size` (or the model's maximum) for others, changed where the
/// plan's constraints demand it. Errors (Usage), naming `option`: unknown
/// names, negative values, and values that contradict a constraint.
StatusOr<std::map<std::string, int64_t>>
completeShape(const plan::ProgramT &program, std::string_view option,
              std::map<std::string, int64_t> given, int64_t size = 4);

/// What is predicted when nobody names a shape.
struct TypicalShapes {
  /// One new token for each of as many rows as there are ranks, behind 512.
  std::map<std::string, int64_t> decode;
  /// 128 new tokens for each of as many rows.
  std::map<std::string, int64_t> prefill;
};
StatusOr<TypicalShapes> typicalShapes(const plan::ProgramT &program);

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_SHAPES_H
