//===- LayerInfo.h - What a plan says about an MoE layer --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_LAYERINFO_H
#define MOE_PASSES_LOWER_LAYERINFO_H

#include "dialect/moe/MoeOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

#include <string>

namespace moe::pass {

/// One layer: moe.experts and what belongs to it. Where its tokens are split
/// into chunks there is one moe.experts for each, over the same weights.
struct LayerInfo {
  /// The first.
  dialect::ExpertsOp experts;
  int64_t numExperts = 0;
  int64_t k = 0;
  /// "softmax top-2, normalized", or "written out" where no moe.gate is there.
  std::string router = "written out";
  /// "none", or "factor 1, at least 4, drops by token order".
  std::string capacity = "none";
  bool residual = false;
  bool shared = false;
  /// Gate, dispatch, exchange, experts, combine, mix.
  llvm::SetVector<mlir::Operation *> operations;
};

/// The layers below `root` in the order of the program.
llvm::SmallVector<LayerInfo> collectLayers(mlir::Operation *root);

/// The names of ONNX nodes in `loc`, each once, in order.
void collectNodeNames(mlir::Location loc,
                      llvm::SetVector<mlir::StringAttr> &names);

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_LAYERINFO_H
