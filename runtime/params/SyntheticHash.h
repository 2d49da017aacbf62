//===- SyntheticHash.h - Numbers for weights made from a seed ---*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_SYNTHETICHASH_H
#define MOE_RUNTIME_PARAMS_SYNTHETICHASH_H

#include <algorithm>
#include <cstdint>
#include <span>

namespace moe {

/// A hash of (seed, index), so that any element can be made alone (splitmix64).
inline uint64_t hashOf(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// Numbers that a product adds up: the rows K of a matrix or the elements of a
/// vector. Synthetic weights have the standard deviation 1 / sqrt(K).
inline double syntheticDepth(std::span<const int64_t> dims) {
  int64_t k = 1;
  if (dims.size() == 1)
    k = dims[0];
  else if (dims.size() >= 2)
    k = dims[dims.size() - 2];
  return static_cast<double>(std::max<int64_t>(k, 1));
}

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_SYNTHETICHASH_H
