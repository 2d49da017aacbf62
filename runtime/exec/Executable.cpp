//===- Executable.cpp - A plan made ready to run --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Executable.h"
#include "runtime/exec/Parts.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>

using namespace moe;

static Status badPlan(std::string message) {
  return Status(StatusCode::BadPlan, std::move(message));
}

StatusOr<std::shared_ptr<Executable>>
Executable::create(std::shared_ptr<const plan::ProgramT> program,
                   const KernelRegistry &registry, WeightLoader loadWeights,
                   int onlyRank) {
  auto result = std::make_shared<Executable>();
  result->program = std::move(program);
  result->first = std::max(onlyRank, 0);
  result->hosted = onlyRank < 0 ? result->numRanks() : 1;
  if (result->first + result->hosted > result->numRanks())
    return Status(StatusCode::Usage, "there is no rank " +
                                         std::to_string(onlyRank) +
                                         ", the plan is for " +
                                         std::to_string(result->numRanks()));
  result->mesh = Mesh::of(*result->program);
  result->loader = std::move(loadWeights);
  std::vector<std::string> names;
  for (const auto &symbol : result->program->symbols)
    names.push_back(symbol->name);
  MOE_ASSIGN_OR_RETURN(result->exprs,
                       ExprTable::create(result->program->exprs, names));
  result->resolveBuffers();
  result->steps.resize(result->numSteps());
  for (int step = 0; step < result->numSteps(); ++step)
    result->resolveStep(step);
  result->orderSymbols();
  result->findDataSymbols();
  MOE_RETURN_IF_ERROR(result->resolvePorts());
  result->resolveSymbols();
  MOE_RETURN_IF_ERROR(result->scheduleStreams());
  MOE_RETURN_IF_ERROR(result->createKernels(registry));
  MOE_RETURN_IF_ERROR(result->chooseLayouts(registry));
  return result;
}

Storage Executable::storageOf(int root, int rank) const {
  const plan::BufferT &buffer = *program->buffers[root];
  switch (buffer.kind) {
  case plan::BufferKind_Arena:
    return Storage::Arena;
  case plan::BufferKind_Input: {
    const plan::PortT &port = *program->inputs[buffer.index];
    if (port.state >= 0)
      return Storage::State;
    return isScattered(port) ? Storage::Arena : Storage::Input;
  }
  case plan::BufferKind_Output: {
    const plan::PortT &port = *program->outputs[buffer.index];
    bool isInPlace = !isScattered(port) && isWriter(port, rank);
    return isInPlace ? Storage::Output : Storage::Arena;
  }
  case plan::BufferKind_Param:
    return Storage::Param;
  case plan::BufferKind_State:
    return Storage::State;
  case plan::BufferKind_Constant:
    return Storage::Constant;
  }
  return Storage::Arena;
}

/// Finds roots and an order in which bases come before views.
void Executable::resolveBuffers() {
  int count = static_cast<int>(program->buffers.size());
  buffers.resize(count);
  for (int i = 0; i < count; ++i) {
    const plan::BufferT &buffer = *program->buffers[i];
    BufferInfo &info = buffers[i];
    info.dtype = static_cast<DType>(buffer.dtype);
    info.elementBytes = dtypeSize(info.dtype);
    if (buffer.base >= 0 || buffer.kind != plan::BufferKind_Arena)
      continue;
    info.firstUse = buffer.first_step;
    info.lastUse = buffer.last_step;
  }
  for (int i = 0; i < count; ++i) {
    std::vector<int> chain;
    for (int at = i; at >= 0 && buffers[at].root < 0;
         at = program->buffers[at]->base)
      chain.push_back(at);
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
      int base = program->buffers[*it]->base;
      buffers[*it].root = base < 0 ? *it : buffers[base].root;
      order.push_back(*it);
    }
  }
}

void Executable::noteUse(int buffer, int step) {
  BufferInfo &root = buffers[buffers[buffer].root];
  root.firstUse = std::min(root.firstUse, step);
  root.lastUse = std::max(root.lastUse, step);
}

void Executable::resolveStep(int index) {
  const plan::StepT &step = *program->steps[index];
  StepInfo &info = steps[index];
  info.firstInput = operands.size();
  info.numInputs = step.inputs.size();
  operands.insert(operands.end(), step.inputs.begin(), step.inputs.end());
  info.firstOutput = operands.size();
  info.numOutputs = step.outputs.size();
  operands.insert(operands.end(), step.outputs.begin(), step.outputs.end());
  info.guard = step.guard;
  info.nodeSize = static_cast<int>(nodeSizeOf(step));
  if (step.stream == 1) {
    info.sideIndex = static_cast<int>(sideSteps.size());
    sideSteps.push_back(index);
  }
  for (uint32_t slot = info.firstInput; slot < operands.size(); ++slot) {
    if (operands[slot] < 0)
      continue;
    buffers[operands[slot]].slots.push_back(slot);
    noteUse(operands[slot], index);
  }
}

// A part is a part of input symbols, or of such parts; a bound may use all.
void Executable::orderSymbols() {
  enum { Part, PartOfPart, Bound };
  auto stageOf = [&](const plan::SymbolT &symbol) {
    if (symbol.kind == plan::SymbolKind_Data)
      return Bound;
    for (uint32_t used : exprs.symbolsIn(symbol.whole))
      if (program->symbols[used]->kind == plan::SymbolKind_LocalPart)
        return PartOfPart;
    return Part;
  };
  for (auto stage : {Part, PartOfPart, Bound})
    for (size_t i = 0; i < program->symbols.size(); ++i)
      if (program->symbols[i]->kind != plan::SymbolKind_Input &&
          stageOf(*program->symbols[i]) == stage)
        derivedSymbols.push_back(i);
}

void Executable::findDataSymbols() {
  std::vector<bool> isDefined(program->symbols.size());
  for (StepInfo &step : steps) {
    for (uint32_t i = 0; i < step.numOutputs; ++i) {
      int buffer = operands[step.firstOutput + i];
      for (uint32_t dim : program->buffers[buffer]->dims)
        for (uint32_t symbol : exprs.symbolsIn(dim)) {
          if (program->symbols[symbol]->kind != plan::SymbolKind_Data ||
              isDefined[symbol])
            continue;
          isDefined[symbol] = true;
          step.dataSymbols.push_back(symbol);
        }
    }
  }
}

/// Decides which caller's arrays are copied. An output that no step writes in
/// place (a view, a shared buffer) is copied after the steps.
Status Executable::resolvePorts() {
  for (size_t i = 0; i < program->inputs.size(); ++i) {
    const plan::PortT &port = *program->inputs[i];
    if (port.buffer < 0)
      continue;
    const plan::BufferT &buffer = *program->buffers[port.buffer];
    if (buffer.base >= 0 || buffer.index != static_cast<int>(i) ||
        buffer.kind != plan::BufferKind_Input)
      return badPlan("input \"" + port.name + "\" is not its buffer's port");
    noteUse(port.buffer, -1);
    if (isScattered(port) && port.state < 0)
      copiesIn.push_back({static_cast<int>(i), port.buffer});
  }
  for (size_t i = 0; i < program->outputs.size(); ++i) {
    const plan::PortT &port = *program->outputs[i];
    if (port.buffer < 0 && port.state < 0)
      return badPlan("output \"" + port.name + "\" has no value");
    if (port.buffer < 0)
      continue;
    for (uint32_t dim : port.dims)
      for (uint32_t symbol : exprs.symbolsIn(dim))
        if (program->symbols[symbol]->kind == plan::SymbolKind_Data &&
            (port.part_axis >= 0 || port.slice_axis >= 0))
          return Status(StatusCode::Unsupported,
                        "output \"" + port.name +
                            "\" has a data dependent size and is divided");
    const plan::BufferT &buffer = *program->buffers[port.buffer];
    bool isOwn = buffer.base < 0 && buffer.kind == plan::BufferKind_Output &&
                 buffer.index == static_cast<int>(i);
    if (isOwn && !isScattered(port))
      continue;
    copiesOut.push_back({static_cast<int>(i), port.buffer});
    noteUse(port.buffer, numSteps());
  }
  return Status::ok();
}

void Executable::resolveSymbols() {
  symbols.resize(program->symbols.size());
  for (uint32_t index : order) {
    const plan::BufferT &buffer = *program->buffers[index];
    std::vector<uint32_t> &used = buffers[index].symbols;
    auto add = [&](std::span<const uint32_t> more) {
      used.insert(used.end(), more.begin(), more.end());
    };
    if (buffer.base >= 0)
      add(buffers[buffer.base].symbols);
    for (uint32_t expr : buffer.dims)
      add(exprs.symbolsIn(expr));
    for (uint32_t expr : buffer.strides)
      add(exprs.symbolsIn(expr));
    if (buffer.has_offset)
      add(exprs.symbolsIn(buffer.offset));
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    for (uint32_t symbol : used)
      symbols[symbol].buffers.push_back(index);
  }
  for (size_t port = 0; port < program->inputs.size(); ++port) {
    const std::vector<uint32_t> &dims = program->inputs[port]->dims;
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (int symbol = exprs.symbolOf(dims[axis]); symbol >= 0)
        symbols[symbol].sources.push_back({port, axis});
  }
}

Status Executable::createKernels(const KernelRegistry &registry) {
  kernels.resize(hosted);
  for (int rank = first; rank < first + hosted; ++rank) {
    for (int step = 0; step < numSteps(); ++step) {
      const plan::StepT &info = *program->steps[step];
      const plan::LayerT *layer =
          info.layer < 0 ? nullptr : program->layers[info.layer].get();
      StatusOr<std::unique_ptr<Kernel>> kernel =
          registry.create({info, layer, mesh.placeOf(rank, info.group),
                           mesh.sizeOf(info.group)});
      if (!kernel.isOk())
        return kernel.status().at(describeStep(step));
      kernels[rank - first].push_back(*std::move(kernel));
    }
  }
  return Status::ok();
}

std::string Executable::describeStep(int step) const {
  constexpr size_t kMaxNodes = 3;
  const plan::StepT &info = *program->steps[step];
  std::string text = "step " + std::to_string(step) + " (" + info.kernel;
  for (size_t i = 0; i < info.nodes.size() && i < kMaxNodes; ++i) {
    text += i == 0 ? ", from \"" : "\", \"";
    text += program->nodes[info.nodes[i]];
  }
  if (!info.nodes.empty())
    text += "\"";
  if (info.nodes.size() > kMaxNodes)
    text += " and " + std::to_string(info.nodes.size() - kMaxNodes) + " more";
  return text + ")";
}

TensorView Executable::paramView(int rank, int index) const {
  const plan::ParamT &param = *program->params[index];
  TensorView view;
  view.dtype = static_cast<DType>(param.dtype);
  view.layout = layouts[index];
  view.rank = static_cast<int>(param.dims.size());
  std::copy_n(param.dims.begin(), view.rank, view.dims);
  if (param.experts == 0 && param.part_axis >= 0) {
    // A constant that divides the dimension.
    uint32_t whole = program->symbols[param.part]->whole;
    int64_t &dim = view.dims[param.part_axis];
    PartRange part = partOf(dim, *exprs.evaluate(whole, {}),
                            placeOf(rank, param.part), numPartsOf(param.part));
    dim = part.end - part.begin;
  }
  view.setContiguous();
  return view;
}

Status Executable::loadWeights() {
  std::lock_guard lock(weightMutex);
  if (haveWeights)
    return Status::ok();
  std::vector<WeightRequest> requests;
  for (int rank = first; rank < first + hosted; ++rank)
    for (uint32_t param = 0; param < program->params.size(); ++param)
      requests.push_back({rank, param, layouts[param]});
  if (!requests.empty()) {
    MOE_ASSIGN_OR_RETURN(weights, loader(requests));
  }
  haveWeights = true;
  return Status::ok();
}

Counters Executable::weightCounters(int rank) const {
  Counters counters;
  if (weights.empty())
    return counters;
  for (size_t param = 0; param < program->params.size(); ++param) {
    const ParamBlocks &blocks =
        weights[(rank - first) * program->params.size() + param];
    counters.weightBytes += blocks.bytes;
    if (blocks.isExpert)
      counters.expertWeightBytes += blocks.bytes;
  }
  return counters;
}

int Executable::numRepacked() const {
  int count = 0;
  for (size_t param = 0; param < layouts.size(); ++param)
    count += layouts[param] != program->params[param]->layout;
  return count;
}
