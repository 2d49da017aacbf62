//===- ExprTable.h - All sizes of a plan, ready to evaluate -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A plan names every size by its index into one table of expressions. Here
// they are programs over numbered symbols. For each symbol the table knows the
// expressions that read it, so that a decode step, in which only `past` grew,
// evaluates only those.
//
// Memory is planned for ranges of the symbols. upperBound() computes with
// intervals and is never too small, also for an expression that shrinks when a
// symbol grows:
//
//   symbols in [0, 8] and [0, 100]:  batch * seq <= 800,  seq - batch <= 100
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_EXPRTABLE_H
#define MOE_RUNTIME_EXEC_EXPRTABLE_H

#include "runtime/support/DimExpr.h"

#include <cstdint>
#include <span>
#include <vector>

namespace moe {

class ExprTable {
public:
  /// `symbols`: names in the order of their numbers. Errors: a text that is no
  /// expression or names an unknown symbol (BadPlan).
  static StatusOr<ExprTable> create(std::span<const std::string> texts,
                                    std::span<const std::string> symbols);

  size_t size() const { return exprs.size(); }
  std::string text(uint32_t expr) const { return exprs[expr].toString(); }
  /// The number of the symbol that the expression is, or -1.
  int symbolOf(uint32_t expr) const { return symbolNumbers[expr]; }
  /// Expressions that contain the symbol, ascending.
  std::span<const uint32_t> readersOf(int symbol) const {
    return readers[symbol];
  }
  /// Symbols that the expression contains, ascending.
  std::span<const uint32_t> symbolsIn(uint32_t expr) const {
    return operands[expr];
  }

  /// Allocates nothing unless there is an error (see DimExpr::evaluate).
  StatusOr<int64_t> evaluate(uint32_t expr,
                             std::span<const int64_t> values) const;
  /// A value that the expression does not exceed while each symbol is between
  /// 0 and its maximum; at least 0. Errors: overflow (OutOfMemory).
  StatusOr<int64_t> upperBound(uint32_t expr,
                               std::span<const int64_t> maxima) const;

private:
  struct Instruction {
    DimExpr::Instruction::Op op;
    int64_t operand; // a constant or the number of a symbol
  };
  static constexpr int kMaxStack = 256;

  Status compile(const DimExpr &expr, std::span<const std::string> symbols);
  std::span<const Instruction> programOf(uint32_t expr) const {
    return std::span(code).subspan(begins[expr],
                                   begins[expr + 1] - begins[expr]);
  }
  StatusOr<int64_t> evaluateSlowly(uint32_t expr,
                                   std::span<const int64_t> values) const;

  std::vector<DimExpr> exprs;
  std::vector<std::string> names;
  std::vector<int> symbolNumbers;
  std::vector<Instruction> code;
  std::vector<uint32_t> begins{0};
  std::vector<std::vector<uint32_t>> operands;
  std::vector<std::vector<uint32_t>> readers;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_EXPRTABLE_H
