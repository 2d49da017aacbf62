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

/// A weight in codes and the same weight in f32.
struct QuantWeights {
  Tensor codes;  ///< blocks in the layout of `format`
  Tensor values; ///< row major, of the shape of the weight

  /// Of an f32 tensor [K, N], or [E, K, N] with a block for each expert. An
  /// absent one gives absent ones.
  static QuantWeights of(const Tensor &weight, const QuantFormat &format);
};

/// Formats of both numbers of bits with what differs in the kernels: blocks
/// that are smaller, larger and no power of two, f32 scales, zero points.
std::vector<QuantFormat> someQuantFormats();

} // namespace moe::test

#endif // MOE_TEST_CTS_KERNELS_QUANTWEIGHTS_H
