//===- ElementwiseOps.h - Operations of elementwise programs ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_ELEMENTWISEOPS_H
#define MOE_RUNTIME_PLAN_ELEMENTWISEOPS_H

#include <algorithm>
#include <optional>
#include <string_view>

namespace moe {

inline constexpr std::string_view kUnaryOps[] = {
    "neg",   "abs",        "sqrt",       "rsqrt",  "reciprocal",
    "exp",   "log",        "sigmoid",    "tanh",   "erf",
    "relu",  "gelu_erf",   "gelu_tanh",  "silu",   "softplus",
    "floor", "ceil",       "round",      "sign",   "sin",
    "cos",   "not",        "is_nan",     "is_inf", "is_pos_inf",
    "cast",  "is_neg_inf", "quick_gelu", "square",
};
inline constexpr std::string_view kBinaryOps[] = {
    "add", "sub", "mul", "div", "pow", "mod", "fmod", "min", "max",
    "and", "or",  "xor", "eq",  "ne",  "lt",  "le",   "gt",  "ge",
};

/// The number of operands of an Instr's `op`; nothing if it is not known.
inline std::optional<int> elementwiseArity(std::string_view op) {
  if (op == "constant")
    return 0;
  if (op == "select")
    return 3;
  if (std::find(std::begin(kUnaryOps), std::end(kUnaryOps), op) !=
      std::end(kUnaryOps))
    return 1;
  if (std::find(std::begin(kBinaryOps), std::end(kBinaryOps), op) !=
      std::end(kBinaryOps))
    return 2;
  return std::nullopt;
}

} // namespace moe

#endif // MOE_RUNTIME_PLAN_ELEMENTWISEOPS_H
