//===- FaultyRun.cpp - moe-run with a rank that fails ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// moe-run, of which one rank fails in a chosen way at a chosen moment. It is a
// program of its own, so that moe-run has nothing of the kind:
//
//   moe-run-faults --fault=KIND,RANK,PHASE ARGUMENTS-OF-MOE-RUN
//
//   KIND    kill, stop, segv, exit3
//   PHASE   start: before the processes meet; init: after they have met;
//           step=N: in the first collective of step N
//
// Just before, it writes "fault at T" to standard error, T in nanoseconds of
// the monotonic clock.
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/LaunchedRanks.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/Processes.h"

#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

using namespace moe;

namespace {

struct Fault {
  std::string kind, phase;
  int rank = -1;
};
Fault fault;

void failIf(std::string_view phase, int rank) {
  if (rank != fault.rank || phase != fault.phase)
    return;
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  std::fprintf(stderr, "fault at %lld\n",
               static_cast<long long>(std::chrono::nanoseconds(now).count()));
  std::fflush(stderr);
  if (fault.kind == "exit3")
    std::_Exit(3);
  std::raise(fault.kind == "kill"   ? SIGKILL
             : fault.kind == "segv" ? SIGSEGV
                                    : SIGSTOP);
}

/// Fails when it is called with the tag of a step.
class FaultyCommunicator final : public Communicator {
public:
  explicit FaultyCommunicator(std::unique_ptr<Communicator> wrapped)
      : Communicator(countersOf(wrapped)), inner(std::move(wrapped)) {}

  int rank() const override { return inner->rank(); }
  int size() const override { return inner->size(); }
  Status barrier(uint32_t tag) override { return at(tag).barrier(tag); }
  Status allGather(std::span<const std::byte> send, std::span<std::byte> recv,
                   uint32_t tag) override {
    return at(tag).allGather(send, recv, tag);
  }
  Status allGatherV(std::span<const std::byte> send,
                    std::span<const RecvBlock> recv, uint32_t tag) override {
    return at(tag).allGatherV(send, recv, tag);
  }
  Status allToAllV(std::span<const SendBlock> send,
                   std::span<const RecvBlock> recv, uint32_t tag) override {
    return at(tag).allToAllV(send, recv, tag);
  }
  Status allReduce(void *data, int64_t count, DType dtype, ReduceOp op,
                   uint32_t tag) override {
    return at(tag).allReduce(data, count, dtype, op, tag);
  }
  Status reduceScatter(const void *send, void *recv, int64_t count, DType dtype,
                       ReduceOp op, uint32_t tag) override {
    return at(tag).reduceScatter(send, recv, count, dtype, op, tag);
  }
  StatusOr<std::unique_ptr<Communicator>> split(int color,
                                                uint32_t tag) override {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> part,
                         inner->split(color, tag));
    return std::unique_ptr<Communicator>(
        new FaultyCommunicator(std::move(part)));
  }
  void abort(const Status &why) override { inner->abort(why); }
  Status check() const override { return inner->check(); }

private:
  /// They live as long as this object has `inner`.
  static std::shared_ptr<Counters>
  countersOf(std::unique_ptr<Communicator> &inner) {
    return {std::shared_ptr<void>(), &inner->counters()};
  }
  Communicator &at(uint32_t tag) {
    failIf("step=" + std::to_string(tag), launchedRank()->rank);
    return *inner;
  }

  std::unique_ptr<Communicator> inner;
};

class FaultyProcesses final : public ProcessGroup {
public:
  explicit FaultyProcesses(std::shared_ptr<ProcessGroup> inner)
      : inner(std::move(inner)) {}

  int rank() const override { return inner->rank(); }
  int size() const override { return inner->size(); }
  int numNeighbours() const override { return inner->numNeighbours(); }
  int numCores() const override { return inner->numCores(); }
  std::span<const int> ownCores() const override { return inner->ownCores(); }
  StatusOr<std::unique_ptr<Communicator>>
  createCommunicator(int numRanks, std::chrono::milliseconds timeout) override {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> world,
                         inner->createCommunicator(numRanks, timeout));
    return std::unique_ptr<Communicator>(
        new FaultyCommunicator(std::move(world)));
  }
  Status gather(std::span<const std::byte> mine,
                std::span<std::byte> all) override {
    return inner->gather(mine, all);
  }
  void abort(const Status &why) override { inner->abort(why); }
  Status check() override { return inner->check(); }
  void leave() override { inner->leave(); }
  Status finish() override { return inner->finish(); }

private:
  std::shared_ptr<ProcessGroup> inner;
};

StatusOr<std::shared_ptr<ProcessGroup>>
openFaulty(const ProcessOptions &options) {
  failIf("start", launchedRank()->rank);
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<ProcessGroup> processes,
                       openMpiProcesses(options));
  failIf("init", processes->rank());
  return std::shared_ptr<ProcessGroup>(
      std::make_shared<FaultyProcesses>(std::move(processes)));
}

/// Of "--fault=KIND,RANK,PHASE".
bool parseFault(std::string_view text) {
  constexpr std::string_view kOption = "--fault=";
  if (!text.starts_with(kOption))
    return false;
  text.remove_prefix(kOption.size());
  size_t first = text.find(','), second = text.find(',', first + 1);
  if (first == text.npos || second != first + 2 ||
      !std::isdigit(static_cast<unsigned char>(text[first + 1])))
    return false;
  fault.kind = text.substr(0, first);
  fault.rank = text[first + 1] - '0';
  fault.phase = text.substr(second + 1);
  return true;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2 || !parseFault(argv[1]) || !launchedRank()) {
    std::fputs("usage: mpirun ... moe-run-faults --fault=KIND,RANK,PHASE "
               "ARGUMENTS\n",
               stderr);
    return static_cast<int>(StatusCode::Usage);
  }
  tools::setProcessOpener(openFaulty);
  argv[1] = argv[0];
  return tools::runProgram(argc - 1, argv + 1);
}
