//===- Elements.h - Arithmetic on elements of any type ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_ELEMENTS_H
#define MOE_RUNTIME_PARAMS_ELEMENTS_H

#include "runtime/support/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace moe {

/// Converts count elements, as ParamExprKind_Cast does. `from` and `to` may
/// have any alignment and must not overlap.
void convertElements(DType fromType, const std::byte *from, DType toType,
                     std::byte *to, size_t count);

/// Every element is `f`, or `i` for integers and bool.
void fillElements(DType type, double f, int64_t i, std::byte *to, size_t count);

/// x *= factor, in place, floats only.
void scaleElements(DType type, double factor, std::byte *x, size_t count);

enum class ElementOp { Add, Mul };
/// out = a op b; out may be a or b.
void combineElements(ElementOp op, DType type, const std::byte *a,
                     const std::byte *b, std::byte *out, size_t count);

/// Element `index` of values of `bits` (2, 4, 8), low bits first.
inline unsigned unpackBits(const std::byte *packed, unsigned bits,
                           int64_t index) {
  unsigned perByte = 8 / bits;
  auto byte = static_cast<unsigned>(packed[index / perByte]);
  return byte >> (index % perByte * bits) & ((1u << bits) - 1);
}

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_ELEMENTS_H
