//===- ParamCodes.h - Codes of weights in other places ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `dequantize` has its blocks along the last dimension, and codes packed along
// it. A file may have them packed along another one, such as [K, N] with blocks
// along K and bytes along N; the codes are then taken apart, moved as bytes,
// and the result is moved back:
//
//   bytes = cast ui8 (dequantize [4, 0] (q, 1.0, 0))              [K, N]
//   transpose [1, 0] (dequantize [4, 32] (transpose [1, 0] (bytes), s))
//
// So whatever a file has, a weight of codes is `transpose (dequantize (..))`,
// or `dequantize` where K is last. Only a product says which dimension is K:
// where a scale holds for a whole matrix, both can be.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_PARAMCODES_H
#define MOE_DIALECT_MOE_PARAMCODES_H

#include "dialect/moe/ParamBuilder.h"

namespace moe::dialect::param {

/// q [.., ceil(size * bits / 8)] ui8, low bits first, or q [.., size], as bytes
/// [.., size] below 2^bits.
ParamAttr unpack(ParamAttr q, int64_t size, int64_t bits);

/// x with dimensions of 1 stretched to `shape`, of the same rank.
ParamAttr stretch(ParamAttr x, llvm::ArrayRef<int64_t> shape);

/// The same numbers as `weight`, with blocks along dimension `axis` if they are
/// along another one and their scales allow it: each is the scale of a whole
/// matrix. Other weights are given back.
ParamAttr codesAlong(ParamAttr weight, int64_t axis);

} // namespace moe::dialect::param

#endif // MOE_DIALECT_MOE_PARAMCODES_H
