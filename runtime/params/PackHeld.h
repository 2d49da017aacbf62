//===- PackHeld.h - What a rank holds, packed -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes blocks, or parts of them, that cannot be used where they lie: from the
// plan in another layout, from weight files or from a seed. Codes stay codes if
// the layout is one of codes; else they become numbers, window by window.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_PACKHELD_H
#define MOE_RUNTIME_PARAMS_PACKHELD_H

#include "runtime/params/HeldBlocks.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/plan/PlanFile.h"

namespace moe {

/// Where blocks come from.
struct BlockReader {
  const PlanFile &plan;
  /// Null if no block is a reference.
  const ParamEvaluator *evaluator = nullptr;
};

/// Sends the bytes of what is held of a block of `param`, in `layout`.
/// Unsupported: another layout of codes than the plan's, a part that cuts a
/// block of codes.
Status packHeld(const BlockReader &reader, const plan::ParamT &param,
                const HeldBlock &held, std::string_view layout,
                const BytesSink &sink);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_PACKHELD_H
