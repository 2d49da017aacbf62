//===- SyntheticInputs.h - Inputs made from a plan's signature --*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an input holds follows from what the plan does with it:
//
//   floats                       normal, mean 0, deviation 1
//   integers that index a table  uniform below its size (token ids)
//   "...position_ids"            past, past + 1, ... along the last dimension
//   "...mask", other integers    1; bool: true
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_SYNTHETICINPUTS_H
#define MOE_TOOLS_MOE_RUN_SYNTHETICINPUTS_H

#include "moe/Session.h"
#include "runtime/io/HostTensor.h"
#include "tools/common/CommandLine.h"

#include <vector>

namespace moe::tools {

/// Values for all symbols of a model's inputs: those given, else 0 for the
/// length of a cache and 4 (or the model's maximum) for others, changed where
/// the plan's constraints demand it. Errors: Usage for unknown names and for
/// values that contradict a constraint.
StatusOr<NamedNumbers>
completeShape(const Model &model, std::string_view option, NamedNumbers given);

/// The length that caches have before a run of this shape; 0 without caches.
int64_t pastLength(const Model &model, const NamedNumbers &shape);
/// The symbol that is the length of the caches; empty if there is none.
std::string pastSymbol(const Model &model);

/// Inputs of this shape; without `withStates` those of caches are left out.
StatusOr<std::vector<HostTensor>> makeInputs(const Model &model,
                                             const NamedNumbers &shape,
                                             uint64_t seed, bool withStates);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_SYNTHETICINPUTS_H
