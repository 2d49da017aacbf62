//===- ChooseParallelism.h - The meshes that were weighed -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_CHOOSEPARALLELISM_H
#define MOE_PASSES_DISTRIBUTE_CHOOSEPARALLELISM_H

#include "passes/Passes.h"
#include "passes/solver/MeshChoice.h"

namespace moe::pass {

/// The pass with a place for what it weighed, which the IR does not hold:
/// `weighed` is filled while it runs.
std::unique_ptr<mlir::Pass>
createChooseParallelismPass(const ChooseParallelismPassOptions &options,
                            solver::MeshSolution *weighed);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_CHOOSEPARALLELISM_H
