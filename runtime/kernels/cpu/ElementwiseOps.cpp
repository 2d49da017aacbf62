//===- ElementwiseOps.cpp - Operations of elementwise programs ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseOps.h"

#include <array>

using namespace moe;
using namespace moe::cpu;

static constexpr std::array<std::string_view, 49> kNames = {
    "neg",        "abs",        "sqrt",      "rsqrt",   "reciprocal",
    "exp",        "log",        "sigmoid",   "tanh",    "erf",
    "relu",       "gelu_erf",   "gelu_tanh", "silu",    "softplus",
    "floor",      "ceil",       "round",     "sign",    "sin",
    "cos",        "not",        "is_nan",    "is_inf",  "is_pos_inf",
    "is_neg_inf", "quick_gelu", "square",    "add",     "sub",
    "mul",        "div",        "pow",       "mod",     "fmod",
    "min",        "max",        "and",       "or",      "xor",
    "eq",         "ne",         "lt",        "le",      "gt",
    "ge",         "select",     "cast",      "constant"};
static_assert(static_cast<size_t>(ElementwiseOp::Constant) + 1 ==
              kNames.size());

std::optional<ElementwiseOp>
moe::cpu::parseElementwiseOp(std::string_view keyword) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == keyword)
      return static_cast<ElementwiseOp>(i);
  return std::nullopt;
}

std::string_view moe::cpu::elementwiseOpName(ElementwiseOp op) {
  return kNames[static_cast<size_t>(op)];
}

RegisterKind moe::cpu::registerKind(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::F16:
  case DType::BF16:
    return RegisterKind::F32;
  case DType::F64:
    return RegisterKind::F64;
  case DType::U64:
    return RegisterKind::U64;
  case DType::Bool:
    return RegisterKind::Bool;
  default:
    return RegisterKind::I64;
  }
}
