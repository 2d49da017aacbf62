//===- Quantize.cpp - Numbers rounded to codes of blocks ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Quantize.h"

#include <algorithm>
#include <cmath>

using namespace moe;

namespace {
/// What the scale of a block depends on; NaN is passed over.
struct Extremes {
  float least = 0, most = 0; ///< with 0 between them
  float largest = 0;         ///< the first number of the largest magnitude
};
} // namespace

static Extremes extremesOf(const float *numbers, int64_t stride,
                           int64_t count) {
  Extremes found;
  for (int64_t i = 0; i < count; ++i) {
    float number = numbers[i * stride];
    if (number < found.least)
      found.least = number;
    if (number > found.most)
      found.most = number;
    if (std::abs(number) > std::abs(found.largest))
      found.largest = number;
  }
  return found;
}

/// The nearest value that f16 has, the largest finite one beyond its range.
static float roundScale(float scale) {
  constexpr float kLargest = 65504;
  float rounded = halfToFloat(floatToHalf(scale));
  return std::clamp(rounded, -kLargest, kLargest);
}

/// The integer nearest to `value`, ties to even; |value| < 2^22.
static float nearest(float value) {
  constexpr float kShift = 0x1.8p23f;
  return (value + kShift) - kShift;
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
    block.scale = roundScale(std::abs(extremes.largest) / 127.0f);
    low = -high;
  } else {
    block.scale = roundScale(extremes.largest / -8.0f);
  }
  if (block.scale == 0) {
    for (int64_t i = 0; i < count; ++i)
      codes[i * codeStride] = static_cast<uint8_t>(middle);
    return BlockScale{0, middle};
  }
  for (int64_t i = 0; i < count; ++i) {
    // A quotient is rounded to a tie only if it is one: the product of a tie
    // and a scale of 11 bits is exact, and its neighbours differ by more.
    float quotient = numbers[i * stride] / block.scale;
    quotient =
        std::isnan(quotient) ? 0 : std::clamp<float>(quotient, low, high);
    codes[i * codeStride] =
        static_cast<uint8_t>(static_cast<int>(nearest(quotient)) + block.zero);
  }
  return block;
}
