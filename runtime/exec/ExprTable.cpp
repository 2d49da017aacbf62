//===- ExprTable.cpp - All sizes of a plan, ready to evaluate -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ExprTable.h"

#include <algorithm>
#include <array>

using namespace moe;
using Op = DimExpr::Instruction::Op;

StatusOr<ExprTable> ExprTable::create(std::span<const std::string> texts,
                                      std::span<const std::string> symbols) {
  ExprTable table;
  table.names.assign(symbols.begin(), symbols.end());
  table.readers.resize(symbols.size());
  for (const std::string &text : texts) {
    StatusOr<DimExpr> expr = DimExpr::parse(text);
    if (!expr.isOk())
      return Status(StatusCode::BadPlan, expr.status().message());
    MOE_RETURN_IF_ERROR(table.compile(*expr, symbols));
  }
  return table;
}

Status ExprTable::compile(const DimExpr &expr,
                          std::span<const std::string> symbols) {
  uint32_t index = exprs.size();
  std::vector<uint32_t> used;
  int depth = 0, maxDepth = 0;
  for (const DimExpr::Instruction &instruction : expr.program()) {
    int64_t operand = instruction.constant;
    if (instruction.op == Op::Symbol) {
      auto it = std::find(symbols.begin(), symbols.end(), instruction.symbol);
      if (it == symbols.end())
        return Status(StatusCode::BadPlan,
                      "size '" + expr.toString() + "' names the symbol '" +
                          instruction.symbol + "', which the plan lacks");
      operand = it - symbols.begin();
      used.push_back(static_cast<uint32_t>(operand));
    }
    bool pushes =
        instruction.op == Op::Symbol || instruction.op == Op::Constant;
    depth += pushes ? 1 : -1;
    maxDepth = std::max(maxDepth, depth);
    code.push_back({instruction.op, operand});
  }
  if (maxDepth > kMaxStack)
    return Status(StatusCode::BadPlan,
                  "size '" + expr.toString() + "' is nested too deeply");

  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  for (uint32_t symbol : used)
    readers[symbol].push_back(index);
  operands.push_back(std::move(used));
  begins.push_back(code.size());
  std::optional<std::string> name = expr.symbolName();
  symbolNumbers.push_back(name ? static_cast<int>(operands.back()[0]) : -1);
  exprs.push_back(expr);
  return Status::ok();
}

static int64_t floorDivide(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}
static int64_t ceilDivide(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient + ((a % b != 0) && ((a < 0) == (b < 0)));
}

/// The result of a binary instruction; false if there is none.
static bool apply(Op op, int64_t a, int64_t b, int64_t &result) {
  switch (op) {
  case Op::Add:
    return !__builtin_add_overflow(a, b, &result);
  case Op::Mul:
    return !__builtin_mul_overflow(a, b, &result);
  case Op::Max:
    result = std::max(a, b);
    return true;
  case Op::Min:
    result = std::min(a, b);
    return true;
  default:
    break;
  }
  if (b == 0 || (a == INT64_MIN && b == -1))
    return false;
  if (op == Op::FloorDiv)
    result = floorDivide(a, b);
  else if (op == Op::CeilDiv)
    result = ceilDivide(a, b);
  else
    result = a - floorDivide(a, b) * b;
  return true;
}

StatusOr<int64_t> ExprTable::evaluate(uint32_t expr,
                                      std::span<const int64_t> values) const {
  std::array<int64_t, kMaxStack> stack;
  int depth = 0;
  for (const Instruction &instruction : programOf(expr)) {
    if (instruction.op == Op::Constant) {
      stack[depth++] = instruction.operand;
    } else if (instruction.op == Op::Symbol) {
      stack[depth++] = values[instruction.operand];
    } else {
      --depth;
      if (!apply(instruction.op, stack[depth - 1], stack[depth],
                 stack[depth - 1]))
        return evaluateSlowly(expr, values);
    }
  }
  return stack[0];
}

/// The slow way: wider arithmetic, and errors in the words of DimExpr.
StatusOr<int64_t>
ExprTable::evaluateSlowly(uint32_t expr,
                          std::span<const int64_t> values) const {
  SymbolValues named;
  for (size_t i = 0; i < names.size(); ++i)
    named[names[i]] = values[i];
  return exprs[expr].evaluate(named);
}

namespace {

struct Interval {
  int64_t low = 0;
  int64_t high = 0;
};

/// Low bounds saturate: only the high ones become sizes.
int64_t saturatingMul(int64_t a, int64_t b) {
  int64_t result;
  if (!__builtin_mul_overflow(a, b, &result))
    return result;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}
int64_t saturatingAdd(int64_t a, int64_t b) {
  int64_t result;
  if (!__builtin_add_overflow(a, b, &result))
    return result;
  return a < 0 ? INT64_MIN : INT64_MAX;
}

Interval multiply(Interval a, Interval b) {
  auto [low, high] = std::minmax(
      {saturatingMul(a.low, b.low), saturatingMul(a.low, b.high),
       saturatingMul(a.high, b.low), saturatingMul(a.high, b.high)});
  return {low, high};
}

/// Divisors of sizes are at least 1; zero is an error when it happens.
Interval divide(Op op, Interval a, Interval b) {
  if (b.low < 1)
    b.low = 1;
  b.high = std::max(b.low, b.high);
  auto quotient = [&](int64_t x, int64_t y) {
    return op == Op::CeilDiv ? ceilDivide(x, y) : floorDivide(x, y);
  };
  auto [low, high] =
      std::minmax({quotient(a.low, b.low), quotient(a.low, b.high),
                   quotient(a.high, b.low), quotient(a.high, b.high)});
  return {low, high};
}

Interval combine(Op op, Interval a, Interval b) {
  switch (op) {
  case Op::Add:
    return {saturatingAdd(a.low, b.low), saturatingAdd(a.high, b.high)};
  case Op::Mul:
    return multiply(a, b);
  case Op::Max:
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  case Op::Min:
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  case Op::Mod:
    return {0, std::max<int64_t>(
                   0, std::min(a.low >= 0 ? a.high : INT64_MAX, b.high - 1))};
  default:
    return divide(op, a, b);
  }
}

} // namespace

StatusOr<int64_t> ExprTable::upperBound(uint32_t expr,
                                        std::span<const int64_t> maxima) const {
  std::array<Interval, kMaxStack> stack;
  int depth = 0;
  for (const Instruction &instruction : programOf(expr)) {
    if (instruction.op == Op::Constant) {
      stack[depth++] = {instruction.operand, instruction.operand};
    } else if (instruction.op == Op::Symbol) {
      stack[depth++] = {0, maxima[instruction.operand]};
    } else {
      --depth;
      stack[depth - 1] =
          combine(instruction.op, stack[depth - 1], stack[depth]);
    }
  }
  if (stack[0].high == INT64_MAX)
    return Status(StatusCode::OutOfMemory,
                  "size '" + text(expr) + "' overflows 64 bits");
  return std::max<int64_t>(0, stack[0].high);
}
