//===- ElementwiseOps.h - Operations of elementwise programs ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEOPS_H
#define MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEOPS_H

#include "runtime/support/DType.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace moe::cpu {

/// The operations, in the groups unary, binary, compare and the rest; the
/// names are the keywords of the dialect's enums.
enum class ElementwiseOp : uint8_t {
  Neg,
  Abs,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Exp,
  Log,
  Sigmoid,
  Tanh,
  Erf,
  Relu,
  GeluErf,
  GeluTanh,
  Silu,
  Softplus,
  Floor,
  Ceil,
  Round,
  Sign,
  Sin,
  Cos,
  Not,
  IsNan,
  IsInf,
  IsPosInf,
  IsNegInf,
  QuickGelu,
  Square,
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Mod,
  Fmod,
  Min,
  Max,
  And,
  Or,
  Xor,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Select,
  Cast,
  Constant,
};

/// The operation that `keyword` names.
std::optional<ElementwiseOp> parseElementwiseOp(std::string_view keyword);
std::string_view elementwiseOpName(ElementwiseOp op);

inline bool isUnary(ElementwiseOp op) { return op <= ElementwiseOp::Square; }
inline bool isBinary(ElementwiseOp op) {
  return op >= ElementwiseOp::Add && op <= ElementwiseOp::Xor;
}
inline bool isCompare(ElementwiseOp op) {
  return op >= ElementwiseOp::Eq && op <= ElementwiseOp::Ge;
}

/// How a register holds its elements: f16 and bf16 as float, every signed
/// integer and the smaller unsigned ones as int64_t, u64 as uint64_t, bool as
/// int32_t that is 0 or 1 (so that a mask has the width of a float).
enum class RegisterKind : uint8_t { F32, F64, I64, U64, Bool };
inline constexpr int kNumRegisterKinds = 5;

RegisterKind registerKind(DType dtype);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEOPS_H
