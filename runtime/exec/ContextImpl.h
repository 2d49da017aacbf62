//===- ContextImpl.h - The parts of a context -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_CONTEXTIMPL_H
#define MOE_RUNTIME_EXEC_CONTEXTIMPL_H

#include "moe/Session.h"
#include "runtime/exec/Maxima.h"
#include "runtime/exec/RankComms.h"
#include "runtime/exec/RankRunner.h"
#include "runtime/exec/RankThreads.h"
#include "runtime/exec/ShapeSolver.h"
#include "runtime/support/CoreLease.h"

namespace moe {

struct Context::Impl {
  /// `comms`: how ranks talk to each other; null: as threads.
  Impl(std::shared_ptr<Model> model, const ContextOptions &options,
       std::unique_ptr<Communicators> comms);

  /// An output port in the present run.
  struct OutputSlot {
    std::unique_ptr<DeviceBuffer> owned;
    std::vector<int64_t> dims;
  };

  int numHosted() const { return executable->numHosted(); }
  /// The place of a rank of the plan among those of this process, or -1.
  int placeOf(int rank) const {
    int place = rank - executable->firstRank();
    return place >= 0 && place < numHosted() ? place : -1;
  }

  Status start();
  // Ranks and their threads (ContextRanks.cpp).
  Status createRunners();
  /// Connects the ranks if they are not, or not any more after a failure.
  Status connect();
  Status prepare(const std::map<std::string, int64_t> &given);
  StatusOr<std::span<const Output>> run(std::span<const Input> inputs,
                                        const RunOptions &runOptions);
  /// Ends the run in progress; the first reason counts.
  void stopRun(int rank, const Status &why);

  Status runRanks(const RunOptions &runOptions);
  StatusOr<std::vector<MemoryPlan>>
  planAll(std::span<const int64_t> symbolMaxima) const;
  Status reserve(std::vector<MemoryPlan> plans,
                 std::vector<int64_t> symbolMaxima);
  Status makeRoom();

  // Ranks that are processes (ContextProcesses.cpp).
  /// What a process tells about its rank.
  struct RankReport {
    Counters counters;
    int64_t numThreads = 0;
    int64_t reservedBytes = 0;
    int64_t numStepTimes = 0;
  };
  Status agreeOnRun(const RunOptions &runOptions);
  Status gatherStatistics();
  RankReport reportOf(int place) const;
  std::vector<std::byte> ownReport() const;
  Status takeReport(int rank, std::span<const std::byte> bytes);

  // What comes in and goes out (ContextPorts.cpp).
  Status takeInputs(std::span<const Input> inputs, bool keepState);
  StatusOr<int> findInput(std::string_view name, size_t position) const;
  Status takeInput(const Input &input, int port);
  Status takeMissing(int port, bool keepState);
  Status boundOtherSymbols();
  bool isWanted(const plan::PortT &port, const RunOptions &runOptions) const {
    return port.buffer >= 0 || port.state < 0 || runOptions.presentStates;
  }
  Status placeOutputs(const RunOptions &runOptions);
  Status placeOutput(int port, const RunOptions &runOptions);
  Status keepStates();
  Status collectResults();

  const std::shared_ptr<Model> model;
  const std::shared_ptr<Executable> executable;
  const plan::ProgramT &program;
  ContextOptions options;
  std::unique_ptr<Device> device;
  /// Those of all threads; returned when these have ended.
  CoreLease lease;
  std::vector<std::unique_ptr<RankRunner>> runners;
  std::unique_ptr<Communicators> comms;
  bool isConnected = false;
  std::unique_ptr<RankThreads> threads;
  /// By rank, as of the last gatherStatistics.
  std::vector<RankReport> reports;
  std::vector<StepTime> gatheredTimes;
  std::vector<ExpertLoads> gatheredLoads;

  Maxima maxima;
  /// Symbol values for which memory is or was reserved.
  std::vector<int64_t> prepared;
  bool isPrepared = false;

  // Caches that are kept between runs, by state.
  std::vector<std::vector<int64_t>> keptDims;
  std::vector<int64_t> keptLengths;

  // The present run.
  std::vector<int64_t> values;
  std::vector<PortShape> shapes;
  std::vector<PortMemory> inputMemory;
  std::vector<OutputSlot> outputs;
  std::vector<PortMemory> outputMemory;
  std::vector<Output> results;
  std::map<std::string, int, std::less<>> inputIndex;

  std::mutex runMutex;
  bool isRunning = false;
  Status firstError;
  std::atomic<bool> stop{false};
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_CONTEXTIMPL_H
