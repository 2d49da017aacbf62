//===- MoeDialect.h - The moe dialect ---------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dialect class and the names of the attributes that it puts on functions
// and their arguments (see MoeDialect.td for their meaning).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEDIALECT_H
#define MOE_DIALECT_MOE_MOEDIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialect/moe/MoeDialect.h.inc"

namespace moe::dialect {

/// #moe.mesh on a module: the ranks that it is compiled for.
inline constexpr llvm::StringLiteral kMesh = "moe.mesh";
/// Integer on a module: ranks of a node; absent if there is one node.
inline constexpr llvm::StringLiteral kNodeSize = "moe.node_size";
/// Dictionary on a function: local symbol -> the expression that ranks divide.
inline constexpr llvm::StringLiteral kLocalSymbols = "moe.local_symbols";
/// Dictionary on a function: local symbol -> the group of ranks that divides,
/// as the keyword of CommGroup; `rows` where nothing is said.
inline constexpr llvm::StringLiteral kSymbolGroups = "moe.symbol_groups";
/// `#moe.dims` of one expression on an operation: where it is zero, the
/// operation is skipped. Global symbols only.
inline constexpr llvm::StringLiteral kGuard = "moe.guard";
/// Integer on an operation: the stream that runs it (0 where nothing is said).
inline constexpr llvm::StringLiteral kStream = "moe.stream";
/// Dictionary on a function: data symbol -> the expression of its bound.
inline constexpr llvm::StringLiteral kDataSymbols = "moe.data_symbols";
/// Array on a function of arrays [lhs, rhs, what]: expressions over input
/// symbols that a run must find equal, and what relies on it.
inline constexpr llvm::StringLiteral kConstraints = "moe.constraints";
/// String on an argument or result: its name in the model.
inline constexpr llvm::StringLiteral kName = "moe.name";
/// String on an argument or result: the cache whose past or present it is.
inline constexpr llvm::StringLiteral kState = "moe.state";

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_MOEDIALECT_H
