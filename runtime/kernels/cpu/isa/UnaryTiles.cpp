//===- UnaryTiles.cpp - Functions of one element --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop for each operation and kind of register. The f32 functions use the
// vector functions of VecMath.h; the rest is plain code that the compiler
// vectorises where it can.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/VecMath.h"
#include "runtime/kernels/cpu/isa/Wrapping.h"

#include <type_traits>

namespace moe::cpu::MOE_ISA {

using Op = ElementwiseOp;

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// F::of of vectors; tiles are multiples of both widths.
template <typename F>
static void vectorLoop(const void *a, const void *, const void *, void *out,
                       int64_t count) {
  const float *x = static_cast<const float *>(a);
  float *y = static_cast<float *>(out);
  for (int64_t i = 0; i < count; i += kWideLanes)
    store(y + i, F::of(loadWide(x + i)));
}

/// The same with eight lanes, for functions that go on in f64.
template <typename F>
static void narrowLoop(const void *a, const void *, const void *, void *out,
                       int64_t count) {
  const float *x = static_cast<const float *>(a);
  float *y = static_cast<float *>(out);
  for (int64_t i = 0; i < count; i += kLanes)
    store(y + i, F::of(load(x + i)));
}

/// F::of(A) -> R.
template <typename A, typename R, typename F>
static void unaryLoop(const void *a, const void *, const void *, void *out,
                      int64_t count) {
  const A *x = static_cast<const A *>(a);
  R *y = static_cast<R *>(out);
  for (int64_t i = 0; i < count; ++i)
    y[i] = F::of(x[i]);
}

//===----------------------------------------------------------------------===//
// Functions of f32 vectors
//===----------------------------------------------------------------------===//

#define MOE_VECTOR_FUNCTION(name, expression)                                  \
  struct name {                                                                \
    template <typename V> static MOE_INLINE V of(V x) { return expression; }   \
  };
MOE_VECTOR_FUNCTION(VecNeg, -x)
MOE_VECTOR_FUNCTION(VecAbs, abs(x))
MOE_VECTOR_FUNCTION(VecSqrt, sqrtOf(x))
MOE_VECTOR_FUNCTION(VecRsqrt, 1.0f / sqrtOf(x))
MOE_VECTOR_FUNCTION(VecReciprocal, 1.0f / x)
MOE_VECTOR_FUNCTION(VecExp, expOf(x))
MOE_VECTOR_FUNCTION(VecLog, logOf(x))
MOE_VECTOR_FUNCTION(VecSigmoid, sigmoidOf(x))
MOE_VECTOR_FUNCTION(VecTanh, tanhOf(x))
MOE_VECTOR_FUNCTION(VecErf, erfOf(x))
MOE_VECTOR_FUNCTION(VecRelu, reluOf(x))
MOE_VECTOR_FUNCTION(VecGeluErf, geluErfOf(x))
MOE_VECTOR_FUNCTION(VecGeluTanh, geluTanhOf(x))
MOE_VECTOR_FUNCTION(VecSilu, siluOf(x))
MOE_VECTOR_FUNCTION(VecSoftplus, softplusOf(x))
MOE_VECTOR_FUNCTION(VecSin, sinOf(x))
MOE_VECTOR_FUNCTION(VecCos, cosOf(x))
MOE_VECTOR_FUNCTION(VecQuickGelu, quickGeluOf(x))
MOE_VECTOR_FUNCTION(VecSquare, x *x)
#undef MOE_VECTOR_FUNCTION

//===----------------------------------------------------------------------===//
// Functions of all kinds
//===----------------------------------------------------------------------===//

#define MOE_SCALAR_FUNCTION(name, expression)                                  \
  struct name {                                                                \
    template <typename T> static MOE_INLINE auto of(T x) {                     \
      using W [[maybe_unused]] = typename Wrapping<T>::Type;                   \
      return expression;                                                       \
    }                                                                          \
  };
MOE_SCALAR_FUNCTION(Neg, static_cast<T>(W(0) - W(x)))
MOE_SCALAR_FUNCTION(AbsInt, x < 0 ? static_cast<T>(W(0) - W(x)) : x)
MOE_SCALAR_FUNCTION(Same, x)
MOE_SCALAR_FUNCTION(Square, static_cast<T>(W(x) * W(x)))
MOE_SCALAR_FUNCTION(Relu, x < 0 ? T(0) : x)
MOE_SCALAR_FUNCTION(Sign, x > 0 ? T(1) : x < 0 ? T(-1) : x)
MOE_SCALAR_FUNCTION(Floor, std::floor(x))
MOE_SCALAR_FUNCTION(Ceil, std::ceil(x))
MOE_SCALAR_FUNCTION(Round, std::nearbyint(x))
MOE_SCALAR_FUNCTION(AbsFloat, std::fabs(x))
MOE_SCALAR_FUNCTION(Sqrt, std::sqrt(x))
MOE_SCALAR_FUNCTION(Rsqrt, 1 / std::sqrt(x))
MOE_SCALAR_FUNCTION(Reciprocal, 1 / x)
MOE_SCALAR_FUNCTION(Exp, std::exp(x))
MOE_SCALAR_FUNCTION(Log, std::log(x))
MOE_SCALAR_FUNCTION(Sigmoid, 1 / (1 + std::exp(-x)))
MOE_SCALAR_FUNCTION(Tanh, std::tanh(x))
MOE_SCALAR_FUNCTION(Erf, std::erf(x))
MOE_SCALAR_FUNCTION(GeluErf, x *std::erfc(-x *M_SQRT1_2) / 2)
MOE_SCALAR_FUNCTION(GeluTanh, x *(1 + std::tanh(M_2_SQRTPI * M_SQRT1_2 *
                                                (x + 0.044715 * x * x * x))) /
                                  2)
MOE_SCALAR_FUNCTION(Silu, x / (1 + std::exp(-x)))
MOE_SCALAR_FUNCTION(Softplus,
                    (x < 0 ? T(0) : x) + std::log1p(std::exp(-std::fabs(x))))
MOE_SCALAR_FUNCTION(Sin, std::sin(x))
MOE_SCALAR_FUNCTION(Cos, std::cos(x))
MOE_SCALAR_FUNCTION(QuickGelu, x / (1 + std::exp(-1.702 * x)))
MOE_SCALAR_FUNCTION(NotBits, ~x)
MOE_SCALAR_FUNCTION(NotBool, x ^ 1)
MOE_SCALAR_FUNCTION(IsNan, int32_t(x != x))
MOE_SCALAR_FUNCTION(IsPosInf, int32_t(x == std::numeric_limits<T>::infinity()))
MOE_SCALAR_FUNCTION(IsNegInf, int32_t(x == -std::numeric_limits<T>::infinity()))
MOE_SCALAR_FUNCTION(IsInf,
                    int32_t(std::fabs(x) == std::numeric_limits<T>::infinity()))
MOE_SCALAR_FUNCTION(Never, int32_t(0 & x))
#undef MOE_SCALAR_FUNCTION

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

static TileFunction unaryF32(Op op) {
  switch (op) {
  case Op::Neg:
    return vectorLoop<VecNeg>;
  case Op::Abs:
    return vectorLoop<VecAbs>;
  case Op::Sqrt:
    return vectorLoop<VecSqrt>;
  case Op::Rsqrt:
    return vectorLoop<VecRsqrt>;
  case Op::Reciprocal:
    return vectorLoop<VecReciprocal>;
  case Op::Exp:
    return vectorLoop<VecExp>;
  case Op::Log:
    return vectorLoop<VecLog>;
  case Op::Sigmoid:
    return vectorLoop<VecSigmoid>;
  case Op::Tanh:
    return vectorLoop<VecTanh>;
  case Op::Erf:
    return vectorLoop<VecErf>;
  case Op::Relu:
    return vectorLoop<VecRelu>;
  case Op::GeluErf:
    return vectorLoop<VecGeluErf>;
  case Op::GeluTanh:
    return vectorLoop<VecGeluTanh>;
  case Op::Silu:
    return vectorLoop<VecSilu>;
  case Op::Softplus:
    return vectorLoop<VecSoftplus>;
  case Op::Sin:
    return narrowLoop<VecSin>;
  case Op::Cos:
    return narrowLoop<VecCos>;
  case Op::QuickGelu:
    return vectorLoop<VecQuickGelu>;
  case Op::Square:
    return vectorLoop<VecSquare>;
  default:
    return nullptr;
  }
}

/// What both float kinds share, and the functions of f64.
template <typename T> static TileFunction unaryFloat(Op op) {
  switch (op) {
  case Op::Neg:
    return unaryLoop<T, T, Neg>;
  case Op::Abs:
    return unaryLoop<T, T, AbsFloat>;
  case Op::Sqrt:
    return unaryLoop<T, T, Sqrt>;
  case Op::Rsqrt:
    return unaryLoop<T, T, Rsqrt>;
  case Op::Reciprocal:
    return unaryLoop<T, T, Reciprocal>;
  case Op::Exp:
    return unaryLoop<T, T, Exp>;
  case Op::Log:
    return unaryLoop<T, T, Log>;
  case Op::Sigmoid:
    return unaryLoop<T, T, Sigmoid>;
  case Op::Tanh:
    return unaryLoop<T, T, Tanh>;
  case Op::Erf:
    return unaryLoop<T, T, Erf>;
  case Op::Relu:
    return unaryLoop<T, T, Relu>;
  case Op::GeluErf:
    return unaryLoop<T, T, GeluErf>;
  case Op::GeluTanh:
    return unaryLoop<T, T, GeluTanh>;
  case Op::Silu:
    return unaryLoop<T, T, Silu>;
  case Op::Softplus:
    return unaryLoop<T, T, Softplus>;
  case Op::Floor:
    return unaryLoop<T, T, Floor>;
  case Op::Ceil:
    return unaryLoop<T, T, Ceil>;
  case Op::Round:
    return unaryLoop<T, T, Round>;
  case Op::Sign:
    return unaryLoop<T, T, Sign>;
  case Op::Sin:
    return unaryLoop<T, T, Sin>;
  case Op::Cos:
    return unaryLoop<T, T, Cos>;
  case Op::IsNan:
    return unaryLoop<T, int32_t, IsNan>;
  case Op::IsInf:
    return unaryLoop<T, int32_t, IsInf>;
  case Op::IsPosInf:
    return unaryLoop<T, int32_t, IsPosInf>;
  case Op::IsNegInf:
    return unaryLoop<T, int32_t, IsNegInf>;
  case Op::QuickGelu:
    return unaryLoop<T, T, QuickGelu>;
  case Op::Square:
    return unaryLoop<T, T, Square>;
  default:
    return nullptr;
  }
}

template <typename T> static TileFunction unaryInt(Op op) {
  switch (op) {
  case Op::Neg:
    return unaryLoop<T, T, Neg>;
  case Op::Abs:
    if constexpr (std::is_unsigned_v<T>)
      return unaryLoop<T, T, Same>;
    else
      return unaryLoop<T, T, AbsInt>;
  case Op::Relu:
    if constexpr (std::is_unsigned_v<T>)
      return unaryLoop<T, T, Same>;
    else
      return unaryLoop<T, T, Relu>;
  case Op::Floor:
  case Op::Ceil:
  case Op::Round:
    return unaryLoop<T, T, Same>;
  case Op::Sign:
    return unaryLoop<T, T, Sign>;
  case Op::Not:
    return unaryLoop<T, T, NotBits>;
  case Op::IsNan:
  case Op::IsInf:
  case Op::IsPosInf:
  case Op::IsNegInf:
    return unaryLoop<T, int32_t, Never>;
  case Op::Square:
    return unaryLoop<T, T, Square>;
  default:
    return nullptr;
  }
}

TileFunction unaryTile(Op op, RegisterKind kind) {
  switch (kind) {
  case RegisterKind::F32:
    if (TileFunction function = unaryF32(op))
      return function;
    return unaryFloat<float>(op);
  case RegisterKind::F64:
    return unaryFloat<double>(op);
  case RegisterKind::I64:
    return unaryInt<int64_t>(op);
  case RegisterKind::U64:
    return unaryInt<uint64_t>(op);
  case RegisterKind::Bool:
    return op == Op::Not ? unaryLoop<int32_t, int32_t, NotBool> : nullptr;
  }
  return nullptr;
}

} // namespace moe::cpu::MOE_ISA
