//===- StridedCopy.cpp - Copies between tensors of any strides ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/StridedCopy.h"

#include <cstring>

using namespace moe;

static void copyOuter(const TensorView &to, const TensorView &from, int axis,
                      int firstRunAxis, size_t runBytes, std::byte *target,
                      const std::byte *source) {
  if (axis == firstRunAxis) {
    std::memcpy(target, source, runBytes);
    return;
  }
  size_t width = dtypeSize(to.dtype);
  for (int64_t i = 0; i < to.dims[axis]; ++i)
    copyOuter(to, from, axis + 1, firstRunAxis, runBytes,
              target + i * to.strides[axis] * width,
              source + i * from.strides[axis] * width);
}

void moe::copyElements(const TensorView &to, const TensorView &from) {
  if (to.numElements() == 0)
    return;
  // The axes from firstRunAxis on are adjacent in both tensors.
  int firstRunAxis = to.rank;
  int64_t runLength = 1;
  while (firstRunAxis > 0) {
    int axis = firstRunAxis - 1;
    bool isAdjacent = to.dims[axis] == 1 || (to.strides[axis] == runLength &&
                                             from.strides[axis] == runLength);
    if (!isAdjacent)
      break;
    runLength *= to.dims[axis];
    firstRunAxis = axis;
  }
  copyOuter(to, from, 0, firstRunAxis, runLength * dtypeSize(to.dtype),
            static_cast<std::byte *>(to.data),
            static_cast<const std::byte *>(from.data));
}
