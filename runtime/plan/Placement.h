//===- Placement.h - Which experts a rank holds -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PLACEMENT_H
#define MOE_RUNTIME_PLAN_PLACEMENT_H

#include <vector>

namespace moe::plan {
struct LayerT;
} // namespace moe::plan

namespace moe {

/// The experts of `layer` that `rank` holds, in ascending order: the order of
/// the blocks of its expert parameters. A layer without places is held whole.
std::vector<int> expertsOf(const plan::LayerT &layer, int rank);

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PLACEMENT_H
