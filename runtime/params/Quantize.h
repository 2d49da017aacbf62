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
//   4 bits   scale = the number of largest magnitude / -8, codes -8 .. 7, as
//            ggml's Q4_0: the whole range is used, by one sign only
//   zeros    scale = (max - min) / (2^bits - 1) with 0 between min and max,
//            zero = round(-min / scale)
//
// The scale is rounded to f16 first, then codes to the nearest, ties to even,
// with the rounded scale. A block of zeros has scale 0. Scales beyond f16
// become the largest finite f16; NaN gives code 0.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_QUANTIZE_H
#define MOE_RUNTIME_PARAMS_QUANTIZE_H

#include "runtime/params/QuantFormat.h"

namespace moe {

/// One block: `codes` are unsigned, zero() or the zero point included.
struct BlockScale {
  float scale = 0; ///< a value that f16 has
  int zero = 0;
};

/// Rounds numbers[i * stride] for i < count to codes[i * codeStride].
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
