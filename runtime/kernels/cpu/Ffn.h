//===- Ffn.h - The products of one feed-forward network ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What moe.ffn and moe.experts share: act(x w1 + b1) w2 + b2 in two products.
// The first one applies bias and activation to a tile while it is in the
// cache and stores hidden values [rows][I]; the second one reads them.
//
// Where the linear part of a gated network is:
//
//   none          w1 [M, I]
//   interleaved   w1 [M, 2 I], columns g0, l0, g1, l1 ...
//   concatenated  w1 [M, 2 I], columns g0 .. , l0 ..
//   split         w1 [M, I] and w3 [M, I]
//
// A slice of a network has some of the hidden values, whole units of them: one
// or more panels. Its result is a partial sum, and slice 0 adds b2.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_FFN_H
#define MOE_RUNTIME_KERNELS_CPU_FFN_H

#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/Placement.h"

namespace moe {
class StepAttributes;
}

namespace moe::cpu {

enum class Gating : uint8_t { None, Interleaved, Concatenated, Split };

/// The attributes of an FFN.
struct FfnAttributes {
  ActivationArgs activation;
  Gating gating = Gating::None;
  Arithmetic arithmetic = Arithmetic::Float;

  static StatusOr<FfnAttributes> parse(StepAttributes &attributes);
};

/// x [rows, inputs] -> hidden [rows, hidden] -> out [rows, outputs].
struct FfnSizes {
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t outputs = 0;
  /// Hidden values that rows have memory for, if more than `hidden`.
  int64_t hiddenRoom = 0;

  int64_t hiddenStride() const {
    return roundUp(std::max(hidden, hiddenRoom), kPanel);
  }
  /// Of rounded hidden values, of which products want rows without gaps.
  int64_t hiddenBlocks() const { return QuantBlock::count(hidden); }
  int64_t hiddenPanels() const { return ceilDiv(hidden, kPanel); }
  int64_t outputPanels() const { return ceilDiv(outputs, kPanel); }
};

/// The weights of one network.
struct FfnWeights {
  RhsMatrix w1, w2, w3;
  RowVector b1, b2, b3;
};

/// The operands w1, b1, w2, b2, w3, b3 in this order, of one network or (rank
/// 3, or blocks) of several.
struct FfnOperands {
  const TensorView *w1, *b1, *w2, *b2, *w3, *b3;
  /// Of w1, w2 and w3; Rows for layouts that sizes() refuses.
  RhsStorage storage1, storage2, storage3;

  FfnOperands(const KernelArgs &args, size_t first);
  /// Sizes, or a BadPlan if the operands contradict each other.
  StatusOr<FfnSizes> sizes(const std::string &step, Gating gating) const;
  /// Which network of a rank, which of all `numExperts` it is, and which slice
  /// of it.
  struct Index {
    int64_t local = 0;
    int64_t global = 0;
    int64_t numExperts = -1;
    int slice = 0;
    int numSlices = 1;
    /// Hidden values that slices keep together.
    int64_t sliceUnit = kPanel;

    /// The hidden values of the slice, of `hidden` in all.
    Interval hiddenOf(int64_t hidden) const {
      return numSlices == 1 ? Interval{0, hidden}
                            : sliceOf(hidden, sliceUnit, slice, numSlices);
    }

    /// Where its weights are in `view`: tensors of all experts stay whole when
    /// experts are placed, blocks are those of this rank.
    int64_t in(const TensorView &view, int networkRank) const {
      bool isWhole = view.rank == networkRank + 1 && view.dims[0] == numExperts;
      return isWhole ? global : local;
    }
  };
  /// `hidden` counts the hidden values of the whole network.
  FfnWeights weights(int64_t hidden, Index index) const;
  /// Whether every weight has a network `index`.
  bool has(Index index) const;
  /// Whether the blocks of network `index` are what its slice needs.
  bool haveSlices(int64_t hidden, Gating gating, Index index) const;
  /// Networks that every weight has; -1 if a single one without a dimension
  /// for it.
  StatusOr<int64_t> numNetworks(const std::string &step) const;
  bool arePacked() const {
    return storage1.isPacked() && storage2.isPacked() &&
           (!w3->present() || storage3.isPacked());
  }
};

/// Memory of one thread.
struct FfnScratch {
  float *panels; ///< for weights that are not packed
  float *gate;   ///< [kRowBlock][2 kGroupColumns], or fewer rows of more
  float *linear; ///< [kRowBlock][kGroupColumns + kPanel], likewise

  static FfnScratch cut(Scratch &scratch, const FfnSizes &sizes,
                        bool arePacked);
};

/// Hidden values of at most kRowBlock rows in panels [panel, panel + panels), a
/// group of them.
struct HiddenTile {
  const float *x; ///< first row
  int64_t xStride;
  int64_t rows;
  int64_t panel, panels;
  float *hidden; ///< first row, column 0; rows hiddenStride() apart
  /// The rows of x rounded, or null.
  const QuantBlock *rounded = nullptr;
  /// Which rows of x, and of `rounded`; null: the first ones.
  const int32_t *rowOf = nullptr;
  /// Where hidden values are rounded to instead, or null: first row, block 0;
  /// rows hiddenBlocks() apart. The tile begins with a block.
  QuantBlock *roundedHidden = nullptr;
};
void computeHidden(const Isa &isa, const FfnAttributes &attributes,
                   const FfnSizes &sizes, const FfnWeights &weights,
                   const HiddenTile &tile, const FfnScratch &scratch);

/// Outputs of at most kRowBlock rows in panels [panel, panel + panels).
struct OutputTile {
  const float *hidden;
  int64_t rows;
  int64_t panel, panels;
  std::byte *out; ///< first row, column 0; rows sizes.outputs apart
  DType dtype;
  const QuantBlock *rounded = nullptr; ///< instead of hidden
};
void computeOutput(const Isa &isa, const FfnSizes &sizes,
                   const FfnWeights &weights, const OutputTile &tile,
                   const FfnScratch &scratch);

/// Multiplications and additions of one row, counted as two each.
double ffnFlopsPerRow(const FfnSizes &sizes, Gating gating);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_FFN_H
