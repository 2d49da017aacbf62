//===- RankRunner.cpp - One rank of a context -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Memory, and what comes in and goes out; RankBinding.cpp binds views to
// shapes, RankSteps.cpp runs the steps.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/RankRunner.h"
#include "runtime/kernels/cpu/StridedCopy.h"

#include <algorithm>

using namespace moe;

RankRunner::RankRunner(std::shared_ptr<const Executable> shared, int rank,
                       int numThreads, const RankCores &cores)
    : executable(std::move(shared)), program(*executable->program), rank(rank),
      states(program.states.size()), stateViews(program.states.size()),
      symbolValues(program.symbols.size()), exprValues(program.exprs.size()),
      isExprStale(program.exprs.size(), 1),
      isBufferStale(program.buffers.size(), 1),
      isRootStale(program.buffers.size(), 1), isAnyStale(true),
      roots(program.buffers.size()), views(program.buffers.size()),
      operands(executable->operands.size()), stepExprs(program.steps.size()),
      exprTargets(program.exprs.size()), main(0, numThreads, cores) {
  for (size_t expr = 0; expr < exprValues.size(); ++expr)
    staleExprs.push_back(expr);
  for (TensorView &operand : operands)
    operand.rank = -1;
  for (size_t step = 0; step < program.steps.size(); ++step) {
    for (const auto &attribute : program.steps[step]->attributes) {
      if (attribute->kind != plan::AttributeKind_Exprs)
        continue;
      std::vector<int64_t> &values = stepExprs[step][attribute->name];
      values.resize(attribute->exprs.size());
      for (size_t i = 0; i < values.size(); ++i)
        exprTargets[attribute->exprs[i]].push_back(&values[i]);
    }
  }
  for (size_t i = 0; i < program.symbols.size(); ++i) {
    partBegins.push_back(nullptr);
    if (program.symbols[i]->kind != plan::SymbolKind_LocalPart)
      continue;
    partBegins.back() = &parts[program.symbols[i]->name];
    partBegins.back()->assign(executable->numPartsOf(i) + 1, -1);
  }
  main.dataSizes.resize(program.symbols.size());
  main.times.reserve(program.steps.size());
  times.reserve(program.steps.size());
}

RankRunner::~RankRunner() = default;

StatusOr<std::unique_ptr<RankRunner>>
RankRunner::create(std::shared_ptr<const Executable> executable, int rank,
                   int numThreads, const RankCores &cores) {
  std::unique_ptr<RankRunner> result(
      new RankRunner(std::move(executable), rank, numThreads, cores));
  MOE_RETURN_IF_ERROR(result->startStream(cores));
  return result;
}

/// Row-major strides in which `axis` has room for `capacity` entries.
static void setStateStrides(TensorView &view, int axis, int64_t capacity) {
  int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.strides[i] = stride;
    stride *= i == axis ? capacity : view.dims[i];
  }
}

Status RankRunner::allocate(Device &device, MemoryPlan newPlan,
                            std::span<const int64_t> keptLengths) {
  arena.reset();
  main.workspace.reset();
  MOE_ASSIGN_OR_RETURN(arena, device.allocate(newPlan.arenaBytes));
  MOE_ASSIGN_OR_RETURN(main.workspace, device.allocate(newPlan.workspaceBytes));
  if (side) {
    side->lane.workspace.reset();
    MOE_ASSIGN_OR_RETURN(side->lane.workspace,
                         device.allocate(newPlan.sideWorkspaceBytes));
  }
  for (size_t i = 0; i < states.size(); ++i) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<DeviceBuffer> memory,
                         device.allocate(newPlan.states[i].bytes));
    if (states[i] && keptLengths[i] > 0) {
      int axis = program.states[i]->axis;
      TensorView from = stateViews[i];
      from.dims[axis] = keptLengths[i];
      TensorView to = from;
      to.data = memory->data();
      setStateStrides(to, axis, newPlan.states[i].capacity);
      cpu::copyStrided(main.pool, cpu::CopyBox(from, to));
      stateViews[i] = to;
    }
    states[i] = std::move(memory);
  }
  plan = std::move(newPlan);

  for (size_t i = 0; i < roots.size(); ++i) {
    if (executable->buffers[i].root != static_cast<int>(i))
      continue;
    Storage storage = executable->storageOf(i, rank);
    int state = stateOf(i);
    if (storage == Storage::Arena)
      setRoot(i, {arena->data() + plan.offsets[i], plan.bytes[i]});
    else if (state >= 0)
      setRoot(i, {states[state]->data(), plan.states[state].bytes});
  }
  return Status::ok();
}

/// A rank's part of a port's array.
TensorView RankRunner::portView(const plan::PortT &port, PortMemory whole,
                                int ofRank) const {
  TensorView view;
  view.dtype = static_cast<DType>(port.dtype);
  view.rank = static_cast<int>(port.dims.size());
  for (int i = 0; i < view.rank; ++i)
    view.dims[i] = exprValues[port.dims[i]];
  view.setContiguous();
  view.data = whole.data;
  auto divide = [&](int axis, int symbol) {
    PartRange part = partOfSize(view.dims[axis], symbol, ofRank);
    view.dims[axis] = part.end - part.begin;
    return part.begin * view.strides[axis];
  };
  int64_t begin = 0;
  if (port.part_axis >= 0)
    begin += divide(port.part_axis, port.part);
  if (port.slice_axis >= 0)
    begin += divide(port.slice_axis, port.slice_part);
  if (view.numElements() > 0)
    view.data = whole.data + begin * dtypeSize(view.dtype);
  return view;
}

static bool hasSameDims(const TensorView &a, const TensorView &b) {
  return a.rank == b.rank && a.dtype == b.dtype &&
         std::equal(a.dims, a.dims + a.rank, b.dims);
}

Status RankRunner::copyPort(const plan::PortT &port, PortMemory whole,
                            int buffer, bool toPort) {
  TensorView outside = portView(port, whole);
  const TensorView &inside = views[buffer];
  if (!hasSameDims(outside, inside))
    return Status(StatusCode::BadPlan,
                  "port \"" + port.name + "\" and its buffer differ in shape");
  cpu::copyStrided(main.pool, toPort ? cpu::CopyBox(inside, outside)
                                     : cpu::CopyBox(outside, inside));
  return Status::ok();
}

Status RankRunner::copyState(const plan::PortT &port, PortMemory whole,
                             bool toPort) {
  TensorView outside = portView(port, whole);
  TensorView inside = stateViews[port.state];
  int axis = program.states[port.state]->axis;
  if (outside.rank == inside.rank)
    inside.dims[axis] = std::min(inside.dims[axis], outside.dims[axis]);
  if (!hasSameDims(outside, inside))
    return Status(StatusCode::BadPlan,
                  "port \"" + port.name + "\" and its state differ in shape");
  cpu::copyStrided(main.pool, toPort ? cpu::CopyBox(inside, outside)
                                     : cpu::CopyBox(outside, inside));
  return Status::ok();
}

Status RankRunner::copyIn(const RunRequest &request) {
  for (PortCopy copy : executable->copiesIn)
    MOE_RETURN_IF_ERROR(copyPort(*program.inputs[copy.port],
                                 request.inputs[copy.port], copy.buffer,
                                 /*toPort=*/false));
  for (size_t i = 0; i < program.inputs.size(); ++i)
    if (program.inputs[i]->state >= 0 && request.inputs[i].data)
      MOE_RETURN_IF_ERROR(copyState(*program.inputs[i], request.inputs[i],
                                    /*toPort=*/false));
  return Status::ok();
}

Status RankRunner::copyOut(const RunRequest &request) {
  for (PortCopy copy : executable->copiesOut) {
    const plan::PortT &port = *program.outputs[copy.port];
    if (executable->isWriter(port, rank))
      MOE_RETURN_IF_ERROR(copyPort(port, request.outputs[copy.port],
                                   copy.buffer, /*toPort=*/true));
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const plan::PortT &port = *program.outputs[i];
    if (port.state >= 0 && port.buffer < 0 && request.outputs[i].data &&
        executable->isWriter(port, rank))
      MOE_RETURN_IF_ERROR(copyState(port, request.outputs[i], /*toPort=*/true));
  }
  return Status::ok();
}
