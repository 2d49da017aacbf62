//===- ExpertSlices.h - One FFN for each slice of a tensor ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_EXPERTSLICES_H
#define MOE_PASSES_RECOGNIZE_EXPERTSLICES_H

#include "passes/recognize/FfnMatch.h"

namespace moe::pass {

/// concat(ffn_0(x[0]), ffn_1(x[1]), ..) along an axis of experts.
struct ExpertSlices {
  llvm::SmallVector<FfnMatch> ffns;
  /// The axis of the result that counts experts.
  size_t axis = 0;
  /// What the inputs were cut from, and the axis there.
  mlir::Value source;
  size_t sourceAxis = 0;
};
std::optional<ExpertSlices> matchExpertSlices(mlir::Value value);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_EXPERTSLICES_H
