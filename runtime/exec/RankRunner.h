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
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_RANKRUNNER_H
#define MOE_RUNTIME_EXEC_RANKRUNNER_H

#include "moe/Session.h"
#include "runtime/device/Device.h"
#include "runtime/exec/MemoryPlan.h"
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
  bool timeSteps = false;
  std::chrono::steady_clock::time_point begin;
};

class RankRunner {
public:
  RankRunner(std::shared_ptr<const Executable> executable, int rank,
             int numThreads);

  /// Replaces the memory. Of each state the first entries stay, as many as
  /// `keptLengths` says.
  Status allocate(Device &device, MemoryPlan newPlan,
                  std::span<const int64_t> keptLengths);
  /// Runs all steps. Errors name rank, step and nodes.
  Status run(const RunRequest &request, Communicator &comm);

  /// Values of symbols after a run, data symbols included.
  std::span<const int64_t> symbols() const { return symbolValues; }
  std::span<const StepTime> stepTimes() const { return times; }
  const MemoryPlan &memoryPlan() const { return plan; }
  int numThreads() const { return pool.numThreads(); }

private:
  /// Memory of a root.
  struct RootMemory {
    std::byte *data = nullptr;
    uint64_t bytes = 0;
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
  TensorView portView(const plan::PortT &port, PortMemory whole) const;
  Status copyPort(const plan::PortT &port, PortMemory whole, int buffer,
                  bool toPort);
  Status copyState(const plan::PortT &port, PortMemory whole, bool toPort);
  Status copyIn(const RunRequest &request);
  Status copyOut(const RunRequest &request);

  // Running.
  Status runStep(int step, Communicator &comm);
  Status takeDataSizes(int step);

  const std::shared_ptr<const Executable> executable;
  const plan::ProgramT &program;
  const int rank;
  ThreadPool pool;

  MemoryPlan plan;
  std::unique_ptr<DeviceBuffer> arena, workspace;
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
  /// The size that the ranks divide.
  int64_t wholeOf(int part) const { return partBegins[part]->back(); }
  /// Values of the expressions among each step's attributes, and by expression
  /// the places that hold its value.
  std::vector<NamedValues> stepExprs;
  std::vector<std::vector<int64_t *>> exprTargets;
  std::vector<int64_t> dataSizes;
  std::vector<StepTime> times;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_RANKRUNNER_H
