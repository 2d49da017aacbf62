//===- Convert.h - Elements of memory and of registers ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_CONVERT_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_CONVERT_H

#include "runtime/kernels/cpu/isa/Vec.h"
#include "runtime/support/DType.h"

#include <cstdint>
#include <type_traits>

namespace moe::cpu::MOE_ISA {

/// Elements whose arithmetic is done in f32.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

/// bfloat16 by integer operations that the compiler can vectorise.
MOE_INLINE float widen(BFloat16 x) {
  uint32_t b = static_cast<uint32_t>(x.bits) << 16;
  float y;
  std::memcpy(&y, &b, sizeof y);
  return y;
}
MOE_INLINE BFloat16 narrowBFloat16(float x) {
  uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  uint32_t rounded = b + 0x7fff + ((b >> 16) & 1);
  bool isNan = (b & 0x7fffffff) > 0x7f800000;
  return {static_cast<uint16_t>((isNan ? b | 0x400000 : rounded) >> 16)};
}

#if MOE_ISA_HAS_FMA
MOE_INLINE float widen(Half x) { return _cvtsh_ss(x.bits); }
MOE_INLINE Half narrowHalf(float x) {
  return {_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)};
}
#else
MOE_INLINE float widen(Half x) { return halfToFloat(x.bits); }
MOE_INLINE Half narrowHalf(float x) { return {floatToHalf(x)}; }
#endif

/// Truncation that saturates; NaN gives 0.
template <typename I, typename F> MOE_INLINE I truncate(F x) {
  if (x != x)
    return 0;
  if constexpr (std::is_signed_v<I>) {
    if (x >= F(0x1p63))
      return INT64_MAX;
    return x < F(-0x1p63) ? INT64_MIN : static_cast<I>(x);
  } else {
    if (x >= F(0x1p64))
      return UINT64_MAX;
    return x < F(0) ? static_cast<I>(truncate<int64_t>(x)) : static_cast<I>(x);
  }
}

/// Conversion between the values of numeric registers.
template <typename To, typename From> MOE_INLINE To convert(From x) {
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>)
    return truncate<To>(x);
  else
    return static_cast<To>(x);
}

/// Calls f with a value of the element type of `dtype`.
template <typename F> static void visitElement(DType dtype, F f) {
  switch (dtype) {
  case DType::F32:
    return f(float());
  case DType::F64:
    return f(double());
  case DType::F16:
    return f(Half());
  case DType::BF16:
    return f(BFloat16());
  case DType::I8:
    return f(int8_t());
  case DType::I16:
    return f(int16_t());
  case DType::I32:
    return f(int32_t());
  case DType::I64:
    return f(int64_t());
  case DType::U8:
    return f(uint8_t());
  case DType::U16:
    return f(uint16_t());
  case DType::U32:
    return f(uint32_t());
  case DType::U64:
    return f(uint64_t());
  case DType::Bool:
    return f(bool());
  }
}

/// The register value of an element and back, wrapping around.
template <typename T> struct Register {
  using Type = std::conditional_t<std::is_unsigned_v<T> && sizeof(T) == 8,
                                  uint64_t, int64_t>;
  static MOE_INLINE Type load(T x) { return x; }
  static MOE_INLINE T store(Type x) { return static_cast<T>(x); }
};
template <> struct Register<float> {
  using Type = float;
  static MOE_INLINE float load(float x) { return x; }
  static MOE_INLINE float store(float x) { return x; }
};
template <> struct Register<double> {
  using Type = double;
  static MOE_INLINE double load(double x) { return x; }
  static MOE_INLINE double store(double x) { return x; }
};
template <> struct Register<Half> {
  using Type = float;
  static MOE_INLINE float load(Half x) { return widen(x); }
  static MOE_INLINE Half store(float x) { return narrowHalf(x); }
};
template <> struct Register<BFloat16> {
  using Type = float;
  static MOE_INLINE float load(BFloat16 x) { return widen(x); }
  static MOE_INLINE BFloat16 store(float x) { return narrowBFloat16(x); }
};
template <> struct Register<bool> {
  using Type = int32_t;
  static MOE_INLINE int32_t load(bool x) { return x; }
  static MOE_INLINE bool store(int32_t x) { return x != 0; }
};

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_CONVERT_H
