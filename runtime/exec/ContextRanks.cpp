//===- ContextRanks.cpp - The ranks of a context and their threads --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ContextImpl.h"
#include "runtime/exec/Guarded.h"
#include "runtime/support/Cores.h"

#include <algorithm>
#include <numeric>

using namespace moe;

Status Context::Impl::createRunners() {
  CoreBudget budget = coreBudget();
  int numRanks = executable->numRanks();
  int total = options.numThreads ? options.numThreads : budget.numThreads();
  std::vector<int> shares;
  for (int rank = executable->firstRank(); placeOf(rank) >= 0; ++rank) {
    PartRange part = partOf(total, total, rank, numRanks);
    shares.push_back(std::max<int>(1, static_cast<int>(part.end - part.begin)));
  }
  // Threads of a second stream come last.
  int hosted = std::accumulate(shares.begin(), shares.end(), 0);
  int sides = executable->numStreams() > 1 ? numHosted() : 0;
  // Who shares the cores of the budget.
  int threadsOfAll = std::max(total, numRanks), ranksOfAll = numRanks;
  if (!executable->isPartial()) {
    lease = CoreLease::take(hosted + sides);
  } else if (auto own = comms->ownCores(); !own.empty()) {
    // A process takes its share; without one, neighbours would bind their
    // threads to the same cores.
    lease = CoreLease::takeOf(own, hosted + sides);
    budget.quota *= static_cast<double>(own.size()) /
                    static_cast<double>(budget.allowed.size());
    budget.allowed.assign(own.begin(), own.end());
    threadsOfAll = hosted;
    ranksOfAll = numHosted();
  }
  RankCores cores;
  cores.waitsAwake = budget.hasRoomFor(hosted);
  cores.stream = {/*forThread=*/budget.hasRoomFor(threadsOfAll + ranksOfAll),
                  /*forOwner=*/budget.hasRoomFor(2 * ranksOfAll)};
  std::vector<int> firstCores;
  int next = 0;
  for (int place = 0; place < numHosted(); ++place) {
    cores.threads = lease.part(next, shares[place]);
    cores.side = lease.part(hosted + place, sides > 0 ? 1 : 0);
    next += shares[place];
    if (lease)
      firstCores.push_back(cores.threads[0]);
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<RankRunner> runner,
                         RankRunner::create(executable,
                                            executable->firstRank() + place,
                                            shares[place], cores));
    if (options.recordLoads)
      runner->recordLoads();
    runners.push_back(std::move(runner));
  }
  MOE_ASSIGN_OR_RETURN(
      threads, RankThreads::create(numHosted(), firstCores, cores.waitsAwake));
  return Status::ok();
}

Status Context::Impl::start() {
  if (executable->isPartial() && !comms)
    return Status(StatusCode::Usage,
                  "the model was loaded for one rank, which is connected to no "
                  "others");
  MOE_RETURN_IF_ERROR(createRunners());
  if (!comms) {
    int numThreads = 0;
    for (const auto &runner : runners)
      numThreads += runner->numThreads();
    comms =
        createThreadRanks(executable->numRanks(), numThreads, options.timeout);
  }
  return connect();
}

Status Context::Impl::connect() {
  if (isConnected)
    return Status::ok();
  MOE_RETURN_IF_ERROR(comms->connect(*executable, *threads));
  isConnected = true;
  return Status::ok();
}

void Context::Impl::stopRun(int rank, const Status &why) {
  std::lock_guard lock(runMutex);
  if (!isRunning)
    return;
  bool hasFailed =
      why.code() == StatusCode::RankFailed || why.code() == StatusCode::Timeout;
  bool isSignalled = firstError.code() == StatusCode::Interrupted ||
                     firstError.code() == StatusCode::Terminated;
  // A launcher ends a job whose rank has died by a signal; the rank itself
  // finds out the reason.
  if (!firstError.isOk() && !(hasFailed && isSignalled))
    return;
  firstError = why;
  comms->of(placeOf(rank)).world().abort(why);
  stop.store(true);
}

Status Context::Impl::runRanks(const RunOptions &runOptions) {
  MOE_RETURN_IF_ERROR(connect());
  RunRequest request;
  request.symbols = values;
  request.inputs = inputMemory;
  request.outputs = outputMemory;
  request.stop = &stop;
  request.timeSteps = runOptions.timeSteps;
  request.fail = [this](int rank, const Status &why) { stopRun(rank, why); };
  {
    std::lock_guard lock(runMutex);
    firstError = Status::ok();
    stop.store(false);
    isRunning = true;
  }
  request.begin = std::chrono::steady_clock::now();
  lease.settleCaller();
  threads->run([&](int place) {
    Status status =
        guarded([&] { return runners[place]->run(request, comms->of(place)); });
    if (!status.isOk())
      stopRun(executable->firstRank() + place, status);
  });
  {
    std::lock_guard lock(runMutex);
    isRunning = false;
    if (firstError.isOk())
      return Status::ok();
  }
  isConnected = false;
  return firstError;
}
