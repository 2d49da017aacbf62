//===- BatchSymbol.cpp - Which symbol counts the rows of the batch --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/BatchSymbol.h"

#include "dialect/moe/MoeTypes.h"

#include <map>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

static std::optional<std::string> leadingSymbol(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() == 0)
    return std::nullopt;
  return getDim(tensor, 0).symbolName();
}

std::optional<std::string> moe::pass::chooseBatchSymbol(func::FuncOp func) {
  std::map<std::string, int> uses;
  for (Type type :
       llvm::concat<const Type>(func.getArgumentTypes(), func.getResultTypes()))
    if (std::optional<std::string> symbol = leadingSymbol(type))
      ++uses[*symbol];
  std::optional<std::string> best;
  for (Type type : func.getArgumentTypes()) {
    std::optional<std::string> symbol = leadingSymbol(type);
    if (symbol && (!best || uses[*symbol] > uses[*best]))
      best = symbol;
  }
  return best;
}

std::optional<int> moe::pass::batchAxis(Value value,
                                        const std::string &symbol) {
  DimExpr batch = DimExpr::symbol(symbol);
  Dims dims = getDims(value);
  if (auto *it = llvm::find(dims, batch); it != dims.end())
    return it - dims.begin();
  for (auto [axis, size] : llvm::enumerate(dims)) {
    std::optional<DimExpr> factor = DimExpr::divideExactly(size, batch);
    if (factor && *factor != DimExpr(0))
      return axis;
  }
  return std::nullopt;
}
