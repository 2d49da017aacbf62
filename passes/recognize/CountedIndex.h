//===- CountedIndex.h - Indices that count 0, 1, 2 .. -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_COUNTEDINDEX_H
#define MOE_PASSES_RECOGNIZE_COUNTEDINDEX_H

#include "dialect/moe/MoeOps.h"
#include "runtime/support/DimExpr.h"

#include <optional>

namespace moe::pass {

/// A tensor that counts 0, 1, .. size - 1 along one dimension and repeats that
/// along all others.
struct CountedIndex {
  size_t dimension;
  DimExpr size;
};
std::optional<CountedIndex> matchCountedIndex(mlir::Value index);

/// The tuples of a gather_nd, one entry for each leading dimension of the data;
/// fails unless each entry counts and they do so along different dimensions of
/// the result, in order.
std::optional<llvm::SmallVector<CountedIndex>>
matchCountedTuples(dialect::GatherNdOp gather);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_COUNTEDINDEX_H
