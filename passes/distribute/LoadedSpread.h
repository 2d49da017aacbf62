//===- LoadedSpread.h - Experts over ranks, by their load -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_LOADEDSPREAD_H
#define MOE_PASSES_DISTRIBUTE_LOADEDSPREAD_H

#include "dialect/moe/MoeOps.h"
#include "passes/distribute/ExpertSpread.h"

namespace moe::pass {

/// Whole experts by `moe.loads` of `op`; a rank holds at most `numSpare` more
/// than its even share, so that busy experts can have replicas. Large runs and
/// small ones count alike. Errors, reported at `op`: loads of other experts.
mlir::FailureOr<ExpertSpread> spreadByLoad(dialect::ExpertsOp op,
                                           int64_t numRanks, int64_t numSpare);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_LOADEDSPREAD_H
