//===- StridedCopy.h - Copies between tensors of any strides ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_STRIDEDCOPY_H
#define MOE_RUNTIME_EXEC_STRIDEDCOPY_H

#include "runtime/support/TensorView.h"

namespace moe {

/// Copies the elements of `from` to `to`, which has the same dims and element
/// type. Runs of elements that are adjacent in both are copied at once.
void copyElements(const TensorView &to, const TensorView &from);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_STRIDEDCOPY_H
