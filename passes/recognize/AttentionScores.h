//===- AttentionScores.h - From probabilities to q k^T ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_ATTENTIONSCORES_H
#define MOE_PASSES_RECOGNIZE_ATTENTIONSCORES_H

#include "dialect/moe/MoeOps.h"

#include <cmath>
#include <optional>

namespace moe::pass {

/// What stands between p v and q k^T.
struct Scores {
  dialect::MatmulOp product;
  double scale = 1;
  double softcap = 0;
  /// i1, or floats that are added; null if all keys are visible.
  mlir::Value mask;
  bool isMaskInverted = false;
  double fill = -INFINITY;
};

struct Probabilities {
  dialect::SoftmaxOp softmax;
  /// A column of scores without a value, null if there is none.
  mlir::Value sink;
};

/// The softmax whose result `value` is, apart from casts, a guard against NaN,
/// and a last column that was cut off.
std::optional<Probabilities> matchProbabilities(mlir::Value value);

/// Follows `value` up to a product; `depth` bounds the search.
bool matchScores(mlir::Value value, Scores &scores, int depth = 8);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_ATTENTIONSCORES_H
