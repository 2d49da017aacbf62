//===- MoeOps.h - Operations of the moe dialect -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEOPS_H
#define MOE_DIALECT_MOE_MOEOPS_H

#include "dialect/moe/MoeAttrs.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <cmath>

namespace moe::dialect {

/// Every tensor of `op` has an element type of the plan format and an
/// expression for each dimension.
llvm::LogicalResult verifySizedTensors(mlir::Operation *op);

template <typename ConcreteType>
struct SizedTensors
    : public mlir::OpTrait::TraitBase<ConcreteType, SizedTensors> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) {
    return verifySizedTensors(op);
  }
};

/// The expression that `symbol` stands for in the dictionary `attribute`
/// (kLocalSymbols, kDataSymbols) of the function around `op`.
std::optional<DimExpr> lookUpSymbol(mlir::Operation *op,
                                    llvm::StringRef attribute,
                                    llvm::StringRef symbol);

/// The group that divides the local symbol `part` of the function around `op`.
CommGroup groupOfPart(mlir::Operation *op, llvm::StringRef part);

} // namespace moe::dialect

#define GET_OP_CLASSES
#include "dialect/moe/MoeOps.h.inc"

#endif // MOE_DIALECT_MOE_MOEOPS_H
