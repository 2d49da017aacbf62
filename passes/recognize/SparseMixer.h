//===- SparseMixer.h - Find the router of PhiMoE ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_SPARSEMIXER_H
#define MOE_PASSES_RECOGNIZE_SPARSEMIXER_H

#include "dialect/moe/MoeOps.h"

namespace moe::pass {

/// If `weights` holds the two weights of a sparse mixer, replaces it and the
/// concat of the two indices by a moe.gate.
bool rewriteSparseMixer(dialect::ConcatOp weights);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_SPARSEMIXER_H
