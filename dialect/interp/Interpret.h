//===- Interpret.h - The pass moe-interpret ---------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_INTERPRET_H
#define MOE_DIALECT_INTERP_INTERPRET_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe::interp {

#define GEN_PASS_DECL
#include "dialect/interp/InterpretPass.h.inc"

#define GEN_PASS_REGISTRATION
#include "dialect/interp/InterpretPass.h.inc"

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_INTERPRET_H
