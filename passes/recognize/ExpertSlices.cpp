//===- ExpertSlices.cpp - One FFN for each slice of a tensor --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/ExpertSlices.h"

#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

/// The axis along which `slice` takes entry `index` and nothing else.
static std::optional<size_t> axisOfEntry(SliceOp slice, int64_t index) {
  Dims whole = getDims(slice.getX()), part = getDims(slice.getResult());
  SmallVector<DimExpr> starts = slice.getStarts().getDims();
  std::optional<size_t> axis;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] == part[i] && starts[i] == DimExpr(0))
      continue;
    if (axis || part[i] != DimExpr(1) || starts[i] != DimExpr(index))
      return std::nullopt;
    axis = i;
  }
  return axis;
}

std::optional<ExpertSlices> matchExpertSlices(Value value) {
  auto concat = value.getDefiningOp<ConcatOp>();
  if (!concat || concat.getInputs().size() < 2)
    return std::nullopt;
  ExpertSlices slices;
  slices.axis = concat.getAxis();
  for (auto [index, output] : llvm::enumerate(concat.getInputs())) {
    if (getDims(output)[slices.axis] != DimExpr(1))
      return std::nullopt;
    auto ffn = matchFfn(output);
    if (!ffn || !ffn->w2.isDense() ||
        (index > 0 && !ffn->hasFormOf(slices.ffns.front())))
      return std::nullopt;
    auto slice = stripReshapes(ffn->input).getDefiningOp<SliceOp>();
    auto axis = slice ? axisOfEntry(slice, index) : std::nullopt;
    if (!axis)
      return std::nullopt;
    if (index == 0) {
      slices.source = slice.getX();
      slices.sourceAxis = *axis;
    } else if (slices.source != slice.getX() || slices.sourceAxis != *axis) {
      return std::nullopt;
    }
    slices.ffns.push_back(*ffn);
  }
  return slices;
}

} // namespace moe::pass
