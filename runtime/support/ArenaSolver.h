//===- ArenaSolver.h - Places buffers in one block of memory ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Buffers that are alive at different times can share bytes:
//
//   steps     0   1   2   3
//   x 128 B   [=======]             x at [0, 128)
//   y  64 B       [=======]         y at [128, 192): x is alive in step 1
//   z 128 B           [====]        z at [0, 128): x is dead in step 2
//
// The solver goes from large to small and puts each buffer into the smallest
// gap that holds it between those that are alive with it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_ARENASOLVER_H
#define MOE_RUNTIME_SUPPORT_ARENASOLVER_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <vector>

namespace moe {

/// Bytes that are alive from step `first` to step `last`, both inclusive.
struct ArenaInterval {
  int32_t first = 0;
  int32_t last = 0;
  uint64_t bytes = 0;
};

/// Offsets by interval, multiples of 64, and the size of the arena.
struct ArenaSolution {
  std::vector<uint64_t> offsets;
  uint64_t totalBytes = 0;
};

struct ArenaProblem {
  std::vector<ArenaInterval> intervals;

  /// Errors: an interval that ends before it begins (Internal), sizes whose
  /// sum overflows (OutOfMemory).
  Status check() const;
  /// No two intervals that are alive together share bytes, and all lie inside
  /// the arena at aligned offsets.
  Status verify(const ArenaSolution &solution) const;
  /// The largest sum of (aligned) bytes alive at one step.
  uint64_t lowerBound() const;
};

/// Solves a problem whose check() passes; the solution passes verify().
StatusOr<ArenaSolution> solveArena(const ArenaProblem &problem);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_ARENASOLVER_H
