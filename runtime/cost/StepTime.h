//===- StepTime.h - How long work takes on a machine ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step reads bytes and multiplies at the same time, but not without delaying
// one by the other:
//
//   memory  = weights / bandwidth where they lie + operands / bandwidth
//   compute = flop / peak of its kind + units * time per unit
//   step    = overheads + (memory^(4/3) + compute^(4/3))^(3/4)
//
// so if both are equal, a step takes 1.7 times as long as each. Weights lie in a
// cache if all that a run reads fits there, because the next run reads the same.
// A collective takes, in place of that,
//
//   rounds * overhead + messages * latency + bytes / bandwidth
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_STEPTIME_H
#define MOE_RUNTIME_COST_STEPTIME_H

#include "runtime/cost/StepWork.h"

namespace moe::cost {

/// The rates of one rank.
class RankClock {
public:
  /// `ranksOnNode` ranks share the memory of a node, this one runs `threads`
  /// threads and reads `workingSet` bytes in each run.
  RankClock(const Cluster &cluster, double ranksOnNode, int threads,
            double workingSet);

  /// Seconds of a step; with `slowest`, on the rank that chance gave most.
  double seconds(const StepWork &work, bool slowest) const;
  /// Bytes per second of what is read again from `bytes` in all.
  double bandwidth(double bytes) const;
  double peakFlops() const { return cluster.device.peakFlops * threads; }
  double peakInt8() const { return cluster.device.peakInt8 * threads; }

private:
  double sharers() const;
  double collectiveSeconds(const StepWork &work) const;

  const Cluster &cluster;
  double ranksOnNode;
  double threads;
  double workingSet;
};

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_STEPTIME_H
