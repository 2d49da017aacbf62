//===- VerifyTables.cpp - Symbols, ports and states -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"

#include <set>

using namespace moe;

/// Longer than any size that a model has; bounds the time to read one.
static constexpr size_t kMaxExprText = 1024;

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// The normal form has parentheses only behind the name of a function, so a
/// text that has others would make the parser multiply sums.
static bool mayBeNormal(const std::string &text) {
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '(' &&
        (i == 0 || !DimExpr::isSymbolName(text.substr(i - 1, 1))))
      return false;
  return text.size() <= kMaxExprText;
}

Status ProgramVerifier::verifyExprs() {
  for (size_t i = 0; i < program.symbols.size(); ++i) {
    const plan::SymbolT &symbol = *program.symbols[i];
    Place place("symbol", i, &symbol.name);
    if (!DimExpr::isSymbolName(symbol.name))
      return place.error("is not a valid name");
    if (symbol.kind > plan::SymbolKind_MAX)
      return place.error("has an unknown kind");
    if (!symbols.emplace(symbol.name, i).second)
      return place.error("is declared twice");
  }
  for (size_t i = 0; i < program.exprs.size(); ++i) {
    const std::string &text = program.exprs[i];
    Place place("expression", i, &text);
    if (!mayBeNormal(text))
      return place.error("is not in normal form");
    StatusOr<DimExpr> expr = DimExpr::parse(text);
    if (!expr.isOk())
      return place.error(expr.status().message());
    if (expr->toString() != text)
      return place.error("is not in normal form, expected '" +
                         expr->toString() + "'");
    unsigned used = 0;
    for (const std::string &name : expr->symbols()) {
      auto it = symbols.find(name);
      if (it == symbols.end())
        return place.error("symbol '" + name + "' is not declared");
      used |= 1u << program.symbols[it->second]->kind;
    }
    exprs.push_back(*std::move(expr));
    exprSymbols.push_back(used);
  }
  return Status::ok();
}

Status ProgramVerifier::checkExpr(const Place &place, const char *what,
                                  uint32_t expr,
                                  unsigned allowedSymbols) const {
  MOE_RETURN_IF_ERROR(place.checkIndex(what, expr, exprs.size()));
  if (exprSymbols[expr] & ~allowedSymbols)
    return place.error(std::string(what) + " '" + program.exprs[expr] +
                       "' uses symbols that are not known there");
  return Status::ok();
}

Status ProgramVerifier::checkDims(const Place &place, const char *what,
                                  const std::vector<uint32_t> &dims,
                                  unsigned allowedSymbols) const {
  if (dims.size() > kMaxRank)
    return place.error(std::string(what) + " have rank " +
                       std::to_string(dims.size()) + ", expected at most " +
                       std::to_string(kMaxRank));
  for (uint32_t dim : dims) {
    MOE_RETURN_IF_ERROR(checkExpr(place, what, dim, allowedSymbols));
    if (exprs[dim].constantValue().value_or(0) < 0)
      return place.error(std::string(what) + " have the negative size " +
                         program.exprs[dim]);
  }
  return Status::ok();
}

std::optional<std::vector<int64_t>>
ProgramVerifier::staticDims(const std::vector<uint32_t> &dims) const {
  std::vector<int64_t> values;
  for (uint32_t dim : dims) {
    std::optional<int64_t> value = exprs[dim].constantValue();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

Status ProgramVerifier::checkDType(const Place &place, uint8_t dtype) const {
  return place.checkIndex("element type", dtype, kNumDTypes);
}

//===----------------------------------------------------------------------===//
// Symbols and constraints
//===----------------------------------------------------------------------===//

Status ProgramVerifier::checkGroup(const Place &place,
                                   plan::Group group) const {
  return place.checkIndex("group", group, plan::Group_MAX + 1);
}

/// The ranks of a group must divide the same size, so a part over tp may be a
/// part of a part over rows, or the other way round, but no deeper.
Status ProgramVerifier::verifyWhole(const Place &place,
                                    const plan::SymbolT &symbol) const {
  MOE_RETURN_IF_ERROR(
      checkExpr(place, "whole", symbol.whole, kInputSymbols | kLocalSymbols));
  for (const std::string &name : exprs[symbol.whole].symbols()) {
    const plan::SymbolT &used = *program.symbols[symbols.find(name)->second];
    if (used.kind != plan::SymbolKind_LocalPart)
      continue;
    MOE_RETURN_IF_ERROR(
        checkExpr(place, "whole", used.whole, kInputSymbols | kLocalSymbols));
    bool agree = used.group != symbol.group &&
                 used.group != plan::Group_World &&
                 symbol.group != plan::Group_World &&
                 !(exprSymbols[used.whole] & kLocalSymbols);
    if (!agree)
      return place.error("whole '" + program.exprs[symbol.whole] + "' uses " +
                         name + ", of which its ranks have different parts");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyInputSymbol(const Place &place,
                                          const plan::SymbolT &symbol) const {
  MOE_RETURN_IF_ERROR(
      place.checkIndex("input", symbol.input, program.inputs.size()));
  const plan::PortT &input = *program.inputs[symbol.input];
  MOE_RETURN_IF_ERROR(place.checkIndex("axis", symbol.axis, input.dims.size()));
  uint32_t dim = input.dims[symbol.axis];
  MOE_RETURN_IF_ERROR(place.checkIndex("size", dim, exprs.size()));
  if (exprs[dim].symbolName() != symbol.name)
    return place.error("is read from a dimension '" + program.exprs[dim] +
                       "' of input " + input.name);
  if (symbol.default_max < 0)
    return place.error("default_max is " + std::to_string(symbol.default_max) +
                       ", expected at least 0");
  return Status::ok();
}

Status ProgramVerifier::verifySymbols() const {
  for (size_t i = 0; i < program.symbols.size(); ++i) {
    const plan::SymbolT &symbol = *program.symbols[i];
    Place place("symbol", i, &symbol.name);
    MOE_RETURN_IF_ERROR(checkGroup(place, symbol.group));
    switch (symbol.kind) {
    case plan::SymbolKind_Input:
      MOE_RETURN_IF_ERROR(verifyInputSymbol(place, symbol));
      break;
    case plan::SymbolKind_LocalPart:
      MOE_RETURN_IF_ERROR(verifyWhole(place, symbol));
      break;
    case plan::SymbolKind_Data:
      MOE_RETURN_IF_ERROR(checkExpr(place, "bound", symbol.bound,
                                    kInputSymbols | kLocalSymbols));
      break;
    }
  }
  for (size_t i = 0; i < program.constraints.size(); ++i) {
    const plan::ConstraintT &constraint = *program.constraints[i];
    Place place("constraint", i, &constraint.what);
    MOE_RETURN_IF_ERROR(checkExpr(place, "lhs", constraint.lhs, kInputSymbols));
    MOE_RETURN_IF_ERROR(checkExpr(place, "rhs", constraint.rhs, kInputSymbols));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Ports and states
//===----------------------------------------------------------------------===//

Status ProgramVerifier::checkLocalPart(const Place &place, const char *what,
                                       int32_t part) const {
  MOE_RETURN_IF_ERROR(place.checkIndex(what, part, program.symbols.size()));
  if (program.symbols[part]->kind != plan::SymbolKind_LocalPart)
    return place.error(std::string(what) + " is symbol " +
                       program.symbols[part]->name +
                       ", which ranks do not divide");
  return Status::ok();
}

/// Callers have whole tensors, so what is divided must have a size for all.
Status ProgramVerifier::checkPortPart(const Place &place, const char *what,
                                      int32_t part, plan::Group group) const {
  MOE_RETURN_IF_ERROR(checkLocalPart(place, what, part));
  const plan::SymbolT &symbol = *program.symbols[part];
  std::string shown = std::string(what) + " is symbol " + symbol.name + ", ";
  if (symbol.group != group)
    return place.error(shown + "which group " +
                       plan::EnumNameGroup(symbol.group) +
                       " divides, expected " + plan::EnumNameGroup(group));
  if (exprSymbols[symbol.whole] & kLocalSymbols)
    return place.error(shown + "a part of what ranks divide");
  return Status::ok();
}

template <typename T>
Status ProgramVerifier::checkParts(const Place &place, const T &tensor) const {
  if (tensor.part_axis != -1) {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("part_axis", tensor.part_axis, tensor.dims.size()));
    MOE_RETURN_IF_ERROR(
        checkPortPart(place, "part", tensor.part, plan::Group_Rows));
  }
  if (tensor.slice_axis != -1) {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("slice_axis", tensor.slice_axis, tensor.dims.size()));
    MOE_RETURN_IF_ERROR(
        checkPortPart(place, "slice_part", tensor.slice_part, plan::Group_Tp));
    if (tensor.slice_axis == tensor.part_axis)
      return place.error("is divided twice along one dimension");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyPort(
    const char *table, const std::vector<std::unique_ptr<plan::PortT>> &ports,
    size_t index) const {
  const plan::PortT &port = *ports[index];
  bool isInput = &ports == &program.inputs;
  Place place(table, index, &port.name);
  if (port.name.empty())
    return place.error("has no name");
  MOE_RETURN_IF_ERROR(checkDType(place, port.dtype));
  MOE_RETURN_IF_ERROR(
      checkDims(place, "dimensions", port.dims,
                isInput ? kInputSymbols : kInputSymbols | kDataSymbols));
  MOE_RETURN_IF_ERROR(checkParts(place, port));
  if (port.state != -1)
    MOE_RETURN_IF_ERROR(
        place.checkIndex("state", port.state, program.states.size()));
  if (port.buffer == -1)
    return Status::ok();
  MOE_RETURN_IF_ERROR(
      place.checkIndex("buffer", port.buffer, program.buffers.size()));
  const plan::BufferT &buffer = *program.buffers[port.buffer];
  if (buffer.dtype != port.dtype || buffer.dims.size() != port.dims.size())
    return place.error("differs from buffer " + std::to_string(port.buffer) +
                       " in element type or rank");
  return Status::ok();
}

Status ProgramVerifier::verifyPorts() const {
  std::set<std::string_view> inputs, outputs;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    MOE_RETURN_IF_ERROR(verifyPort("input", program.inputs, i));
    if (!inputs.insert(program.inputs[i]->name).second)
      return Place("input", i, &program.inputs[i]->name)
          .error("has the name of another input");
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    MOE_RETURN_IF_ERROR(verifyPort("output", program.outputs, i));
    if (!outputs.insert(program.outputs[i]->name).second)
      return Place("output", i, &program.outputs[i]->name)
          .error("has the name of another output");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyStates() const {
  for (size_t i = 0; i < program.states.size(); ++i) {
    const plan::StateT &state = *program.states[i];
    Place place("state", i, &state.name);
    MOE_RETURN_IF_ERROR(checkDType(place, state.dtype));
    MOE_RETURN_IF_ERROR(
        checkDims(place, "dimensions", state.dims, kInputSymbols));
    MOE_RETURN_IF_ERROR(
        place.checkIndex("axis", state.axis, state.dims.size()));
    MOE_RETURN_IF_ERROR(
        checkExpr(place, "length", state.length, kInputSymbols));
    MOE_RETURN_IF_ERROR(checkParts(place, state));
    if (state.part_axis == state.axis || state.slice_axis == state.axis)
      return place.error("grows along the dimension that ranks divide");
    auto checkPort = [&](const char *what, int32_t port, const auto &ports) {
      if (port == -1)
        return Status::ok();
      MOE_RETURN_IF_ERROR(place.checkIndex(what, port, ports.size()));
      if (ports[port]->state != static_cast<int64_t>(i) ||
          ports[port]->dtype != state.dtype ||
          ports[port]->dims.size() != state.dims.size())
        return place.error(std::string(what) + " " + ports[port]->name +
                           " is not a port of this state");
      return Status::ok();
    };
    MOE_RETURN_IF_ERROR(checkPort("input", state.input, program.inputs));
    MOE_RETURN_IF_ERROR(checkPort("output", state.output, program.outputs));
  }
  return Status::ok();
}
