//===- Quantize.cpp - Numbers rounded to codes of blocks ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace moe;

// Vectors of GCC and Clang, as large as registers are everywhere: compilers
// make no vector instructions of a loop that compares floats.
static constexpr int64_t kLanes = 4;
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(kLanes)));

/// Up to kLanes numbers; the lanes beyond `count` are 0.
static Floats loadLanes(const float *numbers, int64_t stride, int64_t count) {
  Floats lanes = {};
  if (stride == 1 && count >= kLanes)
    std::memcpy(&lanes, numbers, sizeof(lanes));
  else
    for (int64_t i = 0; i < std::min(count, kLanes); ++i)
      lanes[i] = numbers[i * stride];
  return lanes;
}

namespace {
/// What the scale of a block depends on; NaN fails all comparisons.
struct Extremes {
  float least = 0, most = 0; ///< with 0 between them
};
} // namespace

static Extremes extremesOf(const float *numbers, int64_t stride,
                           int64_t count) {
  Floats least = {}, most = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    Floats lanes = loadLanes(numbers + i * stride, stride, count - i);
    least = lanes < least ? lanes : least;
    most = lanes > most ? lanes : most;
  }
  Extremes extremes;
  for (int64_t i = 0; i < kLanes; ++i) {
    extremes.least = std::min(extremes.least, least[i]);
    extremes.most = std::max(extremes.most, most[i]);
  }
  return extremes;
}

/// The first number of the largest magnitude.
static float largestOf(Extremes extremes, const float *numbers, int64_t stride,
                       int64_t count) {
  if (extremes.most != -extremes.least)
    return extremes.most > -extremes.least ? extremes.most : extremes.least;
  for (int64_t i = 0; i < count; ++i)
    if (std::abs(numbers[i * stride]) == extremes.most)
      return numbers[i * stride];
  return 0;
}

/// The nearest value that f16 has, the largest finite one beyond its range.
static float roundScale(float scale) {
  constexpr float kLargest = 65504;
  float rounded = halfToFloat(floatToHalf(scale));
  return std::clamp(rounded, -kLargest, kLargest);
}

/// The integers nearest to `values`, ties to even; |value| < 2^22.
template <typename T> static T nearest(T values) {
  constexpr float kShift = 0x1.8p23f;
  return (values + kShift) - kShift;
}

/// Codes of quotients, clamped to [low, high] before the zero point is added. A
/// quotient is rounded to a tie only if it is one: the product of a tie and a
/// scale of 11 bits is exact, and the quotients of its neighbours differ by
/// more than they are rounded.
static Bytes codesOf(Floats quotients, int low, int high, int zero) {
  Floats least = Floats{} + static_cast<float>(low);
  Floats most = Floats{} + static_cast<float>(high);
  quotients = quotients == quotients ? quotients : Floats{}; // NaN
  quotients = quotients < least ? least : quotients;
  quotients = quotients > most ? most : quotients;
  Ints codes = __builtin_convertvector(nearest(quotients), Ints) + zero;
  return __builtin_convertvector(codes, Bytes);
}

BlockScale moe::quantizeBlock(const QuantFormat &format, const float *numbers,
                              int64_t stride, int64_t count, uint8_t *codes,
                              int64_t codeStride) {
  const int most = (1 << format.bits) - 1, middle = format.zero();
  Extremes extremes = extremesOf(numbers, stride, count);
  BlockScale block{0, middle};
  // Codes without the zero point.
  int low = -middle, high = middle - 1;
  if (format.hasZeroPoints) {
    block.scale =
        roundScale((extremes.most - extremes.least) / static_cast<float>(most));
    if (block.scale != 0) {
      float zero = -extremes.least / block.scale;
      block.zero = static_cast<int>(nearest(std::min<float>(zero, most)));
    }
    low = -block.zero;
    high = most - block.zero;
  } else if (format.bits == 8) {
    block.scale = roundScale(std::max(extremes.most, -extremes.least) / 127.0f);
    low = -high;
  } else {
    block.scale =
        roundScale(largestOf(extremes, numbers, stride, count) / -8.0f);
  }
  if (block.scale == 0) {
    for (int64_t i = 0; i < count; ++i)
      codes[i * codeStride] = static_cast<uint8_t>(middle);
    return BlockScale{0, middle};
  }
  for (int64_t i = 0; i < count; i += kLanes) {
    Floats lanes = loadLanes(numbers + i * stride, stride, count - i);
    Bytes rounded = codesOf(lanes / block.scale, low, high, block.zero);
    for (int64_t j = 0; j < std::min(count - i, kLanes); ++j)
      codes[(i + j) * codeStride] = rounded[j];
  }
  return block;
}
