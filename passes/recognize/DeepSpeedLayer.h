//===- DeepSpeedLayer.h - DeepSpeed's layer in its forms --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_DEEPSPEEDLAYER_H
#define MOE_PASSES_RECOGNIZE_DEEPSPEEDLAYER_H

#include "passes/recognize/DeepSpeedGate.h"
#include "passes/recognize/ExpertSlices.h"

namespace moe::pass {

/// If `op` is the last product of a layer in dense form, builds the layer and
/// gives its result to the users of `op`.
bool rewriteDenseLayer(dialect::MatmulOp op);

/// The same for the last sum of a layer in index form.
bool rewriteIndexLayer(dialect::ReduceOp op);

/// Builds gate and layer in front of `end`, whose result they replace. `tokens`
/// is [S, M].
bool buildDeepSpeedLayer(mlir::Operation *end, mlir::Value tokens,
                         const ExpertSlices &experts, const DeepSpeedGate &gate,
                         llvm::StringRef form);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_DEEPSPEEDLAYER_H
