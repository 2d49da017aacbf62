//===- GateMatch.h - Routers in tensor arithmetic ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_GATEMATCH_H
#define MOE_PASSES_RECOGNIZE_GATEMATCH_H

#include "dialect/moe/MoeOps.h"

#include "mlir/IR/Builders.h"

namespace moe::pass {

/// The attributes of a moe.gate.
struct GateAttrs {
  int64_t k = 1;
  dialect::RouterScore score = dialect::RouterScore::Softmax;
  dialect::MixWeight mixWeight = dialect::MixWeight::Score;
  dialect::Normalize normalize = dialect::Normalize::None;
  double normalizeEps = 0;
  double scale = 1;
  int64_t numGroups = 1, topkGroups = 1;
  dialect::GroupScore groupScore = dialect::GroupScore::Max;
  bool groupFillZero = false;
  double jitterEps = 0.01;
  dialect::DropPolicy dropPolicy = dialect::DropPolicy::None;
  float capacityFactor = 1;
  int64_t minCapacity = 0;
  bool normalizeAfterDrop = false;
};

/// Fails without a diagnostic if the dialect cannot express it. `bias`,
/// `expertScale` and `usedToken` may be null.
mlir::FailureOr<dialect::GateOp>
buildGate(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value logits,
          mlir::Value bias, mlir::Value expertScale, mlir::Value usedToken,
          const GateAttrs &attrs);

struct GateMatch {
  /// [.., E].
  mlir::Value logits;
  /// The logits themselves, or their softmax or sigmoid.
  mlir::Value scores;
  /// [E] with dimensions of 1 around it, or null.
  mlir::Value selectionBias;
  dialect::ParamOp expertScale;
  /// Experts outside the chosen groups have a score that is not theirs.
  bool fillsWithZero = false;
  GateAttrs attrs;
};

/// Backwards: what `topK` selects from.
bool matchSelection(dialect::TopKOp topK, GateMatch &gate);

/// Forwards from the scores of the chosen: the last value that is still a
/// weight of moe.gate; null if `start` is none.
mlir::Value matchWeights(mlir::Value start, dialect::TopKOp topK,
                         GateMatch &gate);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_GATEMATCH_H
