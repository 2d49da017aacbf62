//===- Gather.h - What kernels that look rows up share ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks may divide a table along the axis of the indices: then indices count in
// the whole, and what another rank has becomes zeros, so that the sum over all
// ranks is the result.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_GATHER_H
#define MOE_RUNTIME_KERNELS_CPU_GATHER_H

#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

class TableKernel : public CpuKernel {
protected:
  /// `part`: the symbol that ranks divide, or empty.
  TableKernel(const KernelSpec &spec, const Isa &isa, std::string part)
      : CpuKernel(spec, isa), part(std::move(part)), rank(spec.rank),
        numRanks(spec.numRanks) {}

  /// The indices [begin, end) of `whole` that this rank's table has.
  struct Range {
    int64_t begin, end, whole;

    bool has(int64_t index) const { return index >= begin && index < end; }
  };
  /// Of a table with `size` entries along the axis.
  StatusOr<Range> rangeOf(const StepContext &context, int64_t size) const;

  const std::string part;

private:
  int rank, numRanks;
};

/// The kernel gather_codes (GatherCodes.cpp).
StatusOr<std::unique_ptr<Kernel>> createGatherCodes(const KernelSpec &spec,
                                                    const Isa &isa);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_GATHER_H
