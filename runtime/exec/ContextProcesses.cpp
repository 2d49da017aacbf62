//===- ContextProcesses.cpp - Contexts of ranks that are processes --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ContextImpl.h"
#include "runtime/exec/Guarded.h"

#include <algorithm>
#include <cstring>

using namespace moe;

//===----------------------------------------------------------------------===//
// What ranks agree on
//===----------------------------------------------------------------------===//

/// Ranks must run the same shape in the same way. Each compares all with rank
/// 0, so all see the same difference.
Status Context::Impl::agreeOnRun(const RunOptions &runOptions) {
  gatheredTimes.clear();
  gatheredLoads.clear();
  std::vector<std::pair<std::string, int64_t>> mine = {
      {"keepState", runOptions.keepState},
      {"presentStates", runOptions.presentStates},
      {"timeSteps", runOptions.timeSteps},
      {"the length of kept caches", keptLengths.empty() ? 0 : keptLengths[0]}};
  for (size_t i = 0; i < program.symbols.size(); ++i)
    if (program.symbols[i]->kind == plan::SymbolKind_Input)
      mine.emplace_back("\"" + program.symbols[i]->name + "\"", values[i]);
  std::vector<int64_t> sent, all(mine.size() * executable->numRanks());
  for (const auto &[name, value] : mine)
    sent.push_back(value);
  MOE_RETURN_IF_ERROR(comms->gather(std::as_bytes(std::span(sent)),
                                    std::as_writable_bytes(std::span(all))));
  for (int rank = 1; rank < executable->numRanks(); ++rank)
    for (size_t i = 0; i < mine.size(); ++i)
      if (int64_t value = all[rank * mine.size() + i]; value != all[i])
        return Status(StatusCode::RankFailed,
                      "ranks disagree: " + mine[i].first + " is " +
                          std::to_string(all[i]) + " on rank 0, " +
                          std::to_string(value) + " on rank " +
                          std::to_string(rank));
  return Status::ok();
}

StatusOr<int64_t> Context::fromFirstRank(int64_t value) {
  return guarded([&]() -> StatusOr<int64_t> {
    if (!impl->executable->isPartial())
      return value;
    std::vector<int64_t> all(impl->executable->numRanks());
    MOE_RETURN_IF_ERROR(
        impl->comms->gather(std::as_bytes(std::span(&value, 1)),
                            std::as_writable_bytes(std::span(all))));
    return all[0];
  });
}

//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

/// Of a rank of this process as it is now, of others as it was told.
Context::Impl::RankReport Context::Impl::reportOf(int rank) const {
  int place = placeOf(rank);
  if (place < 0)
    return static_cast<size_t>(rank) < reports.size() ? reports[rank]
                                                      : RankReport();
  RankReport report;
  report.counters = comms->of(place).world().counters();
  Counters weights = executable->weightCounters(rank);
  report.counters.weightBytes = weights.weightBytes;
  report.counters.expertWeightBytes = weights.expertWeightBytes;
  report.numThreads = runners[place]->numThreads();
  report.reservedBytes =
      static_cast<int64_t>(runners[place]->memoryPlan().totalBytes());
  report.numStepTimes =
      static_cast<int64_t>(runners[place]->stepTimes().size());
  return report;
}

/// The counts of a layer, in an order that all ranks know.
static void forEachCount(ExpertLoads &loads,
                         const std::function<void(int64_t &)> &body) {
  for (ExpertLoads::Phase *phase : {&loads.small, &loads.large}) {
    body(phase->runs);
    std::for_each(phase->rows.begin(), phase->rows.end(), body);
  }
  std::for_each(loads.pairs.begin(), loads.pairs.end(), body);
}

/// As many bytes on every rank: report, times of all steps, loads.
std::vector<std::byte> Context::Impl::ownReport() const {
  std::vector<std::byte> bytes;
  auto append = [&](const void *data, size_t size) {
    const auto *begin = static_cast<const std::byte *>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  const RankRunner &runner = *runners[0];
  RankReport report = reportOf(executable->firstRank());
  std::vector<StepTime> times(runner.stepTimes().begin(),
                              runner.stepTimes().end());
  times.resize(executable->numSteps());
  append(&report, sizeof(report));
  append(times.data(), times.size() * sizeof(StepTime));
  if (!runner.loads())
    return bytes;
  for (ExpertLoads layer : runner.loads()->loads())
    forEachCount(layer, [&](int64_t &count) { append(&count, sizeof(count)); });
  return bytes;
}

Status Context::Impl::takeReport(int rank, std::span<const std::byte> bytes) {
  auto take = [&](void *to, size_t size) {
    std::memcpy(to, bytes.data(), size);
    bytes = bytes.subspan(size);
  };
  RankReport report;
  take(&report, sizeof(report));
  std::vector<StepTime> times(executable->numSteps());
  take(times.data(), times.size() * sizeof(StepTime));
  if (report.numStepTimes < 0 || report.numStepTimes > executable->numSteps())
    return Status(StatusCode::RankFailed,
                  "rank " + std::to_string(rank) + " tells of " +
                      std::to_string(report.numStepTimes) + " steps");
  for (int64_t i = 0; i < report.numStepTimes; ++i) {
    times[i].rank = rank;
    if (times[i].step >= 0 && times[i].step < executable->numSteps())
      gatheredTimes.push_back(times[i]);
  }
  reports.push_back(report);
  if (!runners[0]->loads())
    return Status::ok();
  std::vector<ExpertLoads> loads = runners[0]->loads()->loads();
  for (size_t layer = 0; layer < loads.size(); ++layer) {
    forEachCount(loads[layer],
                 [&](int64_t &count) { take(&count, sizeof(count)); });
    if (rank == 0)
      gatheredLoads.push_back(loads[layer]);
    else
      gatheredLoads[layer].addRank(loads[layer]);
  }
  return Status::ok();
}

Status Context::Impl::gatherStatistics() {
  if (!executable->isPartial())
    return Status::ok();
  std::vector<std::byte> mine = ownReport();
  std::vector<std::byte> all(mine.size() * executable->numRanks());
  MOE_RETURN_IF_ERROR(comms->gather(mine, all));
  reports.clear();
  gatheredTimes.clear();
  gatheredLoads.clear();
  for (int rank = 0; rank < executable->numRanks(); ++rank)
    MOE_RETURN_IF_ERROR(takeReport(
        rank, std::span(all).subspan(rank * mine.size(), mine.size())));
  return Status::ok();
}
