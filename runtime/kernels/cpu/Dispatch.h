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

#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

/// Checks the experts that tokens chose, [tokens, k] with -1 for none, and
/// counts the choices of each. `step` is for errors.
Status countChoices(std::span<const int32_t> experts, int64_t k,
                    std::span<int32_t> counts, const std::string &step);

/// Gives each choice a row: expert after expert, those of one in the order of
/// tokens; -1 for none. `next` has an element for each expert. Returns the
/// number of rows.
int64_t assignRows(std::span<const int32_t> experts,
                   std::span<const int32_t> counts, int64_t *next,
                   int32_t *slots);

/// Rows that tokens mix, and the weights of their choices.
struct MixedRows {
  RowVector rows;
  int64_t stride;           ///< numbers from one row to the next
  RowVector weights;        ///< absent: all are 1
  RowVector residual;       ///< absent: nothing is added
  std::byte *out = nullptr; ///< numbers of the type of rows

  /// sum = the `columns` first numbers of rows slots[first, first + count), by
  /// weight, in this order; -1 for none. `buffer` has room for as many, for
  /// rows that are not f32.
  void mix(const Isa &isa, const int32_t *slots, int64_t first, int64_t count,
           int64_t columns, float *buffer, float *sum) const;
  /// Writes this sum to numbers [to, to + columns) of out, and then adds those
  /// of the residual that stand there, as an elementwise step would: numbers of
  /// two bytes are rounded twice. `buffer` has room for twice as many.
  void write(const Isa &isa, const int32_t *slots, int64_t first, int64_t count,
             int64_t columns, int64_t to, float *buffer) const;
};

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
  StatusOr<int64_t> assignRowsOf(const KernelArgs &args, int64_t *next) const;

  int64_t numExperts;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_DISPATCH_H
