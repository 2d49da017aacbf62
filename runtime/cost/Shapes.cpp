//===- Shapes.cpp - Values for the symbols of a plan ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Shapes.h"

#include <algorithm>

using namespace moe;
using namespace moe::cost;

using Numbers = std::map<std::string, int64_t>;

static constexpr int64_t kTypicalPast = 512;
static constexpr int64_t kTypicalPrompt = 128;

std::string cost::pastSymbol(const plan::ProgramT &program) {
  for (const auto &state : program.states) {
    const std::string &length = program.exprs[state->length];
    if (state->input >= 0 && DimExpr::isSymbolName(length))
      return length;
  }
  return "";
}

std::string cost::batchSymbol(const plan::ProgramT &program) {
  for (const auto &port : program.inputs) {
    if (port->part < 0 || port->part_axis < 0)
      continue;
    const std::string &whole =
        program.exprs[program.symbols[port->part]->whole];
    if (DimExpr::isSymbolName(whole))
      return whole;
  }
  // One rank divides nothing: what its first input begins with.
  for (const auto &port : program.inputs)
    if (!port->dims.empty() &&
        DimExpr::isSymbolName(program.exprs[port->dims[0]]))
      return program.exprs[port->dims[0]];
  return "";
}

static StatusOr<int64_t> evaluate(const std::string &text,
                                  const Numbers &shape) {
  MOE_ASSIGN_OR_RETURN(DimExpr expr, DimExpr::parse(text));
  return expr.evaluate(SymbolValues(shape.begin(), shape.end()));
}

/// Makes the two sides of a constraint equal by changing a symbol that was not
/// given.
static Status satisfy(const plan::ProgramT &program,
                      const plan::ConstraintT &constraint,
                      std::string_view option, const Numbers &given,
                      Numbers &shape) {
  const std::string &left = program.exprs[constraint.lhs];
  const std::string &right = program.exprs[constraint.rhs];
  MOE_ASSIGN_OR_RETURN(int64_t leftValue, evaluate(left, shape));
  MOE_ASSIGN_OR_RETURN(int64_t rightValue, evaluate(right, shape));
  if (leftValue == rightValue)
    return Status::ok();
  for (auto [symbol, value] :
       {std::pair(left, rightValue), std::pair(right, leftValue)})
    if (shape.contains(symbol) && !given.contains(symbol)) {
      shape[symbol] = value;
      return Status::ok();
    }
  return Status(StatusCode::Usage,
                std::string(option) + ": the model demands " + left + " = " +
                    right + ", which are " + std::to_string(leftValue) +
                    " and " + std::to_string(rightValue));
}

StatusOr<Numbers> cost::completeShape(const plan::ProgramT &program,
                                      std::string_view option, Numbers given,
                                      int64_t size) {
  Numbers shape;
  std::string past = pastSymbol(program);
  for (const auto &symbol : program.symbols) {
    if (symbol->kind != plan::SymbolKind_Input)
      continue;
    int64_t value = symbol->default_max > 0
                        ? std::min<int64_t>(symbol->default_max, size)
                        : size;
    shape[symbol->name] = symbol->name == past ? 0 : value;
  }
  for (const auto &[name, value] : given) {
    if (!shape.contains(name))
      return Status(StatusCode::Usage, std::string(option) +
                                           ": the model has no size '" + name +
                                           "'");
    if (value < 0)
      return Status(StatusCode::Usage, std::string(option) + ": " + name +
                                           " = " + std::to_string(value) +
                                           " is negative");
    shape[name] = value;
  }
  // A change may break a constraint that was met before, so: until all hold,
  // and no longer than any chain of them.
  for (size_t round = 0; round < program.constraints.size(); ++round)
    for (const auto &constraint : program.constraints)
      MOE_RETURN_IF_ERROR(satisfy(program, *constraint, option, given, shape));
  return shape;
}

StatusOr<TypicalShapes> cost::typicalShapes(const plan::ProgramT &program) {
  TypicalShapes shapes;
  Numbers given;
  std::string batch = batchSymbol(program), past = pastSymbol(program);
  for (const auto &symbol : program.symbols)
    if (symbol->kind == plan::SymbolKind_Input && symbol->name == batch)
      given[batch] =
          symbol->default_max > 0
              ? std::min<int64_t>(symbol->default_max, program.num_ranks)
              : program.num_ranks;
  MOE_ASSIGN_OR_RETURN(
      shapes.prefill, completeShape(program, "prefill", given, kTypicalPrompt));
  if (!past.empty())
    given[past] = kTypicalPast;
  MOE_ASSIGN_OR_RETURN(shapes.decode,
                       completeShape(program, "decode", given, 1));
  return shapes;
}
