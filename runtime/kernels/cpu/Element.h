//===- Element.h - Types of elements for plain kernels ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ELEMENT_H
#define MOE_RUNTIME_KERNELS_CPU_ELEMENT_H

#include "runtime/support/DType.h"

#include <cstdint>
#include <type_traits>

namespace moe::cpu {

struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

/// How to compute with elements of type T: in `Wide`, which holds every value;
/// storing rounds or wraps around.
template <typename T> struct Element {
  using Wide = std::conditional_t<
      std::is_floating_point_v<T>, double,
      std::conditional_t<std::is_unsigned_v<T> && sizeof(T) == 8, uint64_t,
                         int64_t>>;
  static Wide load(T x) { return static_cast<Wide>(x); }
  static T store(Wide x) { return static_cast<T>(x); }
};
template <> struct Element<F16> {
  using Wide = double;
  static double load(F16 x) { return halfToFloat(x.bits); }
  static F16 store(double x) { return {floatToHalf(static_cast<float>(x))}; }
};
template <> struct Element<BF16> {
  using Wide = double;
  static double load(BF16 x) { return bfloat16ToFloat(x.bits); }
  static BF16 store(double x) {
    return {floatToBfloat16(static_cast<float>(x))};
  }
};
/// The byte of a bool, which a file may have filled with anything.
struct BoolByte {
  uint8_t byte;
};
template <> struct Element<BoolByte> {
  using Wide = int64_t;
  static int64_t load(BoolByte x) { return x.byte != 0; }
  static BoolByte store(int64_t x) { return {x != 0}; }
};

/// Calls f.operator()<T>() with the element type of `dtype`.
template <typename F> auto visitElementType(DType dtype, F &&f) {
  switch (dtype) {
  case DType::F32:
    return f.template operator()<float>();
  case DType::F64:
    return f.template operator()<double>();
  case DType::F16:
    return f.template operator()<F16>();
  case DType::BF16:
    return f.template operator()<BF16>();
  case DType::I8:
    return f.template operator()<int8_t>();
  case DType::I16:
    return f.template operator()<int16_t>();
  case DType::I32:
    return f.template operator()<int32_t>();
  case DType::I64:
    return f.template operator()<int64_t>();
  case DType::U8:
    return f.template operator()<uint8_t>();
  case DType::U16:
    return f.template operator()<uint16_t>();
  case DType::U32:
    return f.template operator()<uint32_t>();
  case DType::U64:
    return f.template operator()<uint64_t>();
  case DType::Bool:
    break;
  }
  return f.template operator()<BoolByte>();
}

/// Element i of an integer (or bool) array; floats truncate.
inline int64_t integerAt(DType dtype, const void *data, int64_t i) {
  switch (dtype) {
  case DType::I64:
    return static_cast<const int64_t *>(data)[i];
  case DType::I32:
    return static_cast<const int32_t *>(data)[i];
  default:
    return visitElementType(dtype, [&]<typename T>() {
      return static_cast<int64_t>(
          Element<T>::load(static_cast<const T *>(data)[i]));
    });
  }
}

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ELEMENT_H
