//===- ParamBlocks.h - Parts of weights as expressions ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The plan holds one block for each expert, so that a rank reads what it owns
// and nothing else. The part of one expert is pushed through the expression
// down to its files, and the writer then reads only these bytes:
//
//   (stack(a, b, c))[1]                       ->  b
//   (transpose[0, 2, 1](file [0, 3 * n]))[1]  ->  transpose[1, 0](file [n, n])
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_PARAMBLOCKS_H
#define MOE_PASSES_LOWER_PARAMBLOCKS_H

#include "dialect/moe/MoeAttrs.h"

namespace moe::pass {

/// param[index], of one dimension less; 0 <= index < the first dimension.
dialect::ParamAttr elementOfParam(dialect::ParamAttr param, int64_t index);

/// The matrix [N, K] as [K, N].
dialect::ParamAttr transposeParam(dialect::ParamAttr param);

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_PARAMBLOCKS_H
