//===- BatchSymbol.h - The symbol that ranks divide -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_BATCHSYMBOL_H
#define MOE_PASSES_DISTRIBUTE_BATCHSYMBOL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>
#include <string>

namespace moe::pass {

/// The symbol that is dimension 0 of most arguments and results, the first of
/// them among equals; nothing if no dimension 0 of an argument is a symbol.
std::optional<std::string> chooseBatchSymbol(mlir::func::FuncOp func);

/// The axis of `value` that is `symbol`, else the first that is a multiple of
/// it: `[3, batch, seq]` has 1.
std::optional<int> batchAxis(mlir::Value value, const std::string &symbol);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_BATCHSYMBOL_H
