//===- PartKernel.cpp - Kernels that know how ranks divide a dimension ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/PartKernel.h"

namespace moe::cpu {

StatusOr<int> PartKernel::checkAxis(const TensorView &local,
                                    const TensorView &whole) const {
  int normal = normalAxis(axis, whole.rank);
  bool fits =
      normal >= 0 && local.rank == whole.rank && local.dtype == whole.dtype;
  for (int i = 0; fits && i < whole.rank; ++i)
    fits = i == normal || local.dims[i] == whole.dims[i];
  if (!fits)
    return badPlan(shapeText(local) + " is no part of " + shapeText(whole) +
                   " along axis " + std::to_string(axis));
  return normal;
}

Status PartKernel::checkLocal(const TensorView &local, int normal,
                              Range range) const {
  if (local.dims[normal] == range.end - range.begin)
    return Status::ok();
  return badPlan("this rank's part has " +
                 std::to_string(range.end - range.begin) +
                 " elements along axis " + std::to_string(axis) +
                 ", which does not fit " + shapeText(local));
}

TensorView PartKernel::partOf(const TensorView &whole, int axis, Range range) {
  TensorView result = whole;
  result.dims[axis] = range.end - range.begin;
  result.data = const_cast<std::byte *>(blockData(whole)) +
                range.begin * whole.strides[axis] *
                    static_cast<int64_t>(dtypeSize(whole.dtype));
  result.blocks = {};
  return result;
}

} // namespace moe::cpu
