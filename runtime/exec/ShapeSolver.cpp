//===- ShapeSolver.cpp - Values of symbols from shapes --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ShapeSolver.h"

using namespace moe;

static std::string describe(const plan::PortT &port, const PortShape &shape) {
  return (shape.isKept ? "kept state \"" : "input \"") + port.name + "\"";
}

static std::string dimsText(const Executable &executable,
                            const plan::PortT &port) {
  std::string text = "[";
  for (size_t i = 0; i < port.dims.size(); ++i)
    text += (i ? ", " : "") + executable.exprs.text(port.dims[i]);
  return text + "]";
}

static bool isKnown(std::span<const PortShape> inputs, int port, int axis) {
  return port >= 0 && port < static_cast<int>(inputs.size()) &&
         inputs[port].isPresent && axis >= 0 && axis < inputs[port].rank &&
         inputs[port].dims[axis] != PortShape::kUnknown;
}

static Status solveSymbol(const Executable &executable, size_t index,
                          std::span<const PortShape> inputs, int64_t &value) {
  const plan::SymbolT &symbol = *executable.program->symbols[index];
  if (isKnown(inputs, symbol.input, symbol.axis)) {
    value = inputs[symbol.input].dims[symbol.axis];
    return Status::ok();
  }
  for (auto [port, axis] : executable.symbols[index].sources) {
    if (!isKnown(inputs, port, axis))
      continue;
    value = inputs[port].dims[axis];
    return Status::ok();
  }
  return Status(StatusCode::IoError,
                "no given input tells the value of \"" + symbol.name + "\"");
}

static Status checkPort(const Executable &executable, const plan::PortT &port,
                        const PortShape &shape,
                        std::span<const int64_t> values) {
  if (shape.rank != static_cast<int>(port.dims.size()))
    return Status(StatusCode::IoError,
                  describe(port, shape) + " has " + std::to_string(shape.rank) +
                      " dimensions, expected " + dimsText(executable, port));
  for (int axis = 0; axis < shape.rank; ++axis) {
    uint32_t expr = port.dims[axis];
    MOE_ASSIGN_OR_RETURN(int64_t expected,
                         executable.exprs.evaluate(expr, values));
    int64_t found = shape.dims[axis];
    if (found == expected || found == PortShape::kUnknown)
      continue;
    std::string text = executable.exprs.text(expr);
    std::string number = std::to_string(expected);
    return Status(StatusCode::IoError,
                  describe(port, shape) + " has dimension " +
                      std::to_string(axis) + " = " + std::to_string(found) +
                      ", expected " +
                      (text == number ? number : text + " = " + number));
  }
  return Status::ok();
}

static Status checkConstraint(const Executable &executable,
                              const plan::ConstraintT &constraint,
                              std::span<const int64_t> values) {
  MOE_ASSIGN_OR_RETURN(int64_t lhs,
                       executable.exprs.evaluate(constraint.lhs, values));
  MOE_ASSIGN_OR_RETURN(int64_t rhs,
                       executable.exprs.evaluate(constraint.rhs, values));
  if (lhs == rhs)
    return Status::ok();
  std::string message = executable.exprs.text(constraint.lhs) + " = " +
                        std::to_string(lhs) + ", expected " +
                        executable.exprs.text(constraint.rhs) + " = " +
                        std::to_string(rhs);
  return Status(StatusCode::IoError, constraint.what.empty()
                                         ? message
                                         : constraint.what + ": " + message);
}

Status moe::solveShapes(const Executable &executable,
                        std::span<const PortShape> inputs,
                        std::span<int64_t> values) {
  const plan::ProgramT &program = *executable.program;
  for (size_t i = 0; i < program.symbols.size(); ++i)
    if (program.symbols[i]->kind == plan::SymbolKind_Input)
      MOE_RETURN_IF_ERROR(solveSymbol(executable, i, inputs, values[i]));
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].isPresent)
      MOE_RETURN_IF_ERROR(
          checkPort(executable, *program.inputs[i], inputs[i], values));
  for (const auto &constraint : program.constraints)
    MOE_RETURN_IF_ERROR(checkConstraint(executable, *constraint, values));
  return Status::ok();
}
