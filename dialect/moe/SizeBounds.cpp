//===- SizeBounds.cpp - The largest value of a size -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/SizeBounds.h"

#include <algorithm>

using namespace moe;
using Op = DimExpr::Instruction::Op;

namespace {
/// Between `low` and `high`; a negative constant times something if so marked.
struct Range {
  DimExpr low, high;
  bool isNegative = false;

  bool isExact() const { return low == high; }
};
} // namespace

static DimExpr apply(Op op, const DimExpr &a, const DimExpr &b) {
  switch (op) {
  case Op::CeilDiv:
    return DimExpr::ceilDiv(a, b);
  case Op::FloorDiv:
    return DimExpr::floorDiv(a, b);
  case Op::Mod:
    return DimExpr::mod(a, b);
  case Op::Max:
    return DimExpr::max(a, b);
  case Op::Min:
    return DimExpr::min(a, b);
  case Op::Mul:
    return a * b;
  default:
    return a + b;
  }
}

static Range combine(Op op, const Range &a, const Range &b) {
  switch (op) {
  case Op::Mul:
    if (a.isNegative)
      return {a.low * b.high, a.high * b.low, true};
    return {a.low * b.low, a.high * b.high};
  case Op::CeilDiv:
  case Op::FloorDiv: {
    DimExpr least = b.isExact() ? b.low : DimExpr::max(b.low, 1);
    return {apply(op, a.low, b.high), apply(op, a.high, least)};
  }
  case Op::Mod:
    if (a.isExact() && b.isExact())
      return {apply(op, a.low, b.low), apply(op, a.low, b.low)};
    return {DimExpr(0), b.high - 1};
  default:
    return {apply(op, a.low, b.low), apply(op, a.high, b.high)};
  }
}

DimExpr moe::dialect::upperBoundOf(
    const DimExpr &size,
    const std::map<std::string, DimExpr, std::less<>> &most) {
  std::set<std::string> symbols = size.symbols();
  if (std::none_of(symbols.begin(), symbols.end(),
                   [&](const std::string &name) { return most.count(name); }))
    return size;
  std::vector<Range> stack;
  for (const DimExpr::Instruction &instruction : size.program()) {
    if (instruction.op == Op::Constant) {
      DimExpr value = instruction.constant;
      stack.push_back({value, value, instruction.constant < 0});
      continue;
    }
    if (instruction.op == Op::Symbol) {
      DimExpr symbol = DimExpr::symbol(instruction.symbol);
      auto it = most.find(instruction.symbol);
      stack.push_back(it == most.end() ? Range{symbol, symbol}
                                       : Range{DimExpr(0), it->second});
      continue;
    }
    Range b = std::move(stack.back());
    stack.pop_back();
    stack.back() = combine(instruction.op, stack.back(), b);
  }
  // An expression that is too large has no program.
  return stack.empty() ? size : stack.back().high;
}
