//===- Networks.h - Rows through one or many networks -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the steps ffn, experts and routed_experts share. A dense FFN is the case
// of one network that has all rows. Work items are (network, block of rows,
// group of panels), shared by the threads, so rows that all go to one expert
// use every thread too. Hidden values are kept for a bounded number of rows;
// more rows take several passes.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_NETWORKS_H
#define MOE_RUNTIME_KERNELS_CPU_NETWORKS_H

#include "runtime/kernels/cpu/Ffn.h"

namespace moe::cpu {

/// Rows of one network in one pass.
struct NetworkPart {
  FfnWeights weights;
  FfnSizes sizes; ///< with the hidden values of the slice
  int64_t row;    ///< in rows and results
  int64_t rows;
  int64_t firstItem; ///< number of its first work item
};

/// The rows that networks read.
struct NetworkInput {
  const float *x = nullptr;
  const QuantBlock *rounded = nullptr; ///< the same rows, if products want it
  /// Row r of the networks is the rowOf[r]-th of x; null: the r-th.
  const int32_t *rowOf = nullptr;
};

/// Memory of one run.
struct NetworkBuffers {
  float *x;      ///< the input as f32 if it is of another type
  float *hidden; ///< [passRows][hiddenStride]
  /// x [rows][blocks of a row] and hidden values [passRows][hiddenBlocks], if
  /// products take them rounded.
  QuantBlock *roundedX, *roundedHidden;
  NetworkPart *parts;
  FfnScratch *threads;

  /// Where the hidden values of a row of the pass are; null for what there is
  /// not.
  float *hiddenRow(const FfnSizes &sizes, int64_t row) const {
    return hidden ? hidden + row * sizes.hiddenStride() : nullptr;
  }
  QuantBlock *roundedHiddenRow(const FfnSizes &sizes, int64_t row) const {
    return roundedHidden ? roundedHidden + row * sizes.hiddenBlocks() : nullptr;
  }
};

/// What these steps do; they say which networks there are.
class NetworksKernel : public CpuKernel {
public:
  NetworksKernel(const KernelSpec &spec, const Isa &isa,
                 FfnAttributes attributes)
      : CpuKernel(spec, isa), attributes(attributes) {}

protected:
  /// The operands of one run; `counts` null for one network.
  struct Call {
    const TensorView *x = nullptr;
    const TensorView *out = nullptr;
    int64_t inputRows = 0;    ///< of x
    int64_t rows = 0;         ///< of all networks
    int64_t rowsTogether = 1; ///< that a pass does not separate
    const int32_t *counts = nullptr;
    int64_t networks = 1;
    /// The hidden values of a whole network; `sizes` has those of the largest
    /// slice.
    int64_t wholeHidden = 0;
    FfnSizes sizes;
  };

  Status checkRows(const Call &call) const;
  NetworkBuffers cut(Scratch &scratch, const Call &call,
                     const FfnOperands &operands, int numThreads) const;
  /// Rows whose hidden values are kept at once.
  static int64_t passRows(const Call &call);
  Status runCall(const Call &call, const FfnOperands &operands,
                 StepContext &context) const;

  // The phases of a run.
  /// The first `rows` rows of x as networks read them.
  NetworkInput readInput(const Call &call, const NetworkBuffers &buffers,
                         int64_t rows, ThreadPool &pool) const;
  /// Rows [row, row + rows) of a network.
  NetworkPart partOf(const Call &call, const FfnOperands &operands,
                     int64_t network, int64_t row, int64_t rows) const;
  /// Hidden values of the rows of `parts`, the first of which is `begin`.
  void computeHiddenRows(const Call &call, const NetworkInput &input,
                         const NetworkBuffers &buffers, int64_t begin,
                         std::span<NetworkPart> parts, bool arePacked,
                         ThreadPool &pool) const;
  /// Outputs of rows of `part`, the first of which is `row` in the pass, in
  /// some panels. They have the type of the result; `out` is the first row.
  void computeOutputTile(const Call &call, const NetworkBuffers &buffers,
                         const NetworkPart &part, int64_t row, int64_t rows,
                         Interval panels, std::byte *out, int thread) const;
  double flopsOf(std::span<const NetworkPart> parts) const;
  /// Which network the rows of counts[i] belong to.
  virtual FfnOperands::Index indexOf(int64_t i) const {
    return FfnOperands::Index();
  }

  FfnAttributes attributes;

private:
  /// Whether a product takes rows, or hidden values, rounded.
  bool roundsRows(const FfnOperands &operands) const;
  bool roundsHidden(const FfnOperands &operands) const;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_NETWORKS_H
