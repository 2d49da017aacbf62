//===- CountedIndex.cpp - Indices that count 0, 1, 2 .. -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/CountedIndex.h"

#include "passes/recognize/View.h"

#include "dialect/moe/MoeTypes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

std::optional<CountedIndex> matchCountedIndex(Value index) {
  View view = View::trace(index, /*throughCasts=*/true);
  auto iota = view.root.getDefiningOp<IotaOp>();
  if (!iota || iota.getStep() != 1 || iota.getStart().getDim(0) != DimExpr(0))
    return std::nullopt;
  std::optional<CountedIndex> counted;
  for (auto [i, factors] : llvm::enumerate(view.dims)) {
    if (!factors.empty() && factors == wholeAxis(view.root, 0)) {
      if (counted)
        return std::nullopt;
      counted = CountedIndex{i, getDim(view.root, 0)};
    } else if (llvm::any_of(factors, [](const Factor &factor) {
                 return !factor.isRepeated();
               })) {
      return std::nullopt;
    }
  }
  return counted;
}

std::optional<SmallVector<CountedIndex>> matchCountedTuples(GatherNdOp gather) {
  auto tuples = gather.getIndices().getDefiningOp<ConcatOp>();
  int64_t last = getTensorType(gather.getIndices()).getRank() - 1;
  if (gather.getBatchDims() != 0 || !tuples ||
      static_cast<int64_t>(tuples.getAxis()) != last ||
      static_cast<int64_t>(tuples.getInputs().size()) >
          getTensorType(gather.getData()).getRank())
    return std::nullopt;
  SmallVector<CountedIndex> entries;
  for (Value index : tuples.getInputs()) {
    auto entry = getDim(index, last) == DimExpr(1) ? matchCountedIndex(index)
                                                   : std::nullopt;
    if (!entry ||
        (!entries.empty() && entry->dimension <= entries.back().dimension))
      return std::nullopt;
    entries.push_back(*entry);
  }
  return entries;
}

} // namespace moe::pass
