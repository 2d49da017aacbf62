//===- SizeBounds.h - The largest value of a size ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bounds of data symbols may hold no other data symbols: memory is planned from
// the shapes of inputs. So what depends on one takes its bound:
//
//   d0 <= batch * seq     2 * d0     ->  2 * batch * seq
//                         batch - d0 ->  batch
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_SIZEBOUNDS_H
#define MOE_DIALECT_MOE_SIZEBOUNDS_H

#include "runtime/support/DimExpr.h"

namespace moe::dialect {

/// What `size` does not exceed while each symbol of `most` is between 0 and its
/// entry there, in other symbols. As sizes are, the factors of a product are
/// taken to be at least 0, divisors at least 1.
DimExpr upperBoundOf(const DimExpr &size,
                     const std::map<std::string, DimExpr, std::less<>> &most);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_SIZEBOUNDS_H
