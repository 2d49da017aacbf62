//===- LaunchedRanks.h - What a launcher says to ranks ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_LAUNCHEDRANKS_H
#define MOE_RUNTIME_COMM_LAUNCHEDRANKS_H

#include "runtime/comm/ProcessTable.h"

#include <map>
#include <optional>
#include <string>

namespace moe {

/// Of the environment that mpirun gives a process.
struct LaunchedRank {
  int rank = 0;
  int size = 1;
  /// Ranks on this machine.
  int localSize = 1;
};
/// Nothing if no launcher started this process.
std::optional<LaunchedRank> launchedRank();

/// The ranks of this machine that the launcher of this process started, by what
/// their environment says: stopped, running, or not there any more. Only for
/// the time before ranks know each other, because it looks at all processes.
/// Empty if no launcher started this process.
std::map<int, ProcessState> launchedNeighbours();

/// "rank 2 (stopped)" or "rank 1 (dead)": the neighbours that do not run; empty
/// if all do.
std::string idleNeighbours();

} // namespace moe

#endif // MOE_RUNTIME_COMM_LAUNCHEDRANKS_H
