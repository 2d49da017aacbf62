//===- BuildSlice.cpp - Slice on sizes that are expressions ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ONNX clamps the bounds of a slice to its tensor and counts negative ones from
// the end. On sizes that are expressions, what a bound means may depend on the
// run: x[:, -4:] of `seq` elements has min(4, seq). The result says so, except
// where exporters always mean the simple case, and then a run checks that it is
// the one:
//
//   x[-1:], x[:1]  there is an element           (the last, the first token)
//   x[:seq]        seq is at most the size       (a table of positions)
//   x[total-seq:]  the difference is not negative
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {
/// What a slice takes along one axis.
struct AxisSlice {
  DimExpr start;
  DimExpr size;
};
} // namespace

/// Larger numbers mean the end of a dimension.
static constexpr int64_t kEnd = INT32_MAX;

/// A constant bound counted from the front and clamped to [0, size].
static DimExpr clampConstant(NodeContext &n, int64_t bound,
                             const DimExpr &size) {
  if (bound >= kEnd)
    return size;
  if (bound <= -kEnd)
    return DimExpr(0);
  DimExpr needed(bound < 0 ? -bound : bound);
  bool isOneElement = needed == DimExpr(1);
  if (isAtLeast(size, needed) ||
      (isOneElement && n.assumeAtLeast(size, needed)))
    return bound < 0 ? size - needed : needed;
  if (bound < 0)
    return DimExpr::max(size - needed, DimExpr(0));
  return isAtLeast(needed, size) ? size : DimExpr::min(needed, size);
}

/// The same for any bound; fails if what it means depends on the run.
static FailureOr<DimExpr> clampBound(NodeContext &n, DimExpr bound,
                                     const DimExpr &size) {
  if (std::optional<int64_t> value = bound.constantValue())
    return clampConstant(n, *value, size);
  // x[-seq:] counts from the end.
  if (isNonNegative(DimExpr(0) - bound))
    bound = size + bound;
  if (isAtLeast(bound, size) && isNonNegative(bound))
    return size;
  if (!n.assumeAtLeast(bound, DimExpr(0)) || !n.assumeAtLeast(size, bound))
    return n.unsupported("what the bound " + bound.toString() + " of size " +
                         size.toString() + " means is known only at run time");
  return bound;
}

static FailureOr<AxisSlice> sliceForward(NodeContext &n, const DimExpr &start,
                                         const DimExpr &end, int64_t step,
                                         const DimExpr &size) {
  FailureOr<DimExpr> first = clampBound(n, start, size),
                     last = clampBound(n, end, size);
  if (failed(first) || failed(last))
    return failure();
  DimExpr count = *last - *first;
  if (auto value = count.constantValue())
    count = DimExpr(std::max<int64_t>(*value, 0));
  else if (!isNonNegative(count) && *last != size)
    count = DimExpr::max(count, DimExpr(0));
  return AxisSlice{*first, DimExpr::ceilDiv(count, DimExpr(step))};
}

/// A step < 0 on a dimension that is a constant, or all of one that is not.
static FailureOr<AxisSlice> sliceBackward(NodeContext &n, const DimExpr &start,
                                          const DimExpr &end, int64_t step,
                                          const DimExpr &size) {
  std::optional<int64_t> first = start.constantValue(),
                         last = end.constantValue(),
                         count = size.constantValue();
  if (!first || !last)
    return n.unsupported("a slice with a negative step has bounds that are no "
                         "constants");
  if (count) {
    auto clamp = [&](int64_t bound) {
      if (bound < 0 && bound >= -*count)
        bound += *count;
      return std::clamp<int64_t>(bound, -1, *count - 1);
    };
    // An end below -size is in front of the first element.
    int64_t from = clamp(*first), to = clamp(*last), down = -step;
    return AxisSlice{DimExpr(std::max<int64_t>(from, 0)),
                     DimExpr(from > to ? (from - to + down - 1) / down : 0)};
  }
  if ((*first != -1 && *first < kEnd) || *last > -kEnd)
    return n.unsupported("a slice with a negative step takes only a part of "
                         "size " +
                         size.toString());
  return AxisSlice{size - DimExpr(1), DimExpr::ceilDiv(size, DimExpr(-step))};
}

namespace {
/// The inputs of a Slice, one entry for each axis that it names.
struct SliceInputs {
  Dims starts, ends;
  SmallVector<int64_t> axes, steps;
};
} // namespace

static FailureOr<SliceInputs> readInputs(NodeContext &n) {
  FailureOr<Dims> starts = n.sizesOf(1, "input 'starts'");
  FailureOr<Dims> ends = n.sizesOf(2, "input 'ends'");
  if (failed(starts) || failed(ends))
    return failure();
  SliceInputs inputs{*starts, *ends, {}, {}};
  size_t count = starts->size();
  inputs.axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
  inputs.steps.assign(count, 1);
  if (n.has(3)) {
    FailureOr<SmallVector<int64_t>> axes = n.constantInts(3, "input 'axes'");
    if (failed(axes))
      return failure();
    inputs.axes = *axes;
  }
  if (n.has(4)) {
    FailureOr<SmallVector<int64_t>> steps = n.constantInts(4, "input 'steps'");
    if (failed(steps))
      return failure();
    inputs.steps = *steps;
  }
  if (ends->size() != count || inputs.axes.size() != count ||
      inputs.steps.size() != count)
    return n.invalid("has inputs of different lengths");
  for (int64_t &axis : inputs.axes) {
    FailureOr<int64_t> counted = n.axisIn(axis, n.rank(0));
    if (failed(counted))
      return failure();
    axis = *counted;
  }
  for (int64_t step : inputs.steps)
    if (step == 0 || step <= -kEnd)
      return n.invalid("has step " + Twine(step));
  return inputs;
}

/// The elements that a slice takes out of a vector.
static std::optional<SizeElements> sliceElements(NodeContext &n,
                                                 ArrayRef<DimExpr> starts,
                                                 ArrayRef<DimExpr> dims,
                                                 ArrayRef<int64_t> steps) {
  std::optional<SizeElements> elements;
  if (n.rank(0) == 1)
    elements = n.elements(n.input(0));
  if (!elements || !starts[0].isConstant() || !dims[0].isConstant())
    return std::nullopt;
  SizeElements taken;
  int64_t at = *starts[0].constantValue();
  for (int64_t i = *dims[0].constantValue(); i > 0; --i, at += steps[0])
    taken.push_back((*elements)[at]);
  return taken;
}

LogicalResult buildSlice(NodeContext &n) {
  FailureOr<SliceInputs> inputs = readInputs(n);
  if (failed(inputs))
    return failure();
  Dims dims = n.dims(0), starts(dims.size(), DimExpr(0));
  SmallVector<int64_t> steps(dims.size(), 1);
  for (size_t i = 0; i < inputs->axes.size(); ++i) {
    int64_t axis = inputs->axes[i], step = inputs->steps[i];
    auto slice = step > 0 ? sliceForward : sliceBackward;
    FailureOr<AxisSlice> part =
        slice(n, inputs->starts[i], inputs->ends[i], step, n.dim(0, axis));
    if (failed(part))
      return failure();
    starts[axis] = part->start;
    dims[axis] = part->size;
    // Of nothing, any place is the start.
    if (part->size == DimExpr(0))
      starts[axis] = DimExpr(0);
    steps[axis] = step;
  }
  n.setMoved(0, getTensorType(n.elementType(0), dims),
             sliceElements(n, starts, dims, steps),
             [&] { return n.slice(n.value(0), starts, dims, steps); });
  return success();
}

} // namespace moe::onnx_import
