//===- HeldBlocks.cpp - Which weights a rank holds ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/HeldBlocks.h"
#include "runtime/plan/Mesh.h"
#include "runtime/support/DimExpr.h"

#include <set>

using namespace moe;

static Status badParam(const plan::ParamT &param, const std::string &what) {
  return Status(StatusCode::BadPlan, "param " + param.name + ": " + what);
}

/// The whole n of the symbol that divides a dense parameter.
static StatusOr<int64_t> wholeOf(const plan::ProgramT &program,
                                 const plan::ParamT &param) {
  bool isPart =
      param.part >= 0 &&
      static_cast<size_t>(param.part) < program.symbols.size() &&
      program.symbols[param.part]->kind == plan::SymbolKind_LocalPart &&
      program.symbols[param.part]->whole < program.exprs.size();
  if (!isPart)
    return badParam(param, "part " + std::to_string(param.part) +
                               " is no symbol that ranks divide");
  const std::string &text = program.exprs[program.symbols[param.part]->whole];
  MOE_ASSIGN_OR_RETURN(DimExpr whole, DimExpr::parse(text));
  std::optional<int64_t> value = whole.constantValue();
  int64_t size = param.dims[param.part_axis];
  if (value && *value > 0 && size % *value == 0)
    return *value;
  return badParam(param, "its dimension of " + std::to_string(size) +
                             " elements is no multiple of the parts '" + text +
                             "'");
}

static StatusOr<HeldBlock> densePart(const plan::ProgramT &program,
                                     const plan::ParamT &param, int rank) {
  if (param.part_axis < 0)
    return HeldBlock();
  MOE_ASSIGN_OR_RETURN(int64_t whole, wholeOf(program, param));
  plan::Group group = program.symbols[param.part]->group;
  Mesh mesh = Mesh::of(program);
  Interval part =
      partOfWhole(whole, mesh.placeOf(rank, group), mesh.sizeOf(group));
  int64_t each = param.dims[param.part_axis] / whole;
  return HeldBlock{0, param.part_axis, {part.begin * each, part.end * each}};
}

StatusOr<std::vector<HeldBlock>> moe::heldBlocks(const plan::ProgramT &program,
                                                 const plan::ParamT &param,
                                                 int rank) {
  if (param.part_axis >= static_cast<int>(param.dims.size()))
    return badParam(param, "has no dimension " +
                               std::to_string(param.part_axis) + " to divide");
  std::vector<HeldBlock> held;
  if (param.experts == 0) {
    MOE_ASSIGN_OR_RETURN(held.emplace_back(), densePart(program, param, rank));
    return held;
  }
  if (param.part_unit < 1)
    return badParam(param, "is divided in units of 0 elements");
  const plan::LayerT &layer = *program.layers[param.layer];
  int place = Mesh::of(program).placeOf(rank, layer.group);
  for (const LocalExpert &local : localExperts(layer, place)) {
    HeldBlock block{local.expert};
    if (param.part_axis >= 0 && local.numSlices > 1) {
      block.axis = param.part_axis;
      block.part = sliceOf(param.dims[param.part_axis], param.part_unit,
                           local.slice, local.numSlices);
    }
    held.push_back(block);
  }
  return held;
}

StatusOr<bool> moe::partsBeginAt(const plan::ProgramT &program,
                                 const plan::ParamT &param, int64_t unit) {
  if (param.part_axis < 0)
    return true;
  // A part ends where the next one begins, or with the dimension.
  if (param.experts == 0) {
    MOE_ASSIGN_OR_RETURN(int64_t whole, wholeOf(program, param));
    plan::Group group = program.symbols[param.part]->group;
    int64_t numParts = Mesh::of(program).sizeOf(group);
    int64_t each = param.dims[param.part_axis] / whole;
    for (int64_t part = 1; part < numParts; ++part)
      if (partOfWhole(whole, part, numParts).begin * each % unit != 0)
        return false;
    return true;
  }
  std::set<int64_t> seen;
  for (const auto &place : program.layers[param.layer]->places) {
    if (!seen.insert(place->slices).second)
      continue;
    for (int64_t slice = 1; slice < place->slices; ++slice)
      if (sliceOf(param.dims[param.part_axis], param.part_unit, slice,
                  place->slices)
                  .begin %
              unit !=
          0)
        return false;
  }
  return true;
}
