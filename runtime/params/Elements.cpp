//===- Elements.cpp - Arithmetic on elements of any type ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elements go through a small buffer of a wide type: f64 for conversions that
// floats take part in (exact for all but 64-bit integers, which are converted
// directly), i64 between integers (its bits are those of u64).
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Elements.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace moe;

static constexpr size_t kBatch = 512;

template <typename T> static T load(const std::byte *from, size_t i) {
  T value;
  std::memcpy(&value, from + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T> static void store(std::byte *to, size_t i, T value) {
  std::memcpy(to + i * sizeof(T), &value, sizeof(T));
}

/// Calls function(T()) with the C++ type of an integer type or bool.
template <typename Function>
static void withInteger(DType type, Function function) {
  switch (type) {
  case DType::I8:
    return function(int8_t());
  case DType::I16:
    return function(int16_t());
  case DType::I32:
    return function(int32_t());
  case DType::I64:
    return function(int64_t());
  case DType::U16:
    return function(uint16_t());
  case DType::U32:
    return function(uint32_t());
  case DType::U64:
    return function(uint64_t());
  default:
    return function(uint8_t());
  }
}

/// A float of the same value if there is one, else a neighbour whose last bit
/// is odd: rounding it again gives what rounding the f64 at once would give.
static float roundToOdd(double value) {
  auto nearest = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(nearest) == value)
    return nearest;
  if (std::abs(static_cast<double>(nearest)) > std::abs(value))
    nearest = std::nextafter(nearest, 0.0f);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(nearest) | 1u);
}

template <typename T> static T saturate(double value) {
  if (std::isnan(value))
    return 0;
  if (value <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  if (value >= static_cast<double>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

//===----------------------------------------------------------------------===//
// Wide types
//===----------------------------------------------------------------------===//

static void loadWide(DType type, const std::byte *from, double *to, size_t n) {
  switch (type) {
  case DType::F32:
    for (size_t i = 0; i < n; ++i)
      to[i] = load<float>(from, i);
    return;
  case DType::F64:
    std::memcpy(to, from, n * sizeof(double));
    return;
  case DType::F16:
    for (size_t i = 0; i < n; ++i)
      to[i] = halfToFloat(load<uint16_t>(from, i));
    return;
  case DType::BF16:
    for (size_t i = 0; i < n; ++i)
      to[i] = bfloat16ToFloat(load<uint16_t>(from, i));
    return;
  default:
    withInteger(type, [&]<typename T>(T) {
      for (size_t i = 0; i < n; ++i)
        to[i] = static_cast<double>(load<T>(from, i));
    });
  }
}

static void storeWide(DType type, const double *from, std::byte *to, size_t n) {
  switch (type) {
  case DType::F32:
    for (size_t i = 0; i < n; ++i)
      store(to, i, static_cast<float>(from[i]));
    return;
  case DType::F64:
    std::memcpy(to, from, n * sizeof(double));
    return;
  case DType::F16:
    for (size_t i = 0; i < n; ++i)
      store(to, i, floatToHalf(roundToOdd(from[i])));
    return;
  case DType::BF16:
    for (size_t i = 0; i < n; ++i)
      store(to, i, floatToBfloat16(roundToOdd(from[i])));
    return;
  case DType::Bool:
    for (size_t i = 0; i < n; ++i)
      store<uint8_t>(to, i, from[i] != 0);
    return;
  default:
    withInteger(type, [&]<typename T>(T) {
      for (size_t i = 0; i < n; ++i)
        store(to, i, saturate<T>(from[i]));
    });
  }
}

static void loadWide(DType type, const std::byte *from, int64_t *to, size_t n) {
  withInteger(type, [&]<typename T>(T) {
    for (size_t i = 0; i < n; ++i)
      to[i] = static_cast<int64_t>(load<T>(from, i));
  });
}

static void storeWide(DType type, const int64_t *from, std::byte *to,
                      size_t n) {
  withInteger(type, [&]<typename T>(T) {
    for (size_t i = 0; i < n; ++i)
      store(to, i,
            type == DType::Bool ? T(from[i] != 0) : static_cast<T>(from[i]));
  });
}

static void loadWide(DType type, const std::byte *from, float *to, size_t n) {
  switch (type) {
  case DType::F32:
    std::memcpy(to, from, n * sizeof(float));
    return;
  case DType::F16:
    for (size_t i = 0; i < n; ++i)
      to[i] = halfToFloat(load<uint16_t>(from, i));
    return;
  default:
    for (size_t i = 0; i < n; ++i)
      to[i] = bfloat16ToFloat(load<uint16_t>(from, i));
  }
}

static void storeWide(DType type, const float *from, std::byte *to, size_t n) {
  switch (type) {
  case DType::F32:
    std::memcpy(to, from, n * sizeof(float));
    return;
  case DType::F16:
    for (size_t i = 0; i < n; ++i)
      store(to, i, floatToHalf(from[i]));
    return;
  default:
    for (size_t i = 0; i < n; ++i)
      store(to, i, floatToBfloat16(from[i]));
  }
}

template <typename Wide>
static void convertThrough(DType fromType, const std::byte *from, DType toType,
                           std::byte *to, size_t count) {
  Wide batch[kBatch];
  for (size_t begin = 0; begin < count; begin += kBatch) {
    size_t n = std::min(kBatch, count - begin);
    loadWide(fromType, from + begin * dtypeSize(fromType), batch, n);
    storeWide(toType, batch, to + begin * dtypeSize(toType), n);
  }
}

/// Float types that f32 holds exactly.
static bool fitsFloat(DType type) {
  return isFloat(type) && type != DType::F64;
}

void moe::convertElements(DType fromType, const std::byte *from, DType toType,
                          std::byte *to, size_t count) {
  if (count == 0)
    return;
  if (fromType == toType) {
    std::memcpy(to, from, count * dtypeSize(toType));
    return;
  }
  bool isWideInteger = fromType == DType::I64 || fromType == DType::U64;
  if (!isFloat(fromType) && !isFloat(toType)) {
    convertThrough<int64_t>(fromType, from, toType, to, count);
  } else if (isWideInteger && toType == DType::F32) {
    // Through f64 it would be rounded twice.
    withInteger(fromType, [&]<typename T>(T) {
      for (size_t i = 0; i < count; ++i)
        store(to, i, static_cast<float>(load<T>(from, i)));
    });
  } else if (fitsFloat(fromType) && fitsFloat(toType)) {
    convertThrough<float>(fromType, from, toType, to, count);
  } else {
    convertThrough<double>(fromType, from, toType, to, count);
  }
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

void moe::fillElements(DType type, double f, int64_t i, std::byte *to,
                       size_t count) {
  size_t size = dtypeSize(type);
  std::byte element[8];
  if (isFloat(type))
    storeWide(type, &f, element, 1);
  else
    storeWide(type, &i, element, 1);
  for (size_t k = 0; k < count; ++k)
    std::memcpy(to + k * size, element, size);
}

template <typename Wide>
static void scaleThrough(DType type, Wide factor, std::byte *x, size_t count) {
  Wide batch[kBatch];
  for (size_t begin = 0; begin < count; begin += kBatch) {
    size_t n = std::min(kBatch, count - begin);
    std::byte *at = x + begin * dtypeSize(type);
    loadWide(type, at, batch, n);
    for (size_t i = 0; i < n; ++i)
      batch[i] *= factor;
    storeWide(type, batch, at, n);
  }
}

void moe::scaleElements(DType type, double factor, std::byte *x, size_t count) {
  if (type == DType::F64)
    scaleThrough<double>(type, factor, x, count);
  else
    scaleThrough<float>(type, static_cast<float>(factor), x, count);
}

template <typename Wide> static Wide combine(ElementOp op, Wide a, Wide b) {
  return op == ElementOp::Add ? a + b : a * b;
}

/// Integers wrap around.
static int64_t combine(ElementOp op, int64_t a, int64_t b) {
  return static_cast<int64_t>(combine<uint64_t>(op, static_cast<uint64_t>(a),
                                                static_cast<uint64_t>(b)));
}

template <typename Wide>
static void combineThrough(ElementOp op, DType type, const std::byte *a,
                           const std::byte *b, std::byte *out, size_t count) {
  Wide x[kBatch], y[kBatch];
  for (size_t begin = 0; begin < count; begin += kBatch) {
    size_t n = std::min(kBatch, count - begin);
    size_t offset = begin * dtypeSize(type);
    loadWide(type, a + offset, x, n);
    loadWide(type, b + offset, y, n);
    for (size_t i = 0; i < n; ++i)
      x[i] = combine(op, x[i], y[i]);
    storeWide(type, x, out + offset, n);
  }
}

void moe::combineElements(ElementOp op, DType type, const std::byte *a,
                          const std::byte *b, std::byte *out, size_t count) {
  if (fitsFloat(type))
    combineThrough<float>(op, type, a, b, out, count);
  else if (type == DType::F64)
    combineThrough<double>(op, type, a, b, out, count);
  else
    combineThrough<int64_t>(op, type, a, b, out, count);
}
