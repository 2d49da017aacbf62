//===- SyntheticInputs.cpp - Inputs made from a plan's signature ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/SyntheticInputs.h"

#include "runtime/cost/Shapes.h"
#include "runtime/exec/Executable.h"
#include "runtime/support/DimExpr.h"
#include "runtime/text/Sampler.h"
#include "tools/moe-run/IndexBounds.h"
#include "tools/moe-run/SessionFlags.h"

#include <cmath>
#include <numbers>

using namespace moe;
using namespace moe::tools;

namespace {

const plan::ProgramT &programOf(const Model &model) {
  return *model.executable()->program;
}

StatusOr<int64_t> evaluate(const std::string &text, const NamedNumbers &shape) {
  MOE_ASSIGN_OR_RETURN(DimExpr expr, DimExpr::parse(text));
  return expr.evaluate(SymbolValues(shape.begin(), shape.end()));
}

/// Standard normal numbers (Box and Muller).
float nextNormal(Random &random) {
  double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return static_cast<float>(radius *
                            std::cos(2 * std::numbers::pi * random.uniform()));
}

void fillInteger(const Model &model, size_t port, int64_t past, Random &random,
                 std::span<int64_t> values, int64_t lastDim) {
  const std::string &name = model.inputs()[port].name;
  std::fill(values.begin(), values.end(), 1);
  if (name.find("mask") != name.npos)
    return;
  if (name.find("position_ids") != name.npos) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = past + static_cast<int64_t>(i) % lastDim;
    return;
  }
  std::optional<int64_t> bound =
      indexBound(programOf(model), static_cast<int>(port));
  for (size_t i = 0; bound && i < values.size(); ++i)
    values[i] = static_cast<int64_t>(random.below(*bound));
}

StatusOr<HostTensor> makeInput(const Model &model, size_t port,
                               const NamedNumbers &shape, Random &random) {
  const PortInfo &info = model.inputs()[port];
  std::vector<int64_t> dims;
  for (const std::string &dim : info.dims) {
    MOE_ASSIGN_OR_RETURN(int64_t size, evaluate(dim, shape));
    dims.push_back(size);
  }
  DType wide = isFloat(info.dtype)         ? DType::F32
               : info.dtype == DType::Bool ? DType::Bool
                                           : DType::I64;
  MOE_ASSIGN_OR_RETURN(HostTensor tensor,
                       HostTensor::create(info.name, wide, dims));
  if (wide == DType::F32)
    for (float &value : tensor.as<float>())
      value = nextNormal(random);
  else if (wide == DType::Bool)
    std::fill(tensor.bytes().begin(), tensor.bytes().end(), std::byte(1));
  else
    fillInteger(model, port, pastLength(model, shape), random,
                tensor.as<int64_t>(), dims.empty() ? 1 : dims.back());
  if (wide == info.dtype)
    return tensor;
  return convertTensor(tensor, info.dtype);
}

} // namespace

std::string tools::pastSymbol(const Model &model) {
  return cost::pastSymbol(programOf(model));
}

int64_t tools::pastLength(const Model &model, const NamedNumbers &shape) {
  auto it = shape.find(pastSymbol(model));
  return it == shape.end() ? 0 : it->second;
}

StatusOr<NamedNumbers> tools::completeShape(const Model &model,
                                            std::string_view option,
                                            NamedNumbers given) {
  MOE_RETURN_IF_ERROR(checkSymbols(model, option, given));
  return cost::completeShape(programOf(model), option, std::move(given));
}

StatusOr<std::vector<HostTensor>> tools::makeInputs(const Model &model,
                                                    const NamedNumbers &shape,
                                                    uint64_t seed,
                                                    bool withStates) {
  std::vector<HostTensor> inputs;
  for (size_t port = 0; port < model.inputs().size(); ++port) {
    if (model.inputs()[port].isState && !withStates)
      continue;
    Random random(seed + port);
    MOE_ASSIGN_OR_RETURN(HostTensor input,
                         makeInput(model, port, shape, random));
    inputs.push_back(std::move(input));
  }
  return inputs;
}
