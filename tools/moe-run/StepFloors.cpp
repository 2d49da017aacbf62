//===- StepFloors.cpp - How fast the steps of a plan could be -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/StepFloors.h"

#include <algorithm>

using namespace moe;
using namespace moe::cost;
using namespace moe::tools;

std::optional<double> StepFloor::percent(double milliseconds) const {
  if (!floor || floor->seconds <= 0 || milliseconds <= 0)
    return std::nullopt;
  return 100 * floor->seconds * 1e3 / milliseconds;
}

/// Multiplications per second, of whichever kind they are.
static double peakOf(const StepWork &work, const Peaks &peaks) {
  if (work.int8Flops <= 0)
    return peaks.flops;
  return work.flops / ((work.flops - work.int8Flops) / peaks.flops +
                       work.int8Flops / peaks.int8Operations);
}

/// `weightsPass`: weights have left the caches when the step reads them.
static std::optional<Floor> floorOf(const StepWork &work, bool weightsPass,
                                    double ranks, const Peaks &peaks) {
  double cache = static_cast<double>(kCacheFactor * lastLevelCacheBytes());
  double peak = peakOf(work, peaks);
  double bandwidth = peaks.bandwidth / ranks;
  double all = work.weightBytes + work.activationBytes, known = 0;
  if (weightsPass)
    known += work.weightBytes;
  if (work.activationBytes >= cache)
    known += work.activationBytes;
  Floor floor = Floor::of(known, work.flops, bandwidth, peak / ranks);
  bool needsMemory =
      Floor::of(all, work.flops, bandwidth, peak / ranks).isMemory;
  if (needsMemory && known < 0.9 * all)
    return std::nullopt;
  return floor;
}

StatusOr<std::vector<StepFloor>>
tools::stepFloors(const plan::ProgramT &program,
                  const std::map<std::string, int64_t> &shape,
                  const std::optional<Peaks> &peaks) {
  MOE_ASSIGN_OR_RETURN(PlanSizes sizes, PlanSizes::create(program, shape));
  MOE_ASSIGN_OR_RETURN(PlanWork work, PlanWork::create(sizes, 0));
  double ranks = std::max(1.0, static_cast<double>(program.num_ranks));
  // The rank with most to do, by what would take longer.
  std::vector<StepWork> works(program.steps.size());
  double weights = 0;
  for (size_t step = 0; step < works.size(); ++step) {
    if (!work.runs(static_cast<int>(step)))
      continue;
    for (int rank = 0; rank < work.numClasses(); ++rank) {
      StepWork each = work.work(rank, static_cast<int>(step));
      weights += each.weightBytes * work.countOf(rank);
      StepWork &most = works[step];
      if (rank == 0 || each.flops > most.flops ||
          (each.flops == most.flops && each.weightBytes > most.weightBytes))
        most = each;
    }
  }
  bool weightsPass =
      weights >= static_cast<double>(kCacheFactor * lastLevelCacheBytes());
  std::vector<StepFloor> result;
  for (size_t step = 0; step < works.size(); ++step) {
    const StepWork &each = works[step];
    StepFloor floor{each.weightBytes + each.activationBytes, each.flops, {}};
    if (peaks && !each.isCollective)
      floor.floor = floorOf(each, weightsPass, ranks, *peaks);
    result.push_back(floor);
  }
  return result;
}
