//===- PeakLoops.h - Loops that read or multiply as fast as can be -*- C++ -*-//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nobody knows beforehand which loop a machine runs fastest: how many ranges
// are read at a time and how far ahead, which instruction multiplies. So there
// are several of each kind, and the best one counts (Peaks.h).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_PEAKS_PEAKLOOPS_H
#define MOE_TOOLS_PEAKS_PEAKLOOPS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moe::tools {

/// What `bytes` given to a ReadLoop must be a multiple of.
inline constexpr size_t kReadUnit = 4096;

struct ReadLoop {
  const char *name;
  /// Reads every byte once, 64 at a time, from memory that is aligned to them;
  /// the sum keeps the loads alive.
  uint64_t (*run)(const std::byte *memory, size_t bytes);
};

struct MultiplyLoop {
  const char *name;
  /// Multiplications and additions of one round.
  double operations;
  /// All in registers; what is returned keeps the arithmetic alive.
  uint64_t (*run)(int64_t rounds);
};

/// The loops that this machine can run; those that multiply have no
/// instructions beyond the set that MOE_CPU_ISA names, if it does.
std::vector<ReadLoop> readLoops();
/// f32 multiply-add.
std::vector<MultiplyLoop> f32Loops();
/// Products of 8-bit integers, added in 32 bits.
std::vector<MultiplyLoop> int8Loops();

} // namespace moe::tools

#endif // MOE_TOOLS_PEAKS_PEAKLOOPS_H
