//===- Synthetic.cpp - Weights made from a seed ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Elements.h"
#include "runtime/params/SyntheticHash.h"
#include "runtime/params/WeightStore.h"
#include "runtime/params/Window.h"

#include <algorithm>
#include <cmath>

using namespace moe;

void moe::fillSynthetic(uint64_t seed, DType dtype,
                        std::span<const int64_t> dims,
                        std::span<const int64_t> starts,
                        std::span<const int64_t> sizes,
                        std::span<std::byte> out) {
  if (out.empty())
    return;
  // Uniform in [-a, a) has the standard deviation a / sqrt(3).
  double scale = std::sqrt(3.0 / syntheticDepth(dims));
  Extents strides = rowMajor(dims), at = {};
  auto rank = static_cast<int>(dims.size());
  std::byte *to = out.data();
  for (;;) {
    uint64_t index = 0;
    for (int i = 0; i < rank; ++i)
      index += static_cast<uint64_t>((starts[i] + at[i]) * strides[i]);
    uint64_t bits = hashOf(seed, index);
    // 53 bits make [0, 1).
    double unit = static_cast<double>(bits >> 11) * 0x1p-53;
    fillElements(dtype, (2 * unit - 1) * scale,
                 static_cast<int64_t>(bits >> 63), to, 1);
    to += dtypeSize(dtype);
    int i = rank;
    while (i-- > 0 && ++at[i] == sizes[i])
      at[i] = 0;
    if (i < 0)
      return;
  }
}
