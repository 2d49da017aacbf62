//===- MemoryPlan.h - What a rank reserves ----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Solved once for the largest values of the symbols; every smaller shape uses
// the same offsets.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_MEMORYPLAN_H
#define MOE_RUNTIME_EXEC_MEMORYPLAN_H

#include "runtime/exec/Executable.h"

namespace moe {

struct StatePlan {
  uint64_t bytes = 0;
  /// Room along the axis that grows.
  int64_t capacity = 0;
};

struct MemoryPlan {
  /// By buffer; zero for what does not live in the arena.
  std::vector<uint64_t> bytes;
  std::vector<uint64_t> offsets;
  uint64_t arenaBytes = 0;
  /// Scratch of the streams.
  uint64_t workspaceBytes = 0;
  uint64_t sideWorkspaceBytes = 0;
  std::vector<StatePlan> states;

  /// Saturates.
  uint64_t totalBytes() const;
};

/// `inputMaxima`: the largest value of each symbol; only those of input
/// symbols are read. `numThreads` run the steps of stream 0, one those of
/// stream 1. Errors: OutOfMemory, and what kernels report.
StatusOr<MemoryPlan> planMemory(const Executable &executable, int rank,
                                std::span<const int64_t> inputMaxima,
                                int numThreads);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_MEMORYPLAN_H
