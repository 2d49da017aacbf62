//===- MemoryPlan.cpp - What a rank reserves ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/MemoryPlan.h"
#include "runtime/exec/Parts.h"
#include "runtime/support/ArenaSolver.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>

using namespace moe;

uint64_t MemoryPlan::totalBytes() const {
  uint64_t total = arenaBytes;
  auto add = [&](uint64_t bytes) {
    if (__builtin_add_overflow(total, bytes, &total))
      total = UINT64_MAX;
  };
  add(workspaceBytes);
  add(sideWorkspaceBytes);
  for (const StatePlan &state : states)
    add(state.bytes);
  return total;
}

namespace {

class Planner {
public:
  Planner(const Executable &executable, int rank, int numThreads)
      : executable(executable), program(*executable.program), rank(rank),
        numThreads(numThreads) {}

  StatusOr<MemoryPlan> plan(std::span<const int64_t> inputMaxima) {
    MOE_RETURN_IF_ERROR(findMaxima(inputMaxima));
    MOE_RETURN_IF_ERROR(planArena());
    MOE_RETURN_IF_ERROR(planStates());
    MOE_RETURN_IF_ERROR(planWorkspace());
    return std::move(result);
  }

private:
  Status findMaxima(std::span<const int64_t> inputMaxima);
  Status planArena();
  Status planStates();
  Status planWorkspace();
  StatusOr<uint64_t> rootBytes(int buffer) const;
  StatusOr<TensorView> largestView(int buffer) const;
  StatusOr<int64_t> bound(uint32_t expr) const {
    return executable.exprs.upperBound(expr, maxima);
  }
  /// Divides a dimension by a symbol's ranks.
  Status divide(const plan::StateT &state, int symbol, int64_t &dim) const;

  const Executable &executable;
  const plan::ProgramT &program;
  const int rank;
  const int numThreads;
  std::vector<int64_t> maxima;
  MemoryPlan result;
};

Status Planner::findMaxima(std::span<const int64_t> inputMaxima) {
  maxima.assign(inputMaxima.begin(), inputMaxima.end());
  for (int i : executable.derivedSymbols) {
    const plan::SymbolT &symbol = *program.symbols[i];
    bool isLocal = symbol.kind == plan::SymbolKind_LocalPart;
    MOE_ASSIGN_OR_RETURN(int64_t value,
                         bound(isLocal ? symbol.whole : symbol.bound));
    maxima[i] = value;
    if (isLocal)
      maxima[i] = largestPart(value, executable.numPartsOf(i));
    // A constant is divided once and for all, and weights with it: the rank has
    // exactly its part.
    if (isLocal && executable.exprs.symbolsIn(symbol.whole).empty()) {
      PartRange part = partOf(value, value, executable.placeOf(rank, i),
                              executable.numPartsOf(i));
      maxima[i] = part.end - part.begin;
    }
  }
  return Status::ok();
}

Status outOfMemory(const plan::BufferT &buffer) {
  return Status(StatusCode::OutOfMemory,
                "buffer \"" + buffer.name + "\" overflows 64 bits of size");
}

StatusOr<uint64_t> Planner::rootBytes(int index) const {
  const plan::BufferT &buffer = *program.buffers[index];
  std::vector<int64_t> dims;
  for (uint32_t expr : buffer.dims) {
    MOE_ASSIGN_OR_RETURN(int64_t dim, bound(expr));
    dims.push_back(dim);
  }
  std::optional<uint64_t> bytes =
      checkedProduct(dims, executable.buffers[index].elementBytes);
  if (!bytes || *bytes > INT64_MAX)
    return outOfMemory(buffer);
  return *bytes;
}

Status Planner::planArena() {
  result.bytes.assign(program.buffers.size(), 0);
  result.offsets.assign(program.buffers.size(), 0);
  ArenaProblem problem;
  std::vector<uint32_t> roots;
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const BufferInfo &info = executable.buffers[i];
    bool isRoot = info.root == static_cast<int>(i);
    if (!isRoot || info.firstUse > info.lastUse ||
        executable.storageOf(i, rank) != Storage::Arena)
      continue;
    MOE_ASSIGN_OR_RETURN(result.bytes[i], rootBytes(i));
    roots.push_back(i);
    problem.intervals.push_back({info.firstUse, info.lastUse, result.bytes[i]});
  }
  MOE_RETURN_IF_ERROR(problem.check());
  MOE_ASSIGN_OR_RETURN(ArenaSolution solution, solveArena(problem));
  for (size_t i = 0; i < roots.size(); ++i)
    result.offsets[roots[i]] = solution.offsets[i];
  result.arenaBytes = solution.totalBytes;
  return Status::ok();
}

Status Planner::divide(const plan::StateT &state, int symbol,
                       int64_t &dim) const {
  MOE_ASSIGN_OR_RETURN(int64_t whole, bound(program.symbols[symbol]->whole));
  std::optional<int64_t> part = 0;
  if (whole > 0)
    part = checkedMul(dim / whole + (dim % whole != 0),
                      largestPart(whole, executable.numPartsOf(symbol)));
  if (!part)
    return Status(StatusCode::OutOfMemory,
                  "state \"" + state.name + "\" overflows 64 bits");
  dim = *part;
  return Status::ok();
}

Status Planner::planStates() {
  for (const auto &state : program.states) {
    std::vector<int64_t> dims;
    for (uint32_t expr : state->dims) {
      MOE_ASSIGN_OR_RETURN(int64_t dim, bound(expr));
      dims.push_back(dim);
    }
    StatePlan plan;
    plan.capacity = dims[state->axis];
    if (state->part_axis >= 0)
      MOE_RETURN_IF_ERROR(divide(*state, state->part, dims[state->part_axis]));
    if (state->slice_axis >= 0)
      MOE_RETURN_IF_ERROR(
          divide(*state, state->slice_part, dims[state->slice_axis]));
    std::optional<uint64_t> bytes =
        checkedProduct(dims, dtypeSize(static_cast<DType>(state->dtype)));
    if (!bytes || *bytes > INT64_MAX)
      return Status(StatusCode::OutOfMemory,
                    "state \"" + state->name + "\" overflows 64 bits of size");
    plan.bytes = *bytes;
    result.states.push_back(plan);
  }
  return Status::ok();
}

StatusOr<TensorView> Planner::largestView(int index) const {
  TensorView view;
  if (index < 0) {
    view.rank = -1;
    return view;
  }
  const plan::BufferT &buffer = *program.buffers[index];
  if (buffer.base < 0 && buffer.kind == plan::BufferKind_Param)
    return executable.paramView(rank, buffer.index);
  view.dtype = executable.buffers[index].dtype;
  view.rank = static_cast<int>(buffer.dims.size());
  for (int i = 0; i < view.rank; ++i) {
    MOE_ASSIGN_OR_RETURN(view.dims[i], bound(buffer.dims[i]));
  }
  view.setContiguous();
  return view;
}

Status Planner::planWorkspace() {
  for (int step = 0; step < executable.numSteps(); ++step) {
    const StepInfo &info = executable.steps[step];
    std::vector<TensorView> inputs, outputs;
    for (uint32_t i = 0; i < info.numInputs; ++i) {
      MOE_ASSIGN_OR_RETURN(
          TensorView view,
          largestView(executable.operands[info.firstInput + i]));
      inputs.push_back(view);
    }
    for (uint32_t i = 0; i < info.numOutputs; ++i) {
      MOE_ASSIGN_OR_RETURN(
          TensorView view,
          largestView(executable.operands[info.firstOutput + i]));
      outputs.push_back(view);
    }
    bool isSide = info.sideIndex >= 0;
    StatusOr<size_t> bytes =
        executable.kernel(rank, step)
            .workspaceBytes({inputs, outputs}, isSide ? 1 : numThreads);
    if (!bytes.isOk())
      return bytes.status().at(executable.describeStep(step));
    uint64_t &total =
        isSide ? result.sideWorkspaceBytes : result.workspaceBytes;
    total = std::max<uint64_t>(total, *bytes);
  }
  return Status::ok();
}

} // namespace

StatusOr<MemoryPlan> moe::planMemory(const Executable &executable, int rank,
                                     std::span<const int64_t> inputMaxima,
                                     int numThreads) {
  return Planner(executable, rank, numThreads).plan(inputMaxima);
}
