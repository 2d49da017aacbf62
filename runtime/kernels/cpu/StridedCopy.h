//===- StridedCopy.h - Elements from one view to another --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_STRIDEDCOPY_H
#define MOE_RUNTIME_KERNELS_CPU_STRIDEDCOPY_H

#include "runtime/support/TensorView.h"
#include "runtime/support/ThreadPool.h"

namespace moe::cpu {

/// A box of elements with its strides on both sides. Slices, transposes,
/// broadcasts and concatenations are all of this form.
struct CopyBox {
  const std::byte *from = nullptr;
  std::byte *to = nullptr;
  size_t elementBytes = 0;
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t fromStrides[kMaxRank] = {};
  int64_t toStrides[kMaxRank] = {};

  CopyBox() = default;
  /// All of `to`, from the first elements of `from`; equal ranks and types.
  CopyBox(const TensorView &from, const TensorView &to);
  void moveFrom(int64_t elements) {
    from += elements * static_cast<int64_t>(elementBytes);
  }
  void moveTo(int64_t elements) {
    to += elements * static_cast<int64_t>(elementBytes);
  }
};

/// Copies with all threads that it is worth.
void copyStrided(ThreadPool &pool, CopyBox box);
/// Copies in this thread.
void copyStrided(CopyBox box);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_STRIDEDCOPY_H
