//===- DimExprParser.h - Text to size expressions ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_DIMEXPRPARSER_H
#define MOE_RUNTIME_SUPPORT_DIMEXPRPARSER_H

#include "runtime/support/DimExpr.h"

namespace moe {

/// What DimExpr::parse does, except that a result may be too large.
///
///   sum     := ["-"] product { ("+" | "-") product }
///   product := atom { ("*" | "//") atom }
///   atom    := integer | symbol | "(" sum ")" | function "(" sum "," sum ")"
StatusOr<DimExpr> parseDimExpr(std::string_view text);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_DIMEXPRPARSER_H
