//===- Quantize.h - Numbers rounded to codes of blocks ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one rule by which the compiler rounds weights, the reference interpreter
// evaluates `quantize` and the plan writer makes codes. Of a block of numbers:
//
//   8 bits   scale = largest magnitude / 127, codes -127 .. 127
//   4 bits   scale = the first number of largest magnitude / -8, codes -8 .. 7,
//            as ggml's Q4_0: the whole range is used, by one sign only
//   zeros    scale = (max - min) / (2^bits - 1), where max >= 0 >= min;
//            zero = round(-min / scale)
//
// in f32. The scale is rounded to f16 first; then each number becomes
// round(number / scale), ties to even, clamped to the codes that there are. To
// this the zero point is added, which without `zeros` is 2^(bits - 1).
//
//   4 bits, [1, -3, 2.5, 0.75]: scale -3 / -8 = 0.375
//   quotients [2.67, -8, 6.67, 2], codes [3, -8, 7, 2] + 8 = [11, 0, 15, 10]
//   values [1.125, -3, 2.625, 0.75]
//
// A block whose scale is 0 (zeros, or too small for f16) has only values 0 and
// the zero point 2^(bits - 1). Scales beyond f16 become its largest finite
// value. NaN has no part in the scale and becomes 0; infinities become the
// last code of their side.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_QUANTIZE_H
#define MOE_RUNTIME_PARAMS_QUANTIZE_H

#include "runtime/params/QuantFormat.h"

namespace moe {

/// What a block has besides its codes.
struct BlockScale {
  float scale = 0; ///< a value that f16 has
  int zero = 0;    ///< QuantFormat::zero() in formats without zero points
};

/// Rounds numbers[i * stride] for i < count to codes[i * codeStride]: unsigned,
/// the zero point included. The scale is one that f16 has, whatever
/// format.scales says.
BlockScale quantizeBlock(const QuantFormat &format, const float *numbers,
                         int64_t stride, int64_t count, uint8_t *codes,
                         int64_t codeStride);

/// (code - zero) * scale.
inline float dequantized(uint8_t code, BlockScale block) {
  return static_cast<float>(static_cast<int>(code) - block.zero) * block.scale;
}

/// Blocks of `block` numbers of K as a layout can have them: 0, all of K,
/// becomes K rounded up to 32.
inline int64_t quantBlock(int64_t block, int64_t depth) {
  return block > 0 ? block : (depth + 31) / 32 * 32;
}

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_QUANTIZE_H
