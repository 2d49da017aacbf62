//===- Masks.h - Masks of attention -----------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_MASKS_H
#define MOE_PASSES_RECOGNIZE_MASKS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace moe::pass {

/// i1, true where a key is visible; hidden scores become `fill`.
struct VisibleMask {
  mlir::Value mask;
  double fill;
};

/// The visible keys of an added mask that holds 0 or a value that hides (see
/// isHidingFill); nothing for other masks.
std::optional<VisibleMask> buildVisible(mlir::OpBuilder &builder,
                                        mlir::Location loc, mlir::Value mask);

/// not(mask), or x if mask is not(x).
mlir::Value invertMask(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value mask);

/// True if `condition` says of each row of `visible` that it is all false.
bool isAllHidden(mlir::Value condition, mlir::Value visible);
/// True if `condition` says of each row of `visible` that it is not all false.
bool isAnyVisible(mlir::Value condition, mlir::Value visible);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_MASKS_H
