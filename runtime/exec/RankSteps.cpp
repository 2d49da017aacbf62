//===- RankSteps.cpp - Runs the steps of a rank ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Guarded.h"
#include "runtime/exec/RankRunner.h"

#include <algorithm>

using namespace moe;

Status RankRunner::run(const RunRequest &newRequest, RankComms &newComms) {
  request = &newRequest;
  comms = &newComms;
  auto prepare = [&]() -> Status {
    MOE_RETURN_IF_ERROR(bind(*request));
    return copyIn(*request);
  };
  std::string place = "rank " + std::to_string(rank);
  if (Status status = prepare(); !status.isOk())
    return status.at(place);
  times.clear();
  main.times.clear();
  main.counters = &comms->world().counters();
  numJoined = 0;
  if (side) {
    side->thread->restart();
    side->issued.clear();
  }
  Status status = guarded([&] { return runSteps(); });
  if (side) {
    // Stream 1 may wait for ranks that wait for this one.
    if (!status.isOk())
      request->fail(rank, status);
    endSide();
  } else {
    std::swap(times, main.times);
  }
  MOE_RETURN_IF_ERROR(status);
  MOE_RETURN_IF_ERROR(copyOut(*request).at(place));
  return executable->isPartial() ? gatherOutputs().at(place) : Status::ok();
}

/// The error that ended the run, if it is known.
Status RankRunner::stopped() const {
  Status why = comms->world().check();
  return why.isOk() ? Status(StatusCode::Interrupted, "stopped") : why;
}

Status RankRunner::runSteps() {
  for (int step = 0; step < executable->numSteps(); ++step) {
    if (request->stop->load(std::memory_order_relaxed))
      return atStep(step, stopped());
    const StepInfo &info = executable->steps[step];
    if (info.numJoined > numJoined)
      MOE_RETURN_IF_ERROR(joinSideSteps(info.numJoined));
    if (info.sideIndex >= 0) {
      issueSideStep(step);
      continue;
    }
    std::span<int64_t> sizes =
        std::span(main.dataSizes).first(info.dataSymbols.size());
    presetDataSizes(step, sizes);
    MOE_RETURN_IF_ERROR(runTimed(step, main, sizes));
    if (!sizes.empty())
      MOE_RETURN_IF_ERROR(atStep(step, takeDataSizes(step, sizes)));
  }
  return joinSideSteps(static_cast<int>(executable->sideSteps.size()));
}

Status RankRunner::atStep(int step, const Status &status) const {
  if (status.isOk())
    return status;
  return status.at("rank " + std::to_string(rank) + ", " +
                   executable->describeStep(step));
}

Status RankRunner::runTimed(int step, Lane &lane,
                            std::span<int64_t> dataSizes) {
  auto now = [&] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now() - request->begin)
        .count();
  };
  int64_t begin = request->timeSteps ? now() : 0;
  if (Status status = runStep(step, lane, dataSizes); !status.isOk())
    return atStep(step, status);
  if (request->timeSteps)
    lane.times.push_back({rank, step, begin, now(), lane.stream});
  return Status::ok();
}

/// A step whose guard is zero gives nothing: sizes that it defines are zero.
Status RankRunner::runStep(int step, Lane &lane, std::span<int64_t> dataSizes) {
  const StepInfo &info = executable->steps[step];
  if (isSkipped(info)) {
    std::fill(dataSizes.begin(), dataSizes.end(), 0);
    return Status::ok();
  }
  std::span<const TensorView> all = operands;
  KernelArgs args{all.subspan(info.firstInput, info.numInputs),
                  all.subspan(info.firstOutput, info.numOutputs)};
  const StepComms &stepComms = comms->ofStep(step);
  StepContext context{lane.pool,
                      *stepComms.group,
                      *lane.counters,
                      {lane.workspace->data(), lane.workspace->size()},
                      static_cast<uint32_t>(step),
                      &parts,
                      &stepExprs[step],
                      dataSizes,
                      stepComms.insideNode,
                      stepComms.acrossNodes};
  MOE_RETURN_IF_ERROR(executable->kernel(rank, step).run(args, context));
  if (recorder && recorder->isWanted(step))
    recorder->record(step, args.inputs, args.outputs);
  return Status::ok();
}

void RankRunner::presetDataSizes(int step, std::span<int64_t> dataSizes) const {
  for (size_t i = 0; i < dataSizes.size(); ++i)
    dataSizes[i] = symbolValues[executable->steps[step].dataSymbols[i]];
}

Status RankRunner::takeDataSizes(int step, std::span<const int64_t> dataSizes) {
  const StepInfo &info = executable->steps[step];
  for (size_t i = 0; i < dataSizes.size(); ++i) {
    int symbol = info.dataSymbols[i];
    if (dataSizes[i] < 0 || dataSizes[i] > symbolValues[symbol])
      return Status(StatusCode::Internal,
                    "\"" + program.symbols[symbol]->name + "\" is " +
                        std::to_string(dataSizes[i]) + ", beyond its bound " +
                        std::to_string(symbolValues[symbol]));
    setSymbol(symbol, dataSizes[i]);
  }
  MOE_RETURN_IF_ERROR(renewExprs());
  return renewViews();
}

//===----------------------------------------------------------------------===//
// Stream 1
//===----------------------------------------------------------------------===//

Status RankRunner::startStream(const RankCores &cores) {
  if (executable->sideSteps.empty())
    return Status::ok();
  side = std::make_unique<Side>();
  side->lane.counters = &side->counters;
  side->lane.times.reserve(executable->sideSteps.size());
  side->issued.reserve(executable->sideSteps.size());
  side->numIssuedAt.resize(executable->sideSteps.size());
  for (int step : executable->sideSteps)
    side->dataSizes.emplace_back(executable->steps[step].dataSymbols.size());
  MOE_ASSIGN_OR_RETURN(
      side->thread, StreamThread::create(
                        [this](uint32_t ticket) { runSideStep(ticket); },
                        cores.stream, cores.side.empty() ? -1 : cores.side[0]));
  return Status::ok();
}

/// A step that does nothing is not worth waking the other thread.
void RankRunner::issueSideStep(int step) {
  const StepInfo &info = executable->steps[step];
  std::vector<int64_t> &sizes = side->dataSizes[info.sideIndex];
  if (isSkipped(info)) {
    std::fill(sizes.begin(), sizes.end(), 0);
  } else {
    presetDataSizes(step, sizes);
    side->issued.push_back(info.sideIndex);
    side->thread->issue();
  }
  side->numIssuedAt[info.sideIndex] = side->issued.size();
}

/// On the thread of stream 1.
void RankRunner::runSideStep(uint32_t ticket) {
  if (request->stop->load(std::memory_order_relaxed))
    return;
  // Reserved, so that the other thread may append.
  int index = side->issued.data()[ticket];
  Status status = guarded([&] {
    return runTimed(executable->sideSteps[index], side->lane,
                    side->dataSizes[index]);
  });
  if (!status.isOk())
    request->fail(rank, status);
}

/// Waits until the first `count` steps of stream 1 have ended, and learns the
/// sizes that they define.
Status RankRunner::joinSideSteps(int count) {
  if (numJoined >= count)
    return Status::ok();
  side->thread->waitFor(side->numIssuedAt[count - 1]);
  // Only then have all of them run.
  if (request->stop->load(std::memory_order_relaxed))
    return stopped();
  for (; numJoined < count; ++numJoined) {
    int step = executable->sideSteps[numJoined];
    std::span<const int64_t> sizes = side->dataSizes[numJoined];
    if (!sizes.empty())
      MOE_RETURN_IF_ERROR(atStep(step, takeDataSizes(step, sizes)));
  }
  return Status::ok();
}

/// Waits until stream 1 is idle, and adds up what it did.
void RankRunner::endSide() {
  side->thread->drain();
  comms->world().counters() += side->counters;
  side->counters = Counters();
  std::merge(
      main.times.begin(), main.times.end(), side->lane.times.begin(),
      side->lane.times.end(), std::back_inserter(times),
      [](const StepTime &a, const StepTime &b) { return a.begin < b.begin; });
  side->lane.times.clear();
}
