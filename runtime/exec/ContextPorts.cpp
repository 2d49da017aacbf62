//===- ContextPorts.cpp - What goes into a run and comes out --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ContextImpl.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>

using namespace moe;

static Status inputError(const std::string &name, const std::string &what) {
  return Status(StatusCode::IoError, "input \"" + name + "\" " + what);
}

StatusOr<std::span<const Output>>
Context::Impl::run(std::span<const Input> inputs,
                   const RunOptions &runOptions) {
  MOE_RETURN_IF_ERROR(executable->loadWeights());
  MOE_RETURN_IF_ERROR(takeInputs(inputs, runOptions.keepState));
  MOE_RETURN_IF_ERROR(solveShapes(*executable, shapes, values));
  if (executable->isPartial())
    MOE_RETURN_IF_ERROR(agreeOnRun(runOptions));
  MOE_RETURN_IF_ERROR(boundOtherSymbols());
  MOE_RETURN_IF_ERROR(makeRoom());
  MOE_RETURN_IF_ERROR(placeOutputs(runOptions));
  // A run that fails leaves kept entries alone, for it only appends; one that
  // loads its own past does not.
  if (!runOptions.keepState)
    std::fill(keptLengths.begin(), keptLengths.end(), 0);
  MOE_RETURN_IF_ERROR(runRanks(runOptions));
  MOE_RETURN_IF_ERROR(keepStates());
  MOE_RETURN_IF_ERROR(collectResults());
  return std::span<const Output>(results);
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// Callers usually give the inputs in the model's order.
StatusOr<int> Context::Impl::findInput(std::string_view name,
                                       size_t position) const {
  if (position < program.inputs.size() &&
      program.inputs[position]->name == name)
    return static_cast<int>(position);
  if (auto it = inputIndex.find(name); it != inputIndex.end())
    return it->second;
  std::string known;
  for (const auto &port : program.inputs)
    known += (known.empty() ? "" : ", ") + port->name;
  return inputError(std::string(name), "does not exist, expected " + known);
}

Status Context::Impl::takeInputs(std::span<const Input> inputs,
                                 bool keepState) {
  for (PortShape &shape : shapes)
    shape.isPresent = false;
  std::fill(inputMemory.begin(), inputMemory.end(), PortMemory());
  for (size_t i = 0; i < inputs.size(); ++i) {
    MOE_ASSIGN_OR_RETURN(int port, findInput(inputs[i].name, i));
    if (shapes[port].isPresent)
      return inputError(program.inputs[port]->name, "is given twice");
    if (keepState && program.inputs[port]->state >= 0)
      return inputError(program.inputs[port]->name,
                        "is given, but its cache is kept in the context");
    MOE_RETURN_IF_ERROR(takeInput(inputs[i], port));
  }
  for (size_t port = 0; port < shapes.size(); ++port)
    if (!shapes[port].isPresent)
      MOE_RETURN_IF_ERROR(takeMissing(port, keepState));
  return Status::ok();
}

Status Context::Impl::takeInput(const Input &input, int port) {
  const plan::PortT &info = *program.inputs[port];
  DType expected = static_cast<DType>(info.dtype);
  if (input.dtype != expected)
    return inputError(
        info.name, "has element type " + std::string(dtypeName(input.dtype)) +
                       ", expected " + std::string(dtypeName(expected)));
  if (input.dims.size() > kMaxRank)
    return inputError(info.name, "has " + std::to_string(input.dims.size()) +
                                     " dimensions, expected " +
                                     std::to_string(info.dims.size()));
  std::optional<uint64_t> bytes =
      checkedProduct(input.dims, dtypeSize(expected));
  if (!bytes || *bytes > INT64_MAX)
    return inputError(info.name, "has a size that is negative or overflows");
  if (*bytes > 0 && !input.data)
    return inputError(info.name, "has no data");
  PortShape &shape = shapes[port];
  shape.isPresent = true;
  shape.isKept = false;
  shape.rank = static_cast<int>(input.dims.size());
  std::copy(input.dims.begin(), input.dims.end(), shape.dims);
  inputMemory[port] = {static_cast<std::byte *>(const_cast<void *>(input.data)),
                       *bytes};
  return Status::ok();
}

Status Context::Impl::takeMissing(int port, bool keepState) {
  const plan::PortT &info = *program.inputs[port];
  if (info.state < 0 || !keepState) {
    bool isUsed = info.buffer >= 0 || info.state >= 0;
    return isUsed ? inputError(info.name, "is missing") : Status::ok();
  }
  const plan::StateT &state = *program.states[info.state];
  PortShape &shape = shapes[port];
  shape.isPresent = true;
  shape.isKept = true;
  shape.rank = static_cast<int>(state.dims.size());
  if (keptLengths[info.state] > 0) {
    std::copy_n(keptDims[info.state].begin(), shape.rank, shape.dims);
    return Status::ok();
  }
  std::fill_n(shape.dims, shape.rank, PortShape::kUnknown);
  shape.dims[state.axis] = 0;
  return Status::ok();
}

/// Values of the other symbols as rank 0 has them, data symbols at their
/// bounds: for the sizes of outputs.
Status Context::Impl::boundOtherSymbols() {
  for (int i : executable->derivedSymbols) {
    const plan::SymbolT &symbol = *program.symbols[i];
    bool isLocal = symbol.kind == plan::SymbolKind_LocalPart;
    MOE_ASSIGN_OR_RETURN(values[i],
                         executable->exprs.evaluate(
                             isLocal ? symbol.whole : symbol.bound, values));
    if (isLocal)
      values[i] = partBegin(values[i], 1, executable->numPartsOf(i));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Outputs and states
//===----------------------------------------------------------------------===//

Status Context::Impl::placeOutputs(const RunOptions &runOptions) {
  for (const OutputMemory &memory : runOptions.outputMemory) {
    bool isKnown = std::any_of(
        program.outputs.begin(), program.outputs.end(),
        [&](const auto &port) { return port->name == memory.name; });
    if (!isKnown)
      return Status(StatusCode::IoError, "output \"" +
                                             std::string(memory.name) +
                                             "\" does not exist");
  }
  for (size_t port = 0; port < outputs.size(); ++port) {
    outputMemory[port] = PortMemory();
    if (isWanted(*program.outputs[port], runOptions))
      MOE_RETURN_IF_ERROR(placeOutput(port, runOptions));
  }
  return Status::ok();
}

Status Context::Impl::placeOutput(int port, const RunOptions &runOptions) {
  const plan::PortT &info = *program.outputs[port];
  OutputSlot &slot = outputs[port];
  slot.dims.resize(info.dims.size());
  for (size_t i = 0; i < slot.dims.size(); ++i) {
    MOE_ASSIGN_OR_RETURN(slot.dims[i],
                         executable->exprs.evaluate(info.dims[i], values));
  }
  std::optional<uint64_t> bytes =
      checkedProduct(slot.dims, dtypeSize(static_cast<DType>(info.dtype)));
  if (!bytes || *bytes > INT64_MAX)
    return Status(StatusCode::BadModel,
                  "output \"" + info.name +
                      "\" has a size that is negative or overflows");
  for (const OutputMemory &memory : runOptions.outputMemory) {
    if (memory.name != info.name)
      continue;
    if (memory.bytes < *bytes)
      return Status(StatusCode::IoError,
                    "output \"" + info.name + "\" takes " +
                        std::to_string(*bytes) + " bytes, " +
                        std::to_string(memory.bytes) + " are given");
    outputMemory[port] = {static_cast<std::byte *>(memory.data), *bytes};
    return Status::ok();
  }
  if (!slot.owned || slot.owned->size() < *bytes) {
    if (*bytes > options.memoryLimit)
      return Status(StatusCode::OutOfMemory,
                    "output \"" + info.name + "\" takes " +
                        std::to_string(*bytes) + " bytes");
    slot.owned.reset();
    MOE_ASSIGN_OR_RETURN(slot.owned,
                         device->allocate(std::max<uint64_t>(*bytes, 1)));
  }
  outputMemory[port] = {slot.owned->data(), *bytes};
  return Status::ok();
}

Status Context::Impl::keepStates() {
  for (size_t i = 0; i < program.states.size(); ++i) {
    const plan::StateT &state = *program.states[i];
    keptDims[i].resize(state.dims.size());
    for (size_t axis = 0; axis < state.dims.size(); ++axis) {
      MOE_ASSIGN_OR_RETURN(keptDims[i][axis], executable->exprs.evaluate(
                                                  state.dims[axis], values));
    }
    keptLengths[i] = keptDims[i][state.axis];
  }
  return Status::ok();
}

Status Context::Impl::collectResults() {
  results.clear();
  for (size_t port = 0; port < outputs.size(); ++port) {
    if (!outputMemory[port].data)
      continue;
    const plan::PortT &info = *program.outputs[port];
    OutputSlot &slot = outputs[port];
    // Sizes that became known during the run.
    uint64_t bytes = dtypeSize(static_cast<DType>(info.dtype));
    for (size_t i = 0; i < slot.dims.size(); ++i) {
      MOE_ASSIGN_OR_RETURN(
          slot.dims[i],
          executable->exprs.evaluate(info.dims[i], runners[0]->symbols()));
      bytes *= slot.dims[i];
    }
    results.push_back({info.name, static_cast<DType>(info.dtype), slot.dims,
                       outputMemory[port].data, bytes});
  }
  return Status::ok();
}
