//===- Session.h - Loading and running plans --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The C++ API of the runtime:
//
//   StatusOr<std::shared_ptr<Model>> model = Model::load("model.moeplan");
//   StatusOr<std::unique_ptr<Context>> context = Context::create(*model);
//   StatusOr<std::span<const Output>> outputs = (*context)->run(inputs);
//
// A Model is what a plan file holds: program, kernels and weights; several
// contexts use it at the same time. A Context is what one caller runs: memory,
// caches and the threads of all ranks.
//
// Memory is reserved in prepare() for the largest values of the symbols in the
// inputs' shapes. Without it a run reserves what it needs, and more when a
// later run needs more. A maximum that was given is never exceeded: such a run
// ends with OutOfMemory and names the symbol.
//
// Caches. A model that takes and returns a past (key and value caches) can be
// run in two ways. As the file says: past tensors are inputs, present tensors
// are outputs on request. Or with RunOptions::keepState: the caches stay in
// the context, the past inputs are left out, and the symbol of their length is
// the length of what is kept.
//
// No function throws.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SESSION_H
#define MOE_SESSION_H

#include "runtime/support/Counters.h"
#include "runtime/support/DType.h"
#include "runtime/support/ExpertLoads.h"
#include "runtime/support/Status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#define MOE_API __attribute__((visibility("default")))

namespace moe {

class Communicators;
class Executable;

/// An input or output of a model.
struct PortInfo {
  std::string name;
  DType dtype = DType::F32;
  /// Each dimension: a number, a symbol, or an expression ("past + seq").
  std::vector<std::string> dims;
  /// A past input or present output of a cache.
  bool isState = false;
};

/// A symbol that the shapes of inputs give a value.
struct SymbolBound {
  std::string name;
  /// The model's own maximum, 0 if it has none.
  int64_t defaultMax = 0;
};

/// When the checksums of weights are verified.
enum class WeightVerification {
  Full, ///< while they are loaded
  Lazy, ///< never; only the plan's metadata
};

struct LoadOptions {
  WeightVerification verification = WeightVerification::Full;
  /// Where weight files may lie, besides the folder of the plan.
  std::vector<std::string> weightFolders;
  /// Bytes of memory for weights that are not mapped from the plan; 0: a
  /// small multiple of what the files hold.
  uint64_t weightMemoryLimit = 0;
  /// The rank that this process runs, if each is a process of its own; -1: all.
  int onlyRank = -1;
};

/// A loaded plan. Safe for use by several threads.
class MOE_API Model {
public:
  /// Opens a plan and makes its kernels. Errors: IoError, BadPlan (corrupt or
  /// of another version), Unsupported (a kernel that this runtime lacks).
  static StatusOr<std::shared_ptr<Model>> load(const std::string &path,
                                               const LoadOptions &options = {});
  explicit Model(std::shared_ptr<Executable> executable);
  ~Model();

  int numRanks() const;
  int numSteps() const;
  /// File name of the model that the plan was compiled from.
  const std::string &name() const;
  std::span<const PortInfo> inputs() const { return theInputs; }
  std::span<const PortInfo> outputs() const { return theOutputs; }
  std::span<const SymbolBound> symbols() const { return theSymbols; }
  /// The dimensions of an input or output for values of the symbols, by name.
  /// Errors: Usage for a symbol that has no value.
  StatusOr<std::vector<int64_t>>
  shapeOf(const PortInfo &port,
          const std::map<std::string, int64_t> &values) const;
  /// Parameters that are repacked when they are loaded, because the plan has
  /// them in a layout that this machine's kernels do not read.
  int numRepackedParams() const;
  /// The kernel of a step and the ONNX nodes that it came from.
  std::string stepKernel(int step) const;
  std::vector<std::string> stepNodes(int step) const;

  /// For the runtime's own use.
  const std::shared_ptr<Executable> &executable() const {
    return theExecutable;
  }

private:
  std::shared_ptr<Executable> theExecutable;
  std::vector<PortInfo> theInputs, theOutputs;
  std::vector<SymbolBound> theSymbols;
};

struct ContextOptions {
  /// Threads over all ranks, each rank gets at least one; 0: one for each core
  /// that the process may use, by its affinity mask and its container's quota.
  /// If each thread finds a core of its own, those that the context starts are
  /// bound to them, unless the environment says MOE_AFFINITY=off.
  int numThreads = 0;
  /// "cpu".
  std::string device = "cpu";
  /// How long a rank waits for the others before the run fails.
  std::chrono::milliseconds timeout{30000};
  /// Bytes that a context may reserve over all ranks; 0: the machine's memory.
  uint64_t memoryLimit = 0;
  /// Count which experts tokens choose (see expertLoads).
  bool recordLoads = false;
};

/// A row-major tensor in the caller's memory.
struct Input {
  std::string_view name;
  DType dtype = DType::F32;
  std::span<const int64_t> dims;
  const void *data = nullptr;
};

/// Where the caller wants an output, instead of in the context's memory.
struct OutputMemory {
  std::string_view name;
  void *data = nullptr;
  size_t bytes = 0;
};

/// A row-major result; in the context's memory it is valid until the next run.
struct Output {
  std::string_view name;
  DType dtype = DType::F32;
  std::span<const int64_t> dims;
  const void *data = nullptr;
  size_t bytes = 0;
};

struct RunOptions {
  /// The caches continue from the last run; past inputs must not be given.
  bool keepState = false;
  /// Also return the present tensors of caches.
  bool presentStates = false;
  /// Note when each rank ran each step (see stepTimes).
  bool timeSteps = false;
  std::span<const OutputMemory> outputMemory;
};

/// When a rank ran a step, in nanoseconds since the run began.
struct StepTime {
  int rank = 0;
  int step = 0;
  int64_t begin = 0;
  int64_t end = 0;
  /// The rank's thread that ran it: 1 for what ran beside other steps.
  int stream = 0;
};

/// Runs a model. One run at a time; cancel() may come from any thread.
class MOE_API Context {
public:
  /// Errors: Usage (an unknown device), OutOfMemory (no more threads).
  static StatusOr<std::unique_ptr<Context>>
  create(std::shared_ptr<Model> model, const ContextOptions &options = {});
  /// For the runtime's own use: ranks that are not connected as threads. Ranks
  /// that are processes call all functions below in the same order.
  static StatusOr<std::unique_ptr<Context>>
  create(std::shared_ptr<Model> model, const ContextOptions &options,
         std::unique_ptr<Communicators> comms);
  ~Context();

  /// Reserves memory for symbols up to `maxima`, by name; a symbol that is not
  /// named has the model's maximum or grows on demand. Errors: Usage (an
  /// unknown symbol, a negative number), OutOfMemory.
  Status prepare(const std::map<std::string, int64_t> &maxima);
  /// Loads and verifies the weights; the first run does it otherwise.
  Status initialize();

  /// Runs all steps on all ranks. The outputs are in the model's order. Errors:
  /// IoError (an input that does not fit the model), OutOfMemory (over a
  /// maximum), Interrupted, Timeout, and what a step reports, with its rank,
  /// step and ONNX nodes.
  StatusOr<std::span<const Output>> run(std::span<const Input> inputs,
                                        const RunOptions &options = {});
  /// Ends the run in progress, if there is one, with `why`. Not for signal
  /// handlers.
  void cancel(const Status &why = Status(StatusCode::Interrupted,
                                         "the run was cancelled"));

  /// Length of the kept caches, 0 without any.
  int64_t stateLength() const;
  /// Forgets the kept caches.
  void resetState();
  /// Forgets what the kept caches hold behind their first `length` entries.
  void truncateState(int64_t length);

  const Model &model() const;
  int numThreads() const;
  /// Of ranks that are processes: fetches what all of them can tell (counters,
  /// step times, loads of experts, threads and memory). Before it, only those
  /// of this process are known. Nothing to do for ranks that are threads.
  Status gatherStatistics();
  /// The number that rank 0 gives, on all ranks that are processes.
  StatusOr<int64_t> fromFirstRank(int64_t value);
  /// What a rank did in all runs since resetCounters, and its weights.
  Counters counters(int rank) const;
  void resetCounters();
  /// Steps of the last run with timeSteps, by rank, then time.
  std::vector<StepTime> stepTimes() const;
  /// By MoE layer, how often its experts were chosen in all runs since the
  /// context was created with recordLoads; else empty.
  std::vector<ExpertLoads> expertLoads() const;
  /// Bytes that are reserved over all ranks: arenas, scratch, caches.
  uint64_t reservedBytes() const;

private:
  struct __attribute__((visibility("hidden"))) Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace moe

#endif // MOE_SESSION_H
