//===- Convert.cpp - Loads, stores and casts of tiles ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Convert.h"
#include "runtime/kernels/cpu/isa/Functions.h"

namespace moe::cpu::MOE_ISA {

//===----------------------------------------------------------------------===//
// Between memory and registers
//===----------------------------------------------------------------------===//

/// `x` may be bytes of a file: a bool is whatever is not zero.
template <typename T> static MOE_INLINE T element(const void *x, int64_t i) {
  if constexpr (std::is_same_v<T, bool>)
    return static_cast<const uint8_t *>(x)[i] != 0;
  else
    return static_cast<const T *>(x)[i];
}

#if MOE_ISA_HAS_FMA
static void halfToFloats(const uint16_t *x, float *y, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i *>(x + i));
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(h));
  }
  for (; i < count; ++i)
    y[i] = _cvtsh_ss(x[i]);
}
static void floatsToHalf(const float *x, uint16_t *y, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm_storeu_si128(
        reinterpret_cast<__m128i *>(y + i),
        _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < count; ++i)
    y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}
#endif

void loadTile(DType dtype, const void *x, int64_t stride, void *reg,
              int64_t count) {
#if MOE_ISA_HAS_FMA
  if (dtype == DType::F16 && stride == 1)
    return halfToFloats(static_cast<const uint16_t *>(x),
                        static_cast<float *>(reg), count);
#endif
  visitElement(dtype, [&]<typename T>(T) {
    using R = typename Register<T>::Type;
    R *out = static_cast<R *>(reg);
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i)
        out[i] = Register<T>::load(element<T>(x, i));
    } else if (stride == 0) {
      R value = count > 0 ? Register<T>::load(element<T>(x, 0)) : R();
      for (int64_t i = 0; i < count; ++i)
        out[i] = value;
    } else {
      for (int64_t i = 0; i < count; ++i)
        out[i] = Register<T>::load(element<T>(x, i * stride));
    }
  });
}

void storeTile(DType dtype, const void *reg, void *y, int64_t stride,
               int64_t count) {
#if MOE_ISA_HAS_FMA
  if (dtype == DType::F16 && stride == 1)
    return floatsToHalf(static_cast<const float *>(reg),
                        static_cast<uint16_t *>(y), count);
#endif
  visitElement(dtype, [&]<typename T>(T) {
    const auto *x = static_cast<const typename Register<T>::Type *>(reg);
    T *out = static_cast<T *>(y);
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i)
        out[i] = Register<T>::store(x[i]);
    } else {
      for (int64_t i = 0; i < count; ++i)
        out[i * stride] = Register<T>::store(x[i]);
    }
  });
}

void toF32(DType from, const void *x, float *y, int64_t count) {
#if MOE_ISA_HAS_FMA
  if (from == DType::F16)
    return halfToFloats(static_cast<const uint16_t *>(x), y, count);
#endif
  visitElement(from, [&]<typename T>(T) {
    for (int64_t i = 0; i < count; ++i)
      y[i] = static_cast<float>(Register<T>::load(element<T>(x, i)));
  });
}

void fromF32(DType to, const float *x, void *y, int64_t count) {
#if MOE_ISA_HAS_FMA
  if (to == DType::F16)
    return floatsToHalf(x, static_cast<uint16_t *>(y), count);
#endif
  visitElement(to, [&]<typename T>(T) {
    using R = typename Register<T>::Type;
    T *out = static_cast<T *>(y);
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, bool>)
        out[i] = x[i] != 0;
      else
        out[i] = Register<T>::store(convert<R>(x[i]));
    }
  });
}

//===----------------------------------------------------------------------===//
// Between registers
//===----------------------------------------------------------------------===//

template <typename From, typename To>
static void castLoop(const void *a, const void *, const void *, void *out,
                     int64_t count) {
  const From *x = static_cast<const From *>(a);
  To *y = static_cast<To *>(out);
  for (int64_t i = 0; i < count; ++i)
    y[i] = convert<To>(x[i]);
}

template <typename From>
static void boolLoop(const void *a, const void *, const void *, void *out,
                     int64_t count) {
  const From *x = static_cast<const From *>(a);
  int32_t *y = static_cast<int32_t *>(out);
  for (int64_t i = 0; i < count; ++i)
    y[i] = x[i] != From(0);
}

template <typename From> static TileFunction castFrom(RegisterKind to) {
  switch (to) {
  case RegisterKind::F32:
    return castLoop<From, float>;
  case RegisterKind::F64:
    return castLoop<From, double>;
  case RegisterKind::I64:
    return castLoop<From, int64_t>;
  case RegisterKind::U64:
    return castLoop<From, uint64_t>;
  case RegisterKind::Bool:
    return boolLoop<From>;
  }
  return nullptr;
}

TileFunction castTile(RegisterKind from, RegisterKind to) {
  switch (from) {
  case RegisterKind::F32:
    return castFrom<float>(to);
  case RegisterKind::F64:
    return castFrom<double>(to);
  case RegisterKind::I64:
    return castFrom<int64_t>(to);
  case RegisterKind::U64:
    return castFrom<uint64_t>(to);
  case RegisterKind::Bool:
    return castFrom<int32_t>(to);
  }
  return nullptr;
}

template <typename T>
static void roundLoop(const void *a, const void *, const void *, void *out,
                      int64_t count) {
  using R = typename Register<T>::Type;
  const R *x = static_cast<const R *>(a);
  R *y = static_cast<R *>(out);
  for (int64_t i = 0; i < count; ++i)
    y[i] = Register<T>::load(Register<T>::store(x[i]));
}

#if MOE_ISA_HAS_FMA
template <>
void roundLoop<Half>(const void *a, const void *, const void *, void *out,
                     int64_t count) {
  const float *x = static_cast<const float *>(a);
  float *y = static_cast<float *>(out);
  for (int64_t i = 0; i < count; i += kLanes)
    store(y + i, _mm256_cvtph_ps(
                     _mm256_cvtps_ph(load(x + i), _MM_FROUND_TO_NEAREST_INT)));
}
#endif

TileFunction roundTile(DType dtype) {
  switch (dtype) {
  case DType::F16:
    return roundLoop<Half>;
  case DType::BF16:
    return roundLoop<BFloat16>;
  case DType::I8:
    return roundLoop<int8_t>;
  case DType::I16:
    return roundLoop<int16_t>;
  case DType::I32:
    return roundLoop<int32_t>;
  case DType::U8:
    return roundLoop<uint8_t>;
  case DType::U16:
    return roundLoop<uint16_t>;
  case DType::U32:
    return roundLoop<uint32_t>;
  default:
    return nullptr;
  }
}

} // namespace moe::cpu::MOE_ISA
