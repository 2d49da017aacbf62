//===- BinaryTiles.cpp - Functions of two elements, and select ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop for each operation and kind of register: plain code that the
// compiler vectorises where it can.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Vec.h"
#include "runtime/kernels/cpu/isa/Wrapping.h"

#include <cmath>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

using Op = ElementwiseOp;

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// F::of(A, A) -> R.
template <typename A, typename R, typename F>
static void binaryLoop(const void *a, const void *b, const void *, void *out,
                       int64_t count) {
  const A *x = static_cast<const A *>(a);
  const A *y = static_cast<const A *>(b);
  R *z = static_cast<R *>(out);
  for (int64_t i = 0; i < count; ++i)
    z[i] = F::of(x[i], y[i]);
}

template <typename T>
static void selectLoop(const void *a, const void *b, const void *c, void *out,
                       int64_t count) {
  const int32_t *condition = static_cast<const int32_t *>(a);
  const T *x = static_cast<const T *>(b);
  const T *y = static_cast<const T *>(c);
  T *z = static_cast<T *>(out);
  for (int64_t i = 0; i < count; ++i)
    z[i] = condition[i] ? x[i] : y[i];
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// x / y towards zero; 0 where there is no quotient.
template <typename T> static MOE_INLINE T divideInt(T x, T y) {
  if (y == 0)
    return 0;
  if (std::is_signed_v<T> && y == T(-1))
    return static_cast<T>(uint64_t(0) - static_cast<uint64_t>(x));
  return x / y;
}

template <typename T> static MOE_INLINE T powerInt(T x, T y) {
  if (std::is_signed_v<T> && y < 0)
    return x == 1 ? 1 : x == T(-1) ? (y & 1 ? T(-1) : T(1)) : T(0);
  uint64_t result = 1, base = static_cast<uint64_t>(x);
  for (uint64_t n = static_cast<uint64_t>(y); n != 0; n >>= 1) {
    if (n & 1)
      result *= base;
    base *= base;
  }
  return static_cast<T>(result);
}

#define MOE_SCALAR_FUNCTION(name, expression)                                  \
  struct name {                                                                \
    template <typename T> static MOE_INLINE auto of(T x, T y) {                \
      using W [[maybe_unused]] = typename Wrapping<T>::Type;                   \
      return expression;                                                       \
    }                                                                          \
  };
MOE_SCALAR_FUNCTION(Add, static_cast<T>(W(x) + W(y)))
MOE_SCALAR_FUNCTION(Sub, static_cast<T>(W(x) - W(y)))
MOE_SCALAR_FUNCTION(Mul, static_cast<T>(W(x) * W(y)))
MOE_SCALAR_FUNCTION(DivFloat, x / y)
MOE_SCALAR_FUNCTION(DivInt, divideInt(x, y))
// The library function is slow for the most frequent exponents.
MOE_SCALAR_FUNCTION(PowFloat, y == 2   ? x * x
                              : y == 1 ? x
                                       : static_cast<T>(std::pow(x, y)))
MOE_SCALAR_FUNCTION(PowInt, powerInt(x, y))
MOE_SCALAR_FUNCTION(FmodFloat, std::fmod(x, y))
MOE_SCALAR_FUNCTION(FmodInt, static_cast<T>(W(x) - W(divideInt(x, y)) * W(y)))
// NaN where one of both is.
MOE_SCALAR_FUNCTION(Min, x < y || x != x ? x : y)
MOE_SCALAR_FUNCTION(Max, x > y || x != x ? x : y)
MOE_SCALAR_FUNCTION(And, static_cast<T>(x &y))
MOE_SCALAR_FUNCTION(Or, static_cast<T>(x | y))
MOE_SCALAR_FUNCTION(Xor, static_cast<T>(x ^ y))
MOE_SCALAR_FUNCTION(Eq, int32_t(x == y))
MOE_SCALAR_FUNCTION(Ne, int32_t(x != y))
MOE_SCALAR_FUNCTION(Lt, int32_t(x < y))
MOE_SCALAR_FUNCTION(Le, int32_t(x <= y))
MOE_SCALAR_FUNCTION(Gt, int32_t(x > y))
MOE_SCALAR_FUNCTION(Ge, int32_t(x >= y))
#undef MOE_SCALAR_FUNCTION

/// The remainder with the sign of the divisor.
struct ModFloat {
  template <typename T> static MOE_INLINE T of(T x, T y) {
    T r = std::fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  }
};
struct ModInt {
  template <typename T> static MOE_INLINE T of(T x, T y) {
    T r = FmodInt::of(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  }
};

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

template <typename T> static TileFunction binaryAny(Op op) {
  constexpr bool isFloat = std::is_floating_point_v<T>;
  switch (op) {
  case Op::Add:
    return binaryLoop<T, T, Add>;
  case Op::Sub:
    return binaryLoop<T, T, Sub>;
  case Op::Mul:
    return binaryLoop<T, T, Mul>;
  case Op::Div:
    return binaryLoop<T, T, std::conditional_t<isFloat, DivFloat, DivInt>>;
  case Op::Pow:
    return binaryLoop<T, T, std::conditional_t<isFloat, PowFloat, PowInt>>;
  case Op::Mod:
    return binaryLoop<T, T, std::conditional_t<isFloat, ModFloat, ModInt>>;
  case Op::Fmod:
    return binaryLoop<T, T, std::conditional_t<isFloat, FmodFloat, FmodInt>>;
  case Op::Min:
    return binaryLoop<T, T, Min>;
  case Op::Max:
    return binaryLoop<T, T, Max>;
  default:
    break;
  }
  if constexpr (!isFloat) {
    if (op == Op::And)
      return binaryLoop<T, T, And>;
    if (op == Op::Or)
      return binaryLoop<T, T, Or>;
    if (op == Op::Xor)
      return binaryLoop<T, T, Xor>;
  }
  return nullptr;
}

static TileFunction binaryBool(Op op) {
  switch (op) {
  case Op::And:
  case Op::Mul:
  case Op::Min:
    return binaryLoop<int32_t, int32_t, And>;
  case Op::Or:
  case Op::Add:
  case Op::Max:
    return binaryLoop<int32_t, int32_t, Or>;
  case Op::Xor:
    return binaryLoop<int32_t, int32_t, Xor>;
  default:
    return nullptr;
  }
}

TileFunction binaryTile(Op op, RegisterKind kind) {
  switch (kind) {
  case RegisterKind::F32:
    return binaryAny<float>(op);
  case RegisterKind::F64:
    return binaryAny<double>(op);
  case RegisterKind::I64:
    return binaryAny<int64_t>(op);
  case RegisterKind::U64:
    return binaryAny<uint64_t>(op);
  case RegisterKind::Bool:
    return binaryBool(op);
  }
  return nullptr;
}

template <typename T> static TileFunction compareAny(Op op) {
  switch (op) {
  case Op::Eq:
    return binaryLoop<T, int32_t, Eq>;
  case Op::Ne:
    return binaryLoop<T, int32_t, Ne>;
  case Op::Lt:
    return binaryLoop<T, int32_t, Lt>;
  case Op::Le:
    return binaryLoop<T, int32_t, Le>;
  case Op::Gt:
    return binaryLoop<T, int32_t, Gt>;
  case Op::Ge:
    return binaryLoop<T, int32_t, Ge>;
  default:
    return nullptr;
  }
}

TileFunction compareTile(Op op, RegisterKind kind) {
  switch (kind) {
  case RegisterKind::F32:
    return compareAny<float>(op);
  case RegisterKind::F64:
    return compareAny<double>(op);
  case RegisterKind::I64:
    return compareAny<int64_t>(op);
  case RegisterKind::U64:
    return compareAny<uint64_t>(op);
  case RegisterKind::Bool:
    return compareAny<int32_t>(op);
  }
  return nullptr;
}

TileFunction selectTile(RegisterKind kind) {
  switch (kind) {
  case RegisterKind::F32:
  case RegisterKind::Bool:
    return selectLoop<int32_t>;
  case RegisterKind::F64:
  case RegisterKind::I64:
  case RegisterKind::U64:
    return selectLoop<int64_t>;
  }
  return nullptr;
}

} // namespace moe::cpu::MOE_ISA
