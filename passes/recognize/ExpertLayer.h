//===- ExpertLayer.h - Build a recognized layer -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every recognizer of experts ends with: one moe.dispatch, moe.experts
// and moe.combine, or one moe.ffn, and a remark that says what was found.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_EXPERTLAYER_H
#define MOE_PASSES_RECOGNIZE_EXPERTLAYER_H

#include "passes/recognize/FfnMatch.h"

#include "mlir/IR/Builders.h"

namespace moe::pass {

struct ExpertLayer {
  /// [T, M].
  mlir::Value tokens;
  /// [T, k], integers of any type.
  mlir::Value experts;
  /// [T, k], floats; null for weights of 1.
  mlir::Value weights;
  /// The weights multiply the inputs of the experts instead of their outputs.
  bool weighsInputs = false;
  /// One entry for each expert, or one whose weights hold all experts.
  llvm::SmallVector<FfnMatch> ffns;
  /// "DeepSpeed, dense form": how the layer was written, for the remark.
  llvm::StringRef form;

  int64_t numExperts() const;
};

/// The layer's result [T, N], made with `builder` inside a function; fails
/// without a diagnostic if the dialect cannot express it.
mlir::FailureOr<mlir::Value> buildExpertLayer(mlir::OpBuilder &builder,
                                              mlir::Location loc,
                                              const ExpertLayer &layer);

/// moe.ffn of a dense FFN; fails without a diagnostic if the dialect cannot
/// express it.
mlir::FailureOr<mlir::Value> buildFfn(mlir::OpBuilder &builder,
                                      mlir::Location loc, const FfnMatch &ffn);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_EXPERTLAYER_H
