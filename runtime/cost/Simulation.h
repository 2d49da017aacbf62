//===- Simulation.h - A plan walked without running it ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every rank has a clock for each stream. A step begins when its stream is
// free and what it waits for has happened; a collective when all ranks have
// come to it. The run ends with the last rank:
//
//   rank 0   [gate][ exchange ][experts    ][ exchange ]
//   rank 1   [ffn      ]......[experts][....][ exchange ]
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_SIMULATION_H
#define MOE_RUNTIME_COST_SIMULATION_H

#include "runtime/cost/Cluster.h"
#include "runtime/cost/StepWork.h"

#include <map>
#include <string>
#include <vector>

namespace moe::cost {

/// What ranks with equal work do in one run.
struct RankCost {
  /// How many ranks, and one of them.
  int count = 0;
  int rank = 0;
  double weightBytes = 0, expertWeightBytes = 0; ///< held
  double arenaBytes = 0, stateBytes = 0;         ///< reserved for this shape
  double weightBytesRead = 0;
  double flops = 0;
  double messages = 0, bytesSent = 0;
  /// Seconds that it works and does not wait.
  double busySeconds = 0;

  double memoryBytes() const { return weightBytes + arenaBytes + stateBytes; }
};

/// A step on the rank on which it takes longest.
struct StepCost {
  StepWork work;
  double seconds = 0;
  bool runs = true;
};

struct Simulation {
  std::map<std::string, int64_t> shape;
  std::vector<RankCost> ranks;
  /// By rank: its place in `ranks`.
  std::vector<int> classes;
  std::vector<StepCost> steps;
  double seconds = 0;
};

/// Runs `program`, which must have passed verifyProgram, on the cluster with
/// `threads` threads for each rank. `shape` has a value for every symbol of the
/// inputs (completeShape).
StatusOr<Simulation> simulate(const plan::ProgramT &program,
                              const std::map<std::string, int64_t> &shape,
                              const Cluster &cluster, int threads = 1);

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_SIMULATION_H
