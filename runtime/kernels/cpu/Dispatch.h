//===- Dispatch.h - dispatch ------------------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows are moved by index: a counting sort of the choices gives each one its
// row. No mask over experts is built.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_DISPATCH_H
#define MOE_RUNTIME_KERNELS_CPU_DISPATCH_H

#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

/// Operands: x, experts, weights (or none); results: rows, counts, slots.
class DispatchKernel : public CpuKernel {
public:
  struct Buffers {
    int64_t *next; ///< the next row of each expert
    float *rows;   ///< for each thread, to scale in f32
  };

  DispatchKernel(const KernelSpec &spec, const Isa &isa, int64_t numExperts)
      : CpuKernel(spec, isa), numExperts(numExperts) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

  // The phases of a run, for kernels that do more (Router.cpp).
  Status check(const KernelArgs &args) const;
  Buffers cut(Scratch &scratch, const KernelArgs &args, int numThreads) const;
  Status move(const KernelArgs &args, const Buffers &buffers,
              StepContext &context) const;

private:
  /// Fills counts and slots; returns the number of rows.
  StatusOr<int64_t> assignRows(const KernelArgs &args, int64_t *next) const;

  int64_t numExperts;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_DISPATCH_H
