//===- Processes.cpp - Ranks of moe-run that are processes ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Processes.h"

#include "runtime/comm/LaunchedRanks.h"
#include "runtime/support/CoreLease.h"
#include "tools/common/CommandLine.h"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

using namespace moe;
using namespace moe::tools;
using std::chrono::milliseconds;

namespace {

/// A launcher that ends a job sends SIGTERM, and SIGKILL a second later.
constexpr milliseconds kPatience{600};
/// For others to say why they end too, when nobody can be asked yet.
constexpr milliseconds kStartPatience{150};

ProcessOpener opener = openMpiProcesses;
std::shared_ptr<ProcessGroup> group;
std::atomic<bool> hasStarted{false};
std::atomic<bool> isReported{false};
bool endsTogether = false;

/// Ends the program with one line; the first thread that comes wins.
[[noreturn]] void endWith(std::string_view program, Status status, int rank) {
  if (isReported.exchange(true))
    for (;;)
      std::this_thread::sleep_for(std::chrono::hours(1));
  std::string name = "rank " + std::to_string(rank);
  if (!status.message().starts_with(name))
    status = status.at(name);
  int code = reportError(program, status);
  std::fflush(stdout);
  if (hasStarted)
    group->leave();
  else
    std::this_thread::sleep_for(kStartPatience);
  // MPI's own end would wait for the others.
  std::_Exit(code);
}

/// Ends with an error that all processes have found. MPI is not ended: a
/// launcher that sees one process end with an error would not let the others do
/// so.
[[noreturn]] void endInCommon(std::string_view program, const Status &status) {
  bool isMine = group->rank() == 0 && !isReported.exchange(true);
  if (isMine)
    reportError(program, status);
  Status met = group->gather({}, {});
  if (!met.isOk() && !isMine)
    endWith(program, met.at("end"), group->rank());
  group->leave();
  std::fflush(stdout);
  std::_Exit(status.exitCode());
}

/// Nobody can be told anything before all have started.
[[noreturn]] void endStart(const Status &why) {
  std::optional<LaunchedRank> self = launchedRank();
  int rank = self ? self->rank : 0;
  std::string idle = idleNeighbours();
  if (idle.empty())
    endWith("moe-run", why.at("start"), rank);
  StatusCode code = why.code() == StatusCode::Timeout ? StatusCode::Timeout
                                                      : StatusCode::RankFailed;
  endWith("moe-run", Status(code, "start: " + why.message() + ": " + idle),
          rank);
}

/// The start cannot be interrupted: this ends the program if it takes too long.
class StartWatch {
public:
  explicit StartWatch(milliseconds timeout)
      : thread([this, timeout] { watch(timeout); }) {}
  ~StartWatch() {
    {
      std::lock_guard lock(mutex);
      isDone = true;
    }
    changed.notify_all();
    thread.join();
  }

private:
  void watch(milliseconds timeout) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, timeout, [&] { return isDone; }))
      endStart(Status(StatusCode::Timeout, "waited " +
                                               std::to_string(timeout.count()) +
                                               " ms for all ranks to start"));
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool isDone = false;
  std::thread thread;
};

/// From now on a signal fails whatever waits for other ranks, so that the main
/// thread ends the program; if it does something else, it is ended here.
void watchSignals() {
  // As long as the program.
  static auto *forever = new CancelOnSignal([](const Status &why) {
    if (!hasStarted)
      endStart(why);
    group->abort(why);
  });
  (void)forever;
  setLastWords(kPatience, []() -> int {
    Status status = group->check();
    endWith("moe-run", status.isOk() ? interruption() : status, group->rank());
  });
}

} // namespace

void tools::setProcessOpener(ProcessOpener newOpener) { opener = newOpener; }

bool tools::isFirstProcess() { return !group || group->rank() == 0; }

void tools::expectCommonEnd() { endsTogether = true; }

StatusOr<std::shared_ptr<ProcessGroup>>
tools::joinProcesses(const std::string &mode, milliseconds timeout) {
  bool isWanted = mode == "mpi" || (mode == "auto" && launchedRank());
  if (!isWanted)
    return std::shared_ptr<ProcessGroup>();
  watchSignals();
  {
    StartWatch watch(timeout);
    MOE_ASSIGN_OR_RETURN(group, opener({.timeout = timeout}));
  }
  hasStarted = true;
  // What this thread starts inherits the share of the cores.
  bindThisThread(group->ownCores());
  if (group->rank() != 0 && !std::freopen("/dev/null", "w", stdout))
    return Status(StatusCode::IoError, "/dev/null cannot be opened");
  return group;
}

CancelOnSignal tools::cancelOnSignal(Context &context) {
  return CancelOnSignal([&context](const Status &why) {
    context.cancel(why);
    if (group)
      group->abort(why);
  });
}

int tools::endProgram(std::string_view program, const Status &status) {
  if (!group)
    return status.isOk() ? 0 : reportError(program, status);
  bool isCommon = status.isOk() || endsTogether ||
                  status.code() == StatusCode::ResultsDiffer;
  if (!isCommon) {
    group->abort(status);
    endWith(program, status, group->rank());
  }
  if (!status.isOk())
    endInCommon(program, status);
  if (Status left = group->finish(); !left.isOk())
    endWith(program, left.at("end"), group->rank());
  return 0;
}
