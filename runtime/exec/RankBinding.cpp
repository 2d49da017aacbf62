//===- RankBinding.cpp - Views of a rank's operands -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing here trusts the plan's sizes: a view that would leave the bytes of
// its root is an error.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/RankRunner.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>

using namespace moe;

Status RankRunner::bind(const RunRequest &request) {
  MOE_RETURN_IF_ERROR(bindSymbols(request.symbols));
  MOE_RETURN_IF_ERROR(renewExprs());
  MOE_RETURN_IF_ERROR(bindStates());
  for (size_t i = 0; i < program.inputs.size(); ++i)
    bindPort(*program.inputs[i], Storage::Input, request.inputs[i]);
  for (size_t i = 0; i < program.outputs.size(); ++i)
    bindPort(*program.outputs[i], Storage::Output, request.outputs[i]);
  return renewViews();
}

void RankRunner::setSymbol(int symbol, int64_t value) {
  if (symbolValues[symbol] == value)
    return;
  symbolValues[symbol] = value;
  for (uint32_t expr : executable->exprs.readersOf(symbol)) {
    if (isExprStale[expr])
      continue;
    isExprStale[expr] = 1;
    staleExprs.push_back(expr);
  }
  for (uint32_t buffer : executable->symbols[symbol].buffers) {
    isBufferStale[buffer] = 1;
    isAnyStale = true;
  }
}

Status RankRunner::bindSymbols(std::span<const int64_t> inputSymbols) {
  for (size_t i = 0; i < symbolValues.size(); ++i)
    if (program.symbols[i]->kind == plan::SymbolKind_Input)
      setSymbol(i, inputSymbols[i]);
  for (int i : executable->derivedSymbols) {
    const plan::SymbolT &symbol = *program.symbols[i];
    if (symbol.kind == plan::SymbolKind_LocalPart) {
      MOE_RETURN_IF_ERROR(bindLocalPart(i));
      continue;
    }
    MOE_ASSIGN_OR_RETURN(
        int64_t bound, executable->exprs.evaluate(symbol.bound, symbolValues));
    setSymbol(i, bound);
  }
  return Status::ok();
}

Status RankRunner::bindLocalPart(int index) {
  const plan::SymbolT &symbol = *program.symbols[index];
  MOE_ASSIGN_OR_RETURN(int64_t whole,
                       executable->exprs.evaluate(symbol.whole, symbolValues));
  if (whole < 0)
    return Status(StatusCode::BadModel, "\"" + symbol.name +
                                            "\" is a part of " +
                                            std::to_string(whole));
  std::vector<int64_t> &begins = *partBegins[index];
  int numParts = executable->numPartsOf(index);
  if (begins.back() != whole)
    for (int part = 0; part <= numParts; ++part)
      begins[part] = partBegin(whole, part, numParts);
  int place = executable->placeOf(rank, index);
  setSymbol(index, begins[place + 1] - begins[place]);
  return Status::ok();
}

Status RankRunner::renewExprs() {
  while (!staleExprs.empty()) {
    uint32_t expr = staleExprs.back();
    MOE_ASSIGN_OR_RETURN(int64_t value,
                         executable->exprs.evaluate(expr, symbolValues));
    exprValues[expr] = value;
    for (int64_t *target : exprTargets[expr])
      *target = value;
    isExprStale[expr] = 0;
    staleExprs.pop_back();
  }
  return Status::ok();
}

/// The state whose memory a root is, or -1.
int RankRunner::stateOf(int root) const {
  if (executable->storageOf(root, rank) != Storage::State)
    return -1;
  const plan::BufferT &buffer = *program.buffers[root];
  return buffer.kind == plan::BufferKind_State
             ? buffer.index
             : program.inputs[buffer.index]->state;
}

Status RankRunner::bindStates() {
  for (size_t i = 0; i < program.states.size(); ++i) {
    const plan::StateT &state = *program.states[i];
    TensorView view;
    view.dtype = static_cast<DType>(state.dtype);
    view.rank = static_cast<int>(state.dims.size());
    view.data = states[i]->data();
    int64_t stride = 1;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      int64_t dim = exprValues[state.dims[axis]];
      for (auto [divided, symbol] : {std::pair(state.part_axis, state.part),
                                     {state.slice_axis, state.slice_part}}) {
        if (axis != divided)
          continue;
        PartRange part = partOfSize(dim, symbol);
        dim = part.end - part.begin;
      }
      view.dims[axis] = dim;
      view.strides[axis] = stride;
      int64_t room = axis == state.axis ? plan.states[i].capacity : dim;
      std::optional<int64_t> next = checkedMul(stride, room);
      if (dim < 0 || dim > room || !next)
        return Status(StatusCode::OutOfMemory,
                      "state \"" + state.name + "\" has no room for " +
                          std::to_string(dim) + " entries");
      stride = *next;
    }
    if (static_cast<uint64_t>(stride) * dtypeSize(view.dtype) >
        plan.states[i].bytes)
      return Status(StatusCode::OutOfMemory,
                    "state \"" + state.name + "\" is larger than reserved");
    bool isMoved = !std::equal(view.strides, view.strides + view.rank,
                               stateViews[i].strides);
    stateViews[i] = view;
    if (!isMoved)
      continue;
    for (size_t buffer = 0; buffer < roots.size(); ++buffer)
      if (executable->buffers[buffer].root == static_cast<int>(buffer) &&
          stateOf(buffer) == static_cast<int>(i))
        isRootStale[buffer] = isAnyStale = true;
  }
  return Status::ok();
}

void RankRunner::setRoot(int root, RootMemory memory) {
  if (roots[root].data == memory.data && roots[root].bytes == memory.bytes)
    return;
  roots[root] = memory;
  isRootStale[root] = isAnyStale = true;
}

void RankRunner::bindPort(const plan::PortT &port, Storage storage,
                          PortMemory whole) {
  if (port.buffer < 0)
    return;
  int root = executable->buffers[port.buffer].root;
  if (root != port.buffer || executable->storageOf(root, rank) != storage)
    return;
  RootMemory memory{whole.data, whole.bytes};
  if (port.part_axis == 0) {
    int64_t size = exprValues[port.dims[0]];
    PartRange part = partOfSize(size, port.part);
    uint64_t rowBytes = size > 0 ? whole.bytes / size : 0;
    memory.data += part.begin * rowBytes;
    memory.bytes = (part.end - part.begin) * rowBytes;
  }
  setRoot(root, memory);
}

Status RankRunner::renewViews() {
  if (!isAnyStale)
    return Status::ok();
  for (uint32_t buffer : executable->order) {
    int root = executable->buffers[buffer].root;
    if (!isBufferStale[buffer] && !isRootStale[root])
      continue;
    MOE_RETURN_IF_ERROR(renewView(buffer));
  }
  std::fill(isBufferStale.begin(), isBufferStale.end(), 0);
  std::fill(isRootStale.begin(), isRootStale.end(), 0);
  isAnyStale = false;
  return Status::ok();
}

Status RankRunner::renewView(uint32_t index) {
  const plan::BufferT &buffer = *program.buffers[index];
  TensorView view;
  view.dtype = executable->buffers[index].dtype;
  if (buffer.base < 0 && buffer.kind == plan::BufferKind_Constant) {
    plan::ConstantT &constant = *program.constants[buffer.index];
    roots[index] = {reinterpret_cast<std::byte *>(constant.data.data()),
                    constant.data.size()};
  }
  if (buffer.base < 0 && buffer.kind == plan::BufferKind_Param) {
    bindParam(buffer.index, view);
    roots[index] = {static_cast<std::byte *>(view.data),
                    view.blocks.empty() ? 0 : view.blocks[0].bytes};
  } else {
    MOE_RETURN_IF_ERROR(bindSizes(index, view));
    MOE_RETURN_IF_ERROR(bindAddress(index, view));
  }
  views[index] = view;
  for (uint32_t slot : executable->buffers[index].slots)
    operands[slot] = view;
  return Status::ok();
}

void RankRunner::bindParam(int index, TensorView &view) {
  view = executable->paramView(rank, index);
  view.blocks = executable->blocksOf(rank, index);
  if (!view.blocks.empty())
    view.data = const_cast<std::byte *>(view.blocks[0].data);
}

Status RankRunner::bindSizes(uint32_t index, TensorView &view) const {
  const plan::BufferT &buffer = *program.buffers[index];
  view.rank = static_cast<int>(buffer.dims.size());
  int64_t numElements = 1;
  for (int i = 0; i < view.rank; ++i) {
    view.dims[i] = exprValues[buffer.dims[i]];
    if (view.dims[i] < 0)
      return Status(StatusCode::BadModel,
                    "buffer \"" + buffer.name + "\" has dimension " +
                        std::to_string(i) + " = " +
                        executable->exprs.text(buffer.dims[i]) + " = " +
                        std::to_string(view.dims[i]));
    int64_t factor = std::max<int64_t>(view.dims[i], 1);
    if (__builtin_mul_overflow(numElements, factor, &numElements))
      return Status(StatusCode::OutOfMemory,
                    "buffer \"" + buffer.name + "\" overflows 64 bits");
  }
  int state = stateOf(executable->buffers[index].root);
  if (!buffer.strides.empty()) {
    for (int i = 0; i < view.rank; ++i)
      view.strides[i] = exprValues[buffer.strides[i]];
  } else if (state >= 0) {
    // Entries of a state keep their places while it grows.
    if (view.rank != stateViews[state].rank)
      return Status(StatusCode::BadPlan,
                    "buffer \"" + buffer.name + "\" reshapes a state");
    std::copy_n(stateViews[state].strides, view.rank, view.strides);
  } else {
    view.setContiguous();
  }
  return Status::ok();
}

/// Sets the address and checks that all elements lie inside the root.
Status RankRunner::bindAddress(uint32_t index, TensorView &view) const {
  const plan::BufferT &buffer = *program.buffers[index];
  const RootMemory &root = roots[executable->buffers[index].root];
  int64_t width = executable->buffers[index].elementBytes;
  std::optional<int64_t> begin = 0;
  if (buffer.base >= 0) {
    const TensorView &base = views[buffer.base];
    view.blocks = base.blocks;
    if (base.data)
      begin = (static_cast<std::byte *>(base.data) - root.data) / width;
  }
  if (buffer.has_offset)
    begin = checkedAdd(*begin, exprValues[buffer.offset]);
  std::optional<uint64_t> end;
  if (begin)
    end = viewExtent(*begin, std::span(view.dims).first(view.rank),
                     std::span(view.strides).first(view.rank));
  if (!end || *end > root.bytes / width)
    return Status(StatusCode::BadPlan,
                  "buffer \"" + buffer.name + "\" leaves the " +
                      std::to_string(root.bytes) + " bytes of its memory");
  view.data = *end == 0 ? root.data : root.data + *begin * width;
  return Status::ok();
}
