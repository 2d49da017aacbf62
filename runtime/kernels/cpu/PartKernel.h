//===- PartKernel.h - Kernels that know how ranks divide a dimension *- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How ranks divide a dimension is in StepContext::parts: of n parts in all,
// rank r has [begins[r], begins[r + 1]), and a dimension of size elements
// gives each part size / n of them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_PARTKERNEL_H
#define MOE_RUNTIME_KERNELS_CPU_PARTKERNEL_H

#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

/// A kernel with a dimension that ranks divide.
class PartKernel : public CpuKernel {
public:
  PartKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
             std::string part)
      : CpuKernel(spec, isa), axis(axis), part(std::move(part)),
        numRanks(spec.numRanks) {}

protected:
  /// Elements [begin, end) of `size` that `rank` has.
  struct Range {
    int64_t begin, end;
  };
  StatusOr<std::span<const int64_t>> begins(const StepContext &context) const {
    return partBegins(context, part, numRanks);
  }
  static Range rangeOf(std::span<const int64_t> begins, int64_t size,
                       int rank) {
    int64_t whole = begins.back();
    int64_t each = whole > 0 ? size / whole : 0;
    return {begins[rank] * each, begins[rank + 1] * each};
  }
  /// `local` must be `whole` but for its size along the axis.
  StatusOr<int> checkAxis(const TensorView &local,
                          const TensorView &whole) const;
  Status checkLocal(const TensorView &local, int axis, Range range) const;
  /// The part of `whole` along `axis`.
  static TensorView partOf(const TensorView &whole, int axis, Range range);

  int64_t axis;
  std::string part;
  int numRanks;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_PARTKERNEL_H
