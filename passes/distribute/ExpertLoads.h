//===- ExpertLoads.h - Measured loads of a layer's experts ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_EXPERTLOADS_H
#define MOE_PASSES_DISTRIBUTE_EXPERTLOADS_H

#include "llvm/ADT/StringRef.h"

namespace moe::pass {

/// Dictionary on moe.experts: how often its experts were chosen, as
/// ReadLoads.cpp describes it.
inline constexpr llvm::StringLiteral kLoads = "moe.loads";

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_EXPERTLOADS_H
