//===- QuantTestData.h - Codes and floats for tests -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PARAMS_QUANTTESTDATA_H
#define MOE_TEST_UNIT_PARAMS_QUANTTESTDATA_H

#include "runtime/params/QuantSource.h"

#include <cstring>
#include <random>
#include <vector>

namespace moe::test {

/// All kinds of formats: bits, blocks, scales, zero points.
inline std::vector<QuantFormat> quantFormats() {
  std::vector<QuantFormat> formats;
  for (int bits : {4, 8})
    for (int64_t block : {16, 32, 64, 128, 1024})
      for (DType scales : {DType::F16, DType::F32})
        for (bool hasZeroPoints : {false, true})
          formats.push_back({bits, block, scales, hasZeroPoints});
  return formats;
}

/// A matrix with an outlier here and there.
inline std::vector<float> randomNumbers(int64_t count, unsigned seed = 5) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float &number : numbers)
    number = normal(random) * (random() % 50 == 0 ? 8.0f : 1.0f);
  return numbers;
}

/// A packed matrix [K, N] as the essay of QuantFormat.h has it, element by
/// element.
struct PackedMatrix {
  const QuantFormat &format;
  int64_t depth;
  const std::byte *bytes;

  const std::byte *panelOf(int64_t n) const {
    return bytes + n / 16 * QuantPanel::of(format, depth)->bytes;
  }
  int code(int64_t k, int64_t n) const {
    if (format.bits == 8)
      return static_cast<int>(panelOf(n)[(k / 4 * 16 + n % 16) * 4 + k % 4]);
    uint32_t word;
    std::memcpy(&word, panelOf(n) + (k / 8 * 16 + n % 16) * 4, 4);
    constexpr int kRows[] = {0, 4, 1, 5, 2, 6, 3, 7};
    for (int i = 0; i < 8; ++i)
      if (kRows[i] == k % 8)
        return word >> (4 * i) & 15;
    return -1;
  }
  float scale(int64_t k, int64_t n) const {
    int64_t index = k / format.block * 16 + n % 16;
    const std::byte *scales =
        panelOf(n) + QuantPanel::of(format, depth)->scales;
    if (format.scales == DType::F32) {
      float scale;
      std::memcpy(&scale, scales + index * 4, 4);
      return scale;
    }
    uint16_t half;
    std::memcpy(&half, scales + index * 2, 2);
    return halfToFloat(half);
  }
  int zero(int64_t k, int64_t n) const {
    if (!format.hasZeroPoints)
      return format.zero();
    return static_cast<int>(panelOf(n)[QuantPanel::of(format, depth)->zeros +
                                       k / format.block * 16 + n % 16]);
  }
  float value(int64_t k, int64_t n) const {
    return static_cast<float>(code(k, n) - zero(k, n)) * scale(k, n);
  }
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_PARAMS_QUANTTESTDATA_H
