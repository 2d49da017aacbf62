//===- PlanDialect.h - The plan dialect -------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operations and attributes of plans as IR; see PlanOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_PLAN_PLANDIALECT_H
#define MOE_DIALECT_PLAN_PLANDIALECT_H

#include "dialect/moe/MoeAttrs.h"
#include "dialect/moe/MoeDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <cstdint>
#include <vector>

#include "dialect/plan/PlanDialect.h.inc"
#include "dialect/plan/PlanEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/plan/PlanTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/plan/PlanAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialect/plan/PlanOps.h.inc"

namespace moe::plan_dialect {

/// The expression that `text` spells; the texts of a verified plan are valid,
/// any other is 0.
DimExpr parseExpr(llvm::StringRef text);

/// Elements as plans store them: row major, little endian, i1 as one byte.
std::vector<uint8_t> bytesOf(mlir::DenseElementsAttr elements);

} // namespace moe::plan_dialect

#endif // MOE_DIALECT_PLAN_PLANDIALECT_H
