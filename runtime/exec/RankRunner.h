//===- RankRunner.h - One rank of a context ---------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Owns a rank's memory and runs its steps. Views of all operands are bound
// once for a shape and kept; when only some symbols change (a decode step: the
// length of the past), only the sizes and views that read them are renewed.
//
// If the plan has two streams, a second thread runs the steps of stream 1. All
// sizes and views belong to the first thread, which renews them only while no
// step of stream 1 uses them (see StreamSchedule.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_RANKRUNNER_H
#define MOE_RUNTIME_EXEC_RANKRUNNER_H

#include "moe/Session.h"
#include "runtime/device/Device.h"
#include "runtime/exec/LoadRecorder.h"
#include "runtime/exec/MemoryPlan.h"
#include "runtime/exec/Parts.h"
#include "runtime/exec/RankComms.h"
#include "runtime/exec/StreamThread.h"
#include "runtime/support/ThreadPool.h"

#include <atomic>

namespace moe {

/// The whole tensor of a port in the caller's memory, or null.
struct PortMemory {
  std::byte *data = nullptr;
  uint64_t bytes = 0;
};

/// What one run is about; the same for all ranks.
struct RunRequest {
  /// By symbol; only those of input symbols are read.
  std::span<const int64_t> symbols;
  /// By port.
  std::span<const PortMemory> inputs;
  std::span<const PortMemory> outputs;
  /// Set when the run is to end early.
  const std::atomic<bool> *stop = nullptr;
  /// Ends the run of all ranks because of an error of one: sets `stop` and
  /// aborts what waits for other ranks. Any thread may call it.
  std::function<void(int rank, const Status &why)> fail;
  bool timeSteps = false;
  std::chrono::steady_clock::time_point begin;
};

/// Where the threads of a rank run, and whether they may wait awake. Without
/// cores the system places them.
struct RankCores {
  std::span<const int> threads; ///< of stream 0
  std::span<const int> side;    ///< of stream 1: one
  bool waitsAwake = false;
  StreamCores stream;
};

class RankRunner {
public:
  /// `numThreads` run the steps of stream 0. Errors: OutOfMemory (no more
  /// threads).
  static StatusOr<std::unique_ptr<RankRunner>>
  create(std::shared_ptr<const Executable> executable, int rank, int numThreads,
         const RankCores &cores);
  ~RankRunner();

  /// Replaces the memory. Of each state the first entries stay, as many as
  /// `keptLengths` says.
  Status allocate(Device &device, MemoryPlan newPlan,
                  std::span<const int64_t> keptLengths);
  /// Runs all steps. Errors name rank, step and nodes.
  Status run(const RunRequest &request, RankComms &comms);

  /// Values of symbols after a run, data symbols included.
  std::span<const int64_t> symbols() const { return symbolValues; }
  /// By time.
  std::span<const StepTime> stepTimes() const { return times; }
  /// From now on counts which experts the rank's tokens choose.
  void recordLoads() {
    recorder = std::make_unique<LoadRecorder>(program, rank);
  }
  /// Null without recordLoads().
  const LoadRecorder *loads() const { return recorder.get(); }
  const MemoryPlan &memoryPlan() const { return plan; }
  int numThreads() const { return main.pool.numThreads(); }

private:
  RankRunner(std::shared_ptr<const Executable> executable, int rank,
             int numThreads, const RankCores &cores);

  /// Memory of a root.
  struct RootMemory {
    std::byte *data = nullptr;
    uint64_t bytes = 0;
  };

  /// What the steps of one stream run with.
  struct Lane {
    Lane(int stream, int numThreads, const RankCores &cores)
        : stream(stream), pool(numThreads, cores.threads, cores.waitsAwake) {}

    const int stream;
    ThreadPool pool;
    std::unique_ptr<DeviceBuffer> workspace;
    /// Sizes that the present step learns.
    std::vector<int64_t> dataSizes;
    Counters *counters = nullptr;
    std::vector<StepTime> times;
  };

  /// Stream 1.
  struct Side {
    Side() : lane(1, 1, {}) {}

    Lane lane;
    Counters counters;
    /// By step of stream 1: sizes that it has learned, and how many had been
    /// issued with it (steps whose guard is zero are not).
    std::vector<std::vector<int64_t>> dataSizes;
    std::vector<uint32_t> numIssuedAt;
    /// The steps of stream 1 that were issued in this run.
    std::vector<int> issued;
    /// Last, because it must end first.
    std::unique_ptr<StreamThread> thread;
  };

  // Binding: sizes and addresses for the shapes of a run.
  Status bind(const RunRequest &request);
  Status bindSymbols(std::span<const int64_t> inputSymbols);
  Status bindLocalPart(int symbol);
  void setSymbol(int symbol, int64_t value);
  Status renewExprs();
  Status bindStates();
  void bindPort(const plan::PortT &port, Storage storage, PortMemory whole);
  void setRoot(int root, RootMemory memory);
  Status renewViews();
  Status renewView(uint32_t buffer);
  void bindParam(int param, TensorView &view);
  Status bindSizes(uint32_t buffer, TensorView &view) const;
  Status bindAddress(uint32_t buffer, TensorView &view) const;
  int stateOf(int root) const;

  // Moving what does not lie where steps read and write it.
  TensorView portView(const plan::PortT &port, PortMemory whole) const {
    return portView(port, whole, rank);
  }
  TensorView portView(const plan::PortT &port, PortMemory whole,
                      int ofRank) const;
  Status copyPort(const plan::PortT &port, PortMemory whole, int buffer,
                  bool toPort);
  Status copyState(const plan::PortT &port, PortMemory whole, bool toPort);
  Status copyIn(const RunRequest &request);
  Status copyOut(const RunRequest &request);

  // Outputs of ranks that are processes (OutputGather.cpp).
  Status gatherOutputs();
  Status gatherOutput(const plan::PortT &port, PortMemory whole, uint32_t tag);

  /// A rank's part of a dimension that a LocalPart symbol's ranks divide.
  PartRange partOfSize(int64_t size, int symbol, int ofRank) const {
    return partOf(size, partBegins[symbol]->back(),
                  executable->placeOf(ofRank, symbol),
                  executable->numPartsOf(symbol));
  }
  PartRange partOfSize(int64_t size, int symbol) const {
    return partOfSize(size, symbol, rank);
  }

  // Running (RankSteps.cpp).
  Status startStream(const RankCores &cores);
  Status runSteps();
  /// An error of the step, with its place.
  Status atStep(int step, const Status &status) const;
  Status runTimed(int step, Lane &lane, std::span<int64_t> dataSizes);
  Status runStep(int step, Lane &lane, std::span<int64_t> dataSizes);
  bool isSkipped(const StepInfo &info) const {
    return info.guard >= 0 && exprValues[info.guard] == 0;
  }
  void presetDataSizes(int step, std::span<int64_t> dataSizes) const;
  Status takeDataSizes(int step, std::span<const int64_t> dataSizes);
  void issueSideStep(int step);
  void runSideStep(uint32_t ticket);
  Status joinSideSteps(int count);
  void endSide();
  Status stopped() const;

  const std::shared_ptr<const Executable> executable;
  const plan::ProgramT &program;
  const int rank;
  std::unique_ptr<LoadRecorder> recorder;

  MemoryPlan plan;
  std::unique_ptr<DeviceBuffer> arena;
  std::vector<std::unique_ptr<DeviceBuffer>> states;
  /// The whole capacity of each state with the sizes of the last run.
  std::vector<TensorView> stateViews;

  // Values for the present shape, and what must be renewed.
  std::vector<int64_t> symbolValues;
  std::vector<int64_t> exprValues;
  std::vector<uint32_t> staleExprs;
  std::vector<uint8_t> isExprStale;
  std::vector<uint8_t> isBufferStale;
  std::vector<uint8_t> isRootStale;
  bool isAnyStale = false;

  std::vector<RootMemory> roots;
  std::vector<TensorView> views;
  std::vector<TensorView> operands;
  using NamedValues = std::map<std::string, std::vector<int64_t>, std::less<>>;
  NamedValues parts;
  /// By symbol, its entry in `parts` or null.
  std::vector<std::vector<int64_t> *> partBegins;
  /// Values of the expressions among each step's attributes, and by expression
  /// the places that hold its value.
  std::vector<NamedValues> stepExprs;
  std::vector<std::vector<int64_t *>> exprTargets;
  std::vector<StepTime> times;
  std::vector<std::byte> gathered;

  // The present run.
  const RunRequest *request = nullptr;
  RankComms *comms = nullptr;
  Lane main;
  std::unique_ptr<Side> side;
  /// Steps of stream 1 that have ended and whose sizes are known.
  int numJoined = 0;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_RANKRUNNER_H
