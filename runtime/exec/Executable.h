//===- Executable.h - A plan made ready to run ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What all contexts of a model share and nobody changes: sizes as programs,
// where each buffer lives, who reads what, and the kernels of every rank.
//
// A buffer without a base is a root and owns bytes somewhere; views share the
// bytes of their root. Where a root lives depends on the rank, for an output
// that every rank computes is the caller's array on rank 0 only.
//
// A process may host one rank of many. It has kernels and weights of that rank
// only, and writes all outputs of that rank, for its caller's arrays are its
// own.
//
// Steps of stream 1 run beside those of stream 0. What has to wait for what is
// known here already: a step tells how many of stream 1 must have ended before
// it begins.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_EXECUTABLE_H
#define MOE_RUNTIME_EXEC_EXECUTABLE_H

#include "runtime/exec/ExprTable.h"
#include "runtime/kernels/Kernel.h"
#include "runtime/params/WeightStore.h"
#include "runtime/plan/Mesh.h"
#include "runtime/plan/Plan_generated.h"

#include <climits>
#include <memory>
#include <mutex>

namespace moe {

/// Who owns the bytes of a root.
enum class Storage : uint8_t {
  Arena,    ///< the rank's arena
  Input,    ///< the caller's array
  Output,   ///< the caller's or the context's array
  State,    ///< a cache of the context
  Param,    ///< weights
  Constant, ///< the plan
};

struct BufferInfo {
  int root = -1;
  DType dtype = DType::F32;
  size_t elementBytes = 4;
  /// Roots: steps between which the bytes are needed, here and in views; step
  /// -1 is before the first one, step numSteps after the last one. A step of
  /// stream 1 needs them until one of stream 0 has waited for it.
  int firstUse = INT_MAX;
  int lastUse = -1;
  /// Symbols in its sizes and in those of the buffers below, ascending.
  std::vector<uint32_t> symbols;
  /// Places in Executable::operands.
  std::vector<uint32_t> slots;
};

struct StepInfo {
  uint32_t firstInput = 0, numInputs = 0;
  uint32_t firstOutput = 0, numOutputs = 0;
  /// Data symbols that occur first in this step's outputs.
  std::vector<uint32_t> dataSymbols;
  /// Its place in Executable::sideSteps, or -1 for a step of stream 0.
  int sideIndex = -1;
  /// So many of the side steps must have ended before it begins.
  int numJoined = 0;
  /// The expression that must not be zero, or -1.
  int guard = -1;
  /// Ranks in a node of an exchange of two stages, or 0.
  int nodeSize = 0;
};

/// Copies between a port and a buffer before or after the steps.
struct PortCopy {
  int port;
  int buffer;
};

struct SymbolInfo {
  /// Other dimensions of inputs that are exactly this symbol: (port, axis).
  std::vector<std::pair<int, int>> sources;
  /// Buffers that depend on it, bases before views.
  std::vector<uint32_t> buffers;
};

/// The blocks that are asked for, one result for each request.
using WeightLoader = std::function<StatusOr<std::vector<ParamBlocks>>(
    std::span<const WeightRequest> requests)>;

class Executable {
public:
  /// `program` must have passed verifyProgram; `onlyRank` is the rank that this
  /// process hosts, -1 if it hosts all. Errors: BadPlan for ports that are not
  /// what their buffers say, and what kernels refuse.
  static StatusOr<std::shared_ptr<Executable>>
  create(std::shared_ptr<const plan::ProgramT> program,
         const KernelRegistry &kernels, WeightLoader loadWeights,
         int onlyRank = -1);

  int numRanks() const { return static_cast<int>(program->num_ranks); }
  /// The ranks that this process hosts: numHosted(), from firstRank() on.
  int firstRank() const { return first; }
  int numHosted() const { return hosted; }
  bool isPartial() const { return hosted < numRanks(); }
  int numSteps() const { return static_cast<int>(program->steps.size()); }
  int numStreams() const { return static_cast<int>(program->num_streams); }
  /// The group that divides a LocalPart symbol: its size, a rank's place in it.
  int numPartsOf(int symbol) const {
    return mesh.sizeOf(program->symbols[symbol]->group);
  }
  int placeOf(int rank, int symbol) const {
    return mesh.placeOf(rank, program->symbols[symbol]->group);
  }
  Storage storageOf(int root, int rank) const;
  /// True if a rank's part of a port does not lie in one piece.
  static bool isScattered(const plan::PortT &port) {
    return port.part_axis > 0 || port.slice_axis >= 0;
  }
  static bool isDivided(const plan::PortT &port) {
    return port.part_axis >= 0 || port.slice_axis >= 0;
  }
  /// Of ranks that have the same part of an output, one writes it. What is not
  /// divided, every process writes for itself.
  bool isWriter(const plan::PortT &port, int rank) const {
    if (isPartial() && !isDivided(port))
      return true;
    return (port.part_axis >= 0 || mesh.placeOf(rank, plan::Group_Rows) == 0) &&
           (port.slice_axis >= 0 || mesh.placeOf(rank, plan::Group_Tp) == 0);
  }
  /// Shape and layout of what a rank holds of a parameter (of experts: the
  /// shape of a whole one), without data.
  TensorView paramView(int rank, int param) const;
  const Kernel &kernel(int rank, int step) const {
    return *kernels[rank - first][step];
  }
  /// "step 7 (matmul, from "/layers.0/q_proj/MatMul")".
  std::string describeStep(int step) const;

  /// Loads and checks the weights of the hosted ranks, the first time it is
  /// called.
  Status loadWeights();
  /// Blocks of a parameter that a hosted rank holds; after loadWeights.
  std::span<const BlockView> blocksOf(int rank, int param) const {
    return weights[(rank - first) * program->params.size() + param].views;
  }
  /// The layout in which they are.
  std::string_view layoutOf(int param) const { return layouts[param]; }
  /// weightBytes and expertWeightBytes of a hosted rank.
  Counters weightCounters(int rank) const;
  /// Parameters whose layout in the plan the kernels do not read.
  int numRepacked() const;

  std::shared_ptr<const plan::ProgramT> program;
  Mesh mesh;
  ExprTable exprs;
  std::vector<BufferInfo> buffers;
  /// Buffers, bases before views.
  std::vector<uint32_t> order;
  /// The symbols that are no input symbols, each after those that it needs.
  std::vector<int> derivedSymbols;
  std::vector<SymbolInfo> symbols;
  std::vector<StepInfo> steps;
  /// The steps of stream 1.
  std::vector<int> sideSteps;
  /// Buffers of all operands of all steps, -1 for an absent one.
  std::vector<int32_t> operands;
  /// Caller's arrays that are copied to the arena and back.
  std::vector<PortCopy> copiesIn, copiesOut;

private:
  void resolveBuffers();
  void resolveStep(int step);
  void noteUse(int buffer, int step);
  void orderSymbols();
  void findDataSymbols();
  Status scheduleStreams();
  Status waitForSizes(int step, std::span<const int> definedBy);
  void extendLifetimes();
  Status resolvePorts();
  void resolveSymbols();
  Status createKernels(const KernelRegistry &registry);
  Status chooseLayouts(const KernelRegistry &registry);

  int first = 0, hosted = 1;
  /// By hosted rank, then step.
  std::vector<std::vector<std::unique_ptr<Kernel>>> kernels;
  WeightLoader loader;
  std::mutex weightMutex;
  bool haveWeights = false;
  std::vector<std::string> layouts;
  /// By hosted rank, then parameter.
  std::vector<ParamBlocks> weights;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_EXECUTABLE_H
