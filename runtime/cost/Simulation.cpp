//===- Simulation.cpp - A plan walked without running it ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Simulation.h"

#include "runtime/cost/StepTime.h"
#include "runtime/support/DType.h"

#include <algorithm>

using namespace moe;
using namespace moe::cost;

namespace {

class Simulator {
public:
  Simulator(const PlanSizes &sizes, const PlanWork &work,
            const Cluster &cluster, int threads)
      : sizes(sizes), program(sizes.program()), work(work), cluster(cluster),
        threads(threads) {}

  Simulation run();

private:
  /// Clocks of one class of ranks.
  struct Clocks {
    std::vector<double> streams, events;
  };

  void measureRanks(Simulation &result);
  double peakArena(int sizeClass) const;
  double stateBytes(int sizeClass) const;
  void runStep(int index, Simulation &result);
  double beginOf(const Clocks &clock, const plan::StepT &step,
                 bool isCollective) const;

  const PlanSizes &sizes;
  const plan::ProgramT &program;
  const PlanWork &work;
  const Cluster &cluster;
  int threads;
  /// By class of ranks, then step.
  std::vector<std::vector<StepWork>> works;
  std::vector<RankClock> rates;
  std::vector<Clocks> clocks;
};

} // namespace

/// The most bytes of buffers that live at the same time.
double Simulator::peakArena(int sizeClass) const {
  std::vector<double> change(program.steps.size() + 2);
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const plan::BufferT &buffer = *program.buffers[i];
    if (buffer.kind != plan::BufferKind_Arena || buffer.base >= 0 ||
        buffer.first_step < 0 || buffer.last_step < buffer.first_step)
      continue;
    double bytes = sizes.bytes(sizeClass, static_cast<int>(i));
    change[buffer.first_step] += bytes;
    change[std::min<size_t>(buffer.last_step + 1, change.size() - 1)] -= bytes;
  }
  double live = 0, most = 0;
  for (double each : change)
    most = std::max(most, live += each);
  return most;
}

double Simulator::stateBytes(int sizeClass) const {
  double total = 0;
  for (const auto &state : program.states) {
    double bytes =
        static_cast<double>(dtypeSize(static_cast<DType>(state->dtype)));
    for (uint32_t expr : state->dims)
      bytes *= static_cast<double>(sizes.value(sizeClass, expr));
    for (auto [axis, part] : {std::pair(state->part_axis, state->part),
                              std::pair(state->slice_axis, state->slice_part)})
      if (axis >= 0 && part >= 0) {
        double whole = static_cast<double>(sizes.wholeOf(sizeClass, part));
        double mine = static_cast<double>(sizes.symbolValue(sizeClass, part));
        bytes = whole > 0 ? bytes * mine / whole : 0;
      }
    total += bytes;
  }
  return total;
}

void Simulator::measureRanks(Simulation &result) {
  for (int rank = 0; rank < sizes.mesh().numRanks; ++rank)
    result.classes.push_back(work.classOf(rank));
  int64_t nodeSize = cluster.nodeSize(sizes.mesh().numRanks);
  double ranksOnNode =
      static_cast<double>(nodeSize ? nodeSize : sizes.mesh().numRanks);
  for (int each = 0; each < work.numClasses(); ++each) {
    RankCost cost;
    cost.count = work.countOf(each);
    cost.rank = work.rankOf(each);
    int sizeClass = sizes.classOf(cost.rank);
    cost.weightBytes = work.weightBytes(cost.rank);
    cost.expertWeightBytes = work.expertWeightBytes(cost.rank);
    cost.arenaBytes = peakArena(sizeClass);
    cost.stateBytes = stateBytes(sizeClass);
    works.emplace_back();
    for (size_t step = 0; step < program.steps.size(); ++step) {
      works.back().push_back(work.runs(static_cast<int>(step))
                                 ? work.work(each, static_cast<int>(step))
                                 : StepWork());
      const StepWork &last = works.back().back();
      cost.weightBytesRead += last.weightBytes;
      cost.flops += last.flops;
      cost.messages += last.messages();
      cost.bytesSent += last.bytesSent();
    }
    double attention = cost.stateBytes;
    rates.emplace_back(cluster, ranksOnNode, threads,
                       cost.weightBytesRead + attention);
    clocks.push_back({std::vector<double>(program.num_streams),
                      std::vector<double>(program.num_events)});
    result.ranks.push_back(cost);
  }
}

/// When a step may begin on a rank. Collectives of stream 0 keep one order with
/// those of the others: they wait until all streams are idle.
double Simulator::beginOf(const Clocks &clock, const plan::StepT &step,
                          bool isCollective) const {
  double begin = clock.streams[step.stream];
  // A step of another stream is issued when stream 0 comes to it.
  begin = std::max(begin, step.stream ? clock.streams[0] : 0.0);
  for (uint32_t event : step.waits)
    begin = std::max(begin, clock.events[event]);
  if (isCollective && step.stream == 0)
    for (double other : clock.streams)
      begin = std::max(begin, other);
  return begin;
}

void Simulator::runStep(int index, Simulation &result) {
  const plan::StepT &step = *program.steps[index];
  StepCost &cost = result.steps[index];
  cost.runs = work.runs(index);
  if (!cost.runs)
    return;
  bool isCollective = works[0][index].isCollective;
  double arrived = 0;
  for (const Clocks &clock : clocks)
    arrived = std::max(arrived, beginOf(clock, step, isCollective));
  for (size_t each = 0; each < clocks.size(); ++each) {
    const StepWork &mine = works[each][index];
    double seconds = rates[each].seconds(mine, /*slowest=*/true);
    double begin = isCollective ? arrived : beginOf(clocks[each], step, false);
    clocks[each].streams[step.stream] = begin + seconds;
    if (step.records >= 0)
      clocks[each].events[step.records] = begin + seconds;
    result.ranks[each].busySeconds += rates[each].seconds(mine, false);
    if (each == 0 || seconds > cost.seconds) {
      cost.seconds = seconds;
      cost.work = mine;
    }
  }
}

Simulation Simulator::run() {
  Simulation result;
  measureRanks(result);
  result.steps.resize(program.steps.size());
  for (size_t step = 0; step < program.steps.size(); ++step)
    runStep(static_cast<int>(step), result);
  for (const Clocks &clock : clocks)
    for (double end : clock.streams)
      result.seconds = std::max(result.seconds, end);
  return result;
}

StatusOr<Simulation> cost::simulate(const plan::ProgramT &program,
                                    const std::map<std::string, int64_t> &shape,
                                    const Cluster &cluster, int threads) {
  MOE_ASSIGN_OR_RETURN(PlanSizes sizes, PlanSizes::create(program, shape));
  int64_t nodeSize = cluster.nodeSize(sizes.mesh().numRanks);
  MOE_ASSIGN_OR_RETURN(PlanWork work, PlanWork::create(sizes, nodeSize));
  Simulation result = Simulator(sizes, work, cluster, threads).run();
  result.shape = shape;
  return result;
}
