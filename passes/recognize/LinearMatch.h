//===- LinearMatch.h - Products of rows with weights ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_LINEARMATCH_H
#define MOE_PASSES_RECOGNIZE_LINEARMATCH_H

#include "dialect/moe/MoeOps.h"

#include <optional>

namespace moe::pass {

/// A parameter as one operand of an FFN.
struct WeightRef {
  dialect::ParamOp param;
  /// The experts whose rows were gathered, in row-major order of the tokens
  /// and their choices; null if param is used as it is.
  mlir::Value experts;
  /// A matrix is [out, in] instead of [in, out].
  bool isTransposed = false;
  /// Each of the E matrices multiplies one batch.
  bool isStacked = false;

  /// True if a token meets one matrix, the same for all tokens.
  bool isDense() const { return !experts && !isStacked; }
  /// True if both are gathered alike, or stacked alike.
  bool isChosenAs(const WeightRef &other) const {
    return experts == other.experts && isStacked == other.isStacked;
  }
  explicit operator bool() const { return static_cast<bool>(param); }
};

/// y = x W + b.
struct Linear {
  mlir::Value input;
  WeightRef weight, bias;
  dialect::MatmulOp product;
};
std::optional<Linear> matchLinear(mlir::Value value);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_LINEARMATCH_H
