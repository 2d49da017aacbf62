//===- ParallelForm.h - Decisions about a mesh in the IR --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// moe-choose-parallelism says how each layer is to run; moe-place-experts and
// moe-distribute do it. Between them stands, beside `moe.mesh`:
//
//   module      moe.node_size = 4 : i64       ranks on a node
//   experts     moe.form = {exchange = "hierarchical", experts = "slice", ..}
//
// Keys of moe.form, absent ones for the default: exchange, small ("flat",
// "hierarchical", "coordinated", "replicated"), experts ("spread", "slice",
// "replicate"), and the integers slices, small_tokens, chunks, chunk_tokens.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_PARALLELFORM_H
#define MOE_PASSES_DISTRIBUTE_PARALLELFORM_H

#include "dialect/moe/MoeDialect.h"
#include "passes/solver/ParallelSpec.h"

#include "mlir/IR/BuiltinAttributes.h"

namespace moe::pass {

using dialect::kNodeSize;
/// Dictionary on moe.experts: the form of its layer.
inline constexpr llvm::StringLiteral kForm = "moe.form";

/// The form as an attribute; null if it says nothing.
mlir::DictionaryAttr toAttribute(mlir::MLIRContext *context,
                                 const solver::LayerForm &form);
/// The form that an attribute (or null) says. Errors (Usage): unknown keys and
/// values.
StatusOr<solver::LayerForm> toLayerForm(mlir::DictionaryAttr attribute);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_PARALLELFORM_H
