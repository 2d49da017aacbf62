//===- StepTime.cpp - How long work takes on a machine --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepTime.h"

#include <algorithm>
#include <cmath>

using namespace moe;
using namespace moe::cost;

/// 1: memory and multiplications take turns; infinite: they never wait for each
/// other. Products of 16 rows with matrices from memory and caches give this.
static constexpr double kOverlap = 4.0 / 3;

RankClock::RankClock(const Cluster &cluster, double ranksOnNode, int threads,
                     double workingSet)
    : cluster(cluster), ranksOnNode(std::max(1.0, ranksOnNode)),
      threads(std::max(1, threads)), workingSet(workingSet) {}

double RankClock::bandwidth(double bytes) const {
  const Device &device = cluster.device;
  double rate = std::min(device.memoryBandwidth * threads,
                         cluster.nodeMemoryBandwidth / ranksOnNode);
  for (auto level = device.caches.rbegin(); level != device.caches.rend();
       ++level) {
    // A little more than fits: a part of it still is there the next time.
    double missing =
        std::clamp((bytes - level->bytes) / level->bytes, 0.0, 1.0);
    double cached = std::max(rate, level->bandwidth * threads);
    rate = 1 / (missing / rate + (1 - missing) / cached);
  }
  return rate;
}

/// How many threads share a device, on average.
double RankClock::sharers() const {
  if (cluster.devicesPerNode == 0)
    return 1;
  return std::max(1.0, ranksOnNode * threads /
                           static_cast<double>(cluster.devicesPerNode));
}

double RankClock::collectiveSeconds(const StepWork &work) const {
  double seconds = 0;
  if (work.messages() > 0)
    seconds +=
        work.rounds * (work.across.messages > 0 ? cluster.acrossNodes.overhead
                                                : cluster.insideNode.overhead);
  auto add = [&](const Traffic &traffic, const Link &link) {
    seconds += traffic.messages * link.latency + traffic.bytes / link.bandwidth;
  };
  add(work.inside, cluster.insideNode);
  add(work.across, cluster.acrossNodes);
  return seconds;
}

double RankClock::seconds(const StepWork &work, bool slowest) const {
  const Device &device = cluster.device;
  const KernelCost &kernel = device.kernel(work.kind);
  double exchange = work.isCollective ? collectiveSeconds(work) : 0;
  // Of all others that talk to other ranks, the work is to move bytes.
  if (work.isCollective && work.kind == KernelKind::Move)
    return device.stepOverhead + exchange + work.units * kernel.perUnit;
  double flopsFactor = slowest ? work.flopsFactor : 1;
  double bytesFactor = slowest ? work.bytesFactor : 1;
  double memory = bytesFactor * work.weightBytes / bandwidth(workingSet) +
                  work.activationBytes / bandwidth(work.activationBytes);
  double compute = flopsFactor * ((work.flops - work.int8Flops) / peakFlops() +
                                  work.int8Flops / peakInt8() +
                                  work.units * kernel.perUnit / threads);
  double seconds =
      device.stepOverhead + kernel.overhead +
      std::pow(std::pow(memory, kOverlap) + std::pow(compute, kOverlap),
               1 / kOverlap);
  return seconds * sharers() + exchange;
}
