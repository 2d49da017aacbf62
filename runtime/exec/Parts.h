//===- Parts.h - What a rank has of a divided size --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_PARTS_H
#define MOE_RUNTIME_EXEC_PARTS_H

#include <cstdint>

namespace moe {

struct PartRange {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Begin of a rank's part of `whole`: floor(rank * whole / numRanks).
inline int64_t partBegin(int64_t whole, int rank, int numRanks) {
  return static_cast<int64_t>(static_cast<__int128>(whole) * rank / numRanks);
}

/// The part [begin, end) of `size` elements that belongs to a rank, when
/// `whole` is what the ranks divide and `size` is a multiple of it.
inline PartRange partOf(int64_t size, int64_t whole, int rank, int numRanks) {
  if (whole <= 0)
    return {};
  auto begin = [&](int r) {
    return static_cast<int64_t>(
        static_cast<__int128>(partBegin(whole, r, numRanks)) * size / whole);
  };
  return {begin(rank), begin(rank + 1)};
}

/// The largest part that a rank can have of `whole`.
inline int64_t largestPart(int64_t whole, int numRanks) {
  return whole / numRanks + (whole % numRanks != 0);
}

} // namespace moe

#endif // MOE_RUNTIME_EXEC_PARTS_H
