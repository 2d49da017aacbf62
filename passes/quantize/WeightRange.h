//===- WeightRange.h - How large the numbers of a weight are ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_QUANTIZE_WEIGHTRANGE_H
#define MOE_PASSES_QUANTIZE_WEIGHTRANGE_H

#include "dialect/moe/MoeAttrs.h"
#include "runtime/support/Status.h"

namespace moe::pass {

/// The largest magnitude of the finite numbers of a weight of floats, as f32; 0
/// if it has none. Files are those of `folder`, read in windows of a few MiB.
/// Errors: IoError, BadModel.
StatusOr<float> largestMagnitude(dialect::ParamAttr weight,
                                 llvm::StringRef folder);

} // namespace moe::pass

#endif // MOE_PASSES_QUANTIZE_WEIGHTRANGE_H
