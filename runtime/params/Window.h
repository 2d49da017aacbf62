//===- Window.h - Parts of tensors and copies between them ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_WINDOW_H
#define MOE_RUNTIME_PARAMS_WINDOW_H

#include "runtime/support/TensorView.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace moe {

/// One number for each dimension.
using Extents = std::array<int64_t, kMaxRank>;

/// The indices [starts[i], starts[i] + sizes[i]) of every dimension.
struct Window {
  int rank = 0;
  Extents starts = {};
  Extents sizes = {};

  int64_t numElements() const {
    int64_t count = 1;
    for (int i = 0; i < rank; ++i)
      count *= sizes[i];
    return count;
  }
  /// The first dimension of more than one index, or the rank: to cut the
  /// window there leaves parts that follow each other in row-major order.
  int firstLongDim() const {
    int i = 0;
    while (i < rank && sizes[i] == 1)
      ++i;
    return i;
  }
};

inline Window wholeWindow(std::span<const int64_t> dims) {
  Window window;
  window.rank = static_cast<int>(dims.size());
  for (int i = 0; i < window.rank; ++i)
    window.sizes[i] = dims[i];
  return window;
}

/// Row-major strides, in elements.
inline Extents rowMajor(std::span<const int64_t> dims) {
  Extents strides = {};
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

/// Copies a tensor of rank `rank` and `sizes` between two memories; strides
/// count elements of `elementBytes` (1, 2, 4 or 8).
void copyStrided(int rank, const Extents &sizes, const std::byte *from,
                 const Extents &fromStrides, std::byte *to,
                 const Extents &toStrides, size_t elementBytes);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_WINDOW_H
