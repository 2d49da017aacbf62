//===- FfnMatch.h - Find FFNs in tensor arithmetic --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An FFN is two products with an activation between, gated or not:
//
//   y = act(x W1 + b1) W2 + b2        y = (act(x W1 + b1) * (x W3 + b3)) W2 +
//   b2
//
// The same arithmetic means a dense FFN, one expert of a layer, or all experts
// at once, by where the weights come from: a parameter of rank 2, a parameter
// [E, ..] whose matrices multiply the batches of a product, or the rows of such
// a parameter gathered by the experts that each token chose. All forms are
// matched here; what they mean is the question of the passes.
//
// Values are compared as matrices [rows, features] in row-major order, so that
// reshapes which keep the features together never matter.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_FFNMATCH_H
#define MOE_PASSES_RECOGNIZE_FFNMATCH_H

#include "passes/recognize/LinearMatch.h"

#include "llvm/ADT/SetVector.h"

#include <cmath>
#include <optional>

namespace moe::pass {

struct FfnMatch {
  mlir::Value input;
  WeightRef w1, b1, w2, b2, w3, b3;
  dialect::Activation activation = dialect::Activation::Identity;
  dialect::Gating gating = dialect::Gating::None;
  /// Concatenated gating with the linear part in front: [l.. | g..].
  bool isLinearFirst = false;
  double alpha = 1, beta = 0, limit = INFINITY;
  llvm::SetVector<mlir::Operation *> ops;

  /// True if both differ in nothing but their weights.
  bool hasFormOf(const FfnMatch &other) const;
};
/// Matches an FFN whose result is `value`; its weights are all of one kind and
/// gathered by the same experts.
std::optional<FfnMatch> matchFfn(mlir::Value value);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_FFNMATCH_H
