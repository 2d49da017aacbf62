//===- Indices.h - Index operands of gather and scatter ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_INDICES_H
#define MOE_RUNTIME_KERNELS_CPU_INDICES_H

#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <string>

namespace moe::cpu {

/// A contiguous tensor of indices. Negative ones count from the end.
class IndexReader {
public:
  explicit IndexReader(const TensorView &indices);

  /// BadModel names the first index that is not in [-size, size).
  Status checkAll(int64_t size, const std::string &step) const;
  /// Index i, brought to [0, size).
  int64_t at(int64_t i, int64_t size) const;

private:
  DType dtype;
  const std::byte *data;
  int64_t count;
};

/// Tuples of indices along the last dimension, which pick slices of a
/// contiguous tensor from dimension `first` on.
class TupleReader {
public:
  /// BadPlan if tuples are longer than the tensor has dimensions.
  static StatusOr<TupleReader> create(const TensorView &data, int first,
                                      const TensorView &indices,
                                      const std::string &step);
  /// BadModel names the first index out of range among `tuples` tuples.
  Status checkAll(int64_t tuples) const;
  /// Elements before the slice of tuple i, from the dimension `first` on.
  int64_t offset(int64_t i) const;
  int64_t sliceElements() const { return slice; }

private:
  TupleReader(const TensorView &indices, const std::string &step)
      : reader(indices), step(step) {}

  IndexReader reader;
  const std::string &step;
  int64_t length = 0, slice = 1;
  int64_t dims[kMaxRank] = {}, strides[kMaxRank] = {};
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_INDICES_H
