//===- QuantWeights.h - Weights in codes, for tests -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_KERNELS_QUANTWEIGHTS_H
#define MOE_TEST_CTS_KERNELS_QUANTWEIGHTS_H

#include "runtime/params/QuantFormat.h"
#include "test/cts/kernels/KernelRunner.h"

namespace moe::test {

/// A weight in codes, and what they stand for: row major, of the shape of the
/// weight.
struct QuantWeights {
  Tensor codes;   ///< blocks in the layout of `format`
  Tensor values;  ///< numbers * scales
  Tensor numbers; ///< codes less their zeros
  Tensor scales;

  /// Of an f32 tensor [K, N], or [E, K, N] with a block for each expert. An
  /// absent one gives absent ones.
  static QuantWeights of(const Tensor &weight, const QuantFormat &format);

  /// The f32 rows x times a matrix, in the order of additions that products of
  /// codes have: segments of 32 rows of the depth, or of a block if that is
  /// shorter, then their sums by scale. `isFused`: each addition rounds once.
  Tensor product(const Tensor &x, const QuantFormat &format,
                 bool isFused) const;
};

/// Formats of both numbers of bits with what differs in the kernels: blocks
/// that are smaller, larger and no power of two, f32 scales, zero points.
std::vector<QuantFormat> someQuantFormats();

} // namespace moe::test

#endif // MOE_TEST_CTS_KERNELS_QUANTWEIGHTS_H
