//===- MoeAttrs.h - Enums and attributes of the moe dialect -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEATTRS_H
#define MOE_DIALECT_MOE_MOEATTRS_H

#include "dialect/moe/MoeDialect.h"
#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TensorEncoding.h"
#include "runtime/support/DimExpr.h"

#include "dialect/moe/MoeEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/moe/MoeAttrs.h.inc"

namespace moe::dialect {

/// True for is_nan and the like, whose result is i1.
bool givesTruth(UnaryKind kind);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_MOEATTRS_H
