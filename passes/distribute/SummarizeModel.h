//===- SummarizeModel.h - What a mesh has to carry --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_SUMMARIZEMODEL_H
#define MOE_PASSES_DISTRIBUTE_SUMMARIZEMODEL_H

#include "dialect/moe/MoeOps.h"
#include "passes/solver/MeshChoice.h"

#include "mlir/IR/BuiltinOps.h"

namespace moe::pass {

/// The numbers of a recognized model that the choice of a mesh needs; layers in
/// the order of the graph.
solver::ModelSummary summarizeModel(mlir::ModuleOp module);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_SUMMARIZEMODEL_H
