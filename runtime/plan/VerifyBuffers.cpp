//===- VerifyBuffers.cpp - Buffers and what is behind them ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>

using namespace moe;

Status ProgramVerifier::verifyBuffers() {
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const plan::BufferT &buffer = *program.buffers[i];
    Place place("buffer", i, &buffer.name);
    if (buffer.kind > plan::BufferKind_MAX)
      return place.error("has an unknown kind");
    MOE_RETURN_IF_ERROR(checkDType(place, buffer.dtype));
    MOE_RETURN_IF_ERROR(
        checkDims(place, "dimensions", buffer.dims, kAllSymbols));
    if (buffer.base != -1)
      MOE_RETURN_IF_ERROR(
          place.checkIndex("base", buffer.base, program.buffers.size()));
  }
  MOE_RETURN_IF_ERROR(findRoots());
  // Views rely on what is behind their roots.
  for (bool isView : {false, true})
    for (size_t i = 0; i < program.buffers.size(); ++i)
      if ((program.buffers[i]->base != -1) == isView)
        MOE_RETURN_IF_ERROR(verifyBuffer(i));
  return Status::ok();
}

Status ProgramVerifier::findRoots() {
  size_t numBuffers = program.buffers.size();
  rootOf.assign(numBuffers, -1);
  std::vector<int32_t> chain;
  for (size_t i = 0; i < numBuffers; ++i) {
    chain.clear();
    int32_t current = static_cast<int32_t>(i);
    while (rootOf[current] == -1 && program.buffers[current]->base != -1) {
      chain.push_back(current);
      current = program.buffers[current]->base;
      if (chain.size() > numBuffers)
        return Place("buffer", i, &program.buffers[i]->name)
            .error("is a view of itself");
    }
    int32_t root = rootOf[current] == -1 ? current : rootOf[current];
    rootOf[current] = root;
    for (int32_t view : chain)
      rootOf[view] = root;
  }
  return Status::ok();
}

Status ProgramVerifier::verifyBuffer(size_t index) const {
  const plan::BufferT &buffer = *program.buffers[index];
  Place place("buffer", index, &buffer.name);
  if (buffer.base != -1)
    return verifyView(place, buffer);
  if (buffer.has_offset || !buffer.strides.empty())
    return place.error("has an offset or strides, which only views have");
  return verifyBufferSource(place, buffer);
}

/// What the memory of a buffer that is no view is.
Status ProgramVerifier::verifyBufferSource(const Place &place,
                                           const plan::BufferT &buffer) const {
  auto checkSame = [&](const char *what, uint8_t dtype, size_t rank) {
    if (buffer.dtype == dtype && buffer.dims.size() == rank)
      return Status::ok();
    return place.error(std::string("differs from ") + what + " " +
                       std::to_string(buffer.index) +
                       " in element type or rank");
  };
  auto checkPort = [&](const char *what, const auto &ports) {
    MOE_RETURN_IF_ERROR(place.checkIndex(what, buffer.index, ports.size()));
    const plan::PortT &port = *ports[buffer.index];
    return checkSame(what, port.dtype, port.dims.size());
  };
  switch (buffer.kind) {
  case plan::BufferKind_Arena:
    MOE_RETURN_IF_ERROR(
        place.checkIndex("last_step", buffer.last_step, program.steps.size()));
    return place.checkIndex("first_step", buffer.first_step,
                            static_cast<size_t>(buffer.last_step) + 1);
  case plan::BufferKind_Input:
    return checkPort("input", program.inputs);
  case plan::BufferKind_Output:
    return checkPort("output", program.outputs);
  case plan::BufferKind_Param:
    return verifyParamBuffer(place, buffer);
  case plan::BufferKind_State: {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("state", buffer.index, program.states.size()));
    const plan::StateT &state = *program.states[buffer.index];
    return checkSame("state", state.dtype, state.dims.size());
  }
  case plan::BufferKind_Constant: {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("constant", buffer.index, program.constants.size()));
    std::optional<std::vector<int64_t>> dims = staticDims(buffer.dims);
    size_t bytes = program.constants[buffer.index]->data.size();
    if (!dims || checkedProduct(*dims, dtypeSize(DType(buffer.dtype))) != bytes)
      return place.error("differs in size from constant " +
                         std::to_string(buffer.index) + " of " +
                         std::to_string(bytes) + " bytes");
    return Status::ok();
  }
  }
  return place.error("has an unknown kind");
}

/// dims[axis], or what a rank has of it: as many times the symbol that divides
/// the dimension as the dimension is times the symbol's whole.
bool ProgramVerifier::isParamDim(const plan::ParamT &param, size_t axis,
                                 uint32_t expr) const {
  bool isDivided =
      param.experts == 0 && param.part_axis == static_cast<int64_t>(axis);
  if (!isDivided)
    return exprs[expr] == DimExpr(param.dims[axis]);
  const plan::SymbolT &part = *program.symbols[param.part];
  int64_t whole = *exprs[part.whole].constantValue();
  return exprs[expr] ==
         DimExpr::symbol(part.name) * DimExpr(param.dims[axis] / whole);
}

/// A buffer of experts may have the dimensions of one expert, or those of all
/// with the experts in front.
Status ProgramVerifier::verifyParamBuffer(const Place &place,
                                          const plan::BufferT &buffer) const {
  MOE_RETURN_IF_ERROR(
      place.checkIndex("param", buffer.index, program.params.size()));
  const plan::ParamT &param = *program.params[buffer.index];
  size_t rank = param.dims.size();
  bool hasExperts = param.experts > 0 && buffer.dims.size() == rank + 1 &&
                    exprs[buffer.dims[0]] == DimExpr(param.experts);
  size_t first = hasExperts ? 1 : 0;
  bool fits = buffer.dtype == param.dtype && buffer.dims.size() == rank + first;
  for (size_t axis = 0; fits && axis < rank; ++axis)
    fits = isParamDim(param, axis, buffer.dims[first + axis]);
  if (!fits)
    return place.error("differs from param " + param.name +
                       " in element type or dimensions");
  return Status::ok();
}

Status ProgramVerifier::verifyView(const Place &place,
                                   const plan::BufferT &buffer) const {
  const plan::BufferT &base = *program.buffers[buffer.base];
  const plan::BufferT &root = *program.buffers[rootOf[buffer.base]];
  if (buffer.kind != base.kind || buffer.dtype != base.dtype)
    return place.error("differs from its base, buffer " +
                       std::to_string(buffer.base) +
                       ", in kind or element type");
  if (root.kind == plan::BufferKind_Param) {
    const plan::ParamT &param = *program.params[root.index];
    if (param.experts > 0 || param.layout != kRowLayout)
      return place.error("is a view of param " + param.name +
                         ", whose elements are not in row-major order");
  }
  if (buffer.has_offset)
    MOE_RETURN_IF_ERROR(checkExpr(place, "offset", buffer.offset, kAllSymbols));
  if (!buffer.strides.empty() && buffer.strides.size() != buffer.dims.size())
    return place.error("has " + std::to_string(buffer.strides.size()) +
                       " strides, expected " +
                       std::to_string(buffer.dims.size()));
  for (uint32_t stride : buffer.strides)
    MOE_RETURN_IF_ERROR(checkExpr(place, "stride", stride, kAllSymbols));

  // Sizes that are all known here must fit.
  std::optional<std::vector<int64_t>> dims = staticDims(buffer.dims);
  std::optional<std::vector<int64_t>> baseDims = staticDims(base.dims);
  std::optional<std::vector<int64_t>> strides = staticDims(buffer.strides);
  std::optional<int64_t> offset =
      buffer.has_offset ? exprs[buffer.offset].constantValue() : 0;
  if (!dims || !baseDims || !strides || !offset || !base.strides.empty())
    return Status::ok();
  if (strides->empty() && !dims->empty()) {
    strides->assign(dims->size(), 1);
    for (size_t i = dims->size() - 1; i-- > 0;) {
      std::optional<int64_t> stride =
          checkedMul((*strides)[i + 1], (*dims)[i + 1]);
      if (!stride)
        return place.error("has a size that overflows");
      (*strides)[i] = *stride;
    }
  }
  std::optional<uint64_t> extent = viewExtent(*offset, *dims, *strides);
  std::optional<uint64_t> available = checkedProduct(*baseDims);
  if (!extent || !available || *extent > *available)
    return place.error("lies outside its base, buffer " +
                       std::to_string(buffer.base));
  return Status::ok();
}
