//===- QuantFormat.h - Weights as integers with scales ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matrix [K, N] in blocks of `block` numbers of one column; of each block a
// scale, perhaps a zero point, and a code of 4 or 8 bits for each number:
//
//   value(k, n) = (code(k, n) - zero(k / block, n)) * scale(k / block, n)
//
// computed in f32. Codes are unsigned; without zero points they count from
// 2^(bits - 1). With scales of f16 the value is exact.
//
// The layout has panels of 16 columns, as panel16. A panel is three ranges,
// each padded to 64 bytes:
//
//   codes    4 bits: [Kc / 8][16] words of 32 bits; bits 4 i of word (g, n)
//                    have row 8 g + [0, 4, 1, 5, 2, 6, 3, 7][i]: the low halves
//                    of its bytes are rows 8 g .. 8 g + 3, the high halves the
//                    next four
//            8 bits: [Kc / 4][16] words; byte i has row 4 g + i
//            Kc is K rounded up to 32; rows from K on have the zero point of
//            the last block, columns from N on 2^(bits - 1): the value 0
//   scales   [ceil(K / block)][16] of f16 or f32, 0 from column N on
//   zeros    [ceil(K / block)][16] bytes, if there are zero points;
//            2^(bits - 1) from column N on
//
// A word is what a kernel widens to 16 columns at a time: by a shift and a
// table look-up for f32, or as it is for products of integers.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_QUANTFORMAT_H
#define MOE_RUNTIME_PARAMS_QUANTFORMAT_H

#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moe {

/// How weights are made integers. As the name of a layout: "panel16.q4x32", for
/// f32 scales "panel16.q4x128.f32", with zero points "panel16.q8x32.z".
struct QuantFormat {
  int bits = 4;       ///< 4 or 8
  int64_t block = 32; ///< 16 or a multiple of 32, along K
  DType scales = DType::F16;
  bool hasZeroPoints = false;

  int zero() const { return 1 << (bits - 1); }
  bool operator==(const QuantFormat &) const = default;
};

/// What kernels register that read every layout of a QuantFormat.
inline constexpr std::string_view kQuantLayouts = "panel16.q";

/// The format of a layout; nothing for other layouts and malformed names.
std::optional<QuantFormat> parseQuantLayout(std::string_view layout);
/// The inverse.
std::string quantLayoutName(const QuantFormat &format);

/// Where the ranges of a panel lie, in bytes from its beginning.
struct QuantPanel {
  int64_t codes = 0; ///< always 0
  int64_t scales = 0;
  int64_t zeros = 0; ///< == bytes if there are none
  int64_t bytes = 0; ///< of a panel

  /// Of a matrix with `depth` rows. Errors: overflow, a format that is not
  /// allowed.
  static StatusOr<QuantPanel> of(const QuantFormat &format, int64_t depth);
};

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_QUANTFORMAT_H
