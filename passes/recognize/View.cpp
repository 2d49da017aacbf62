//===- View.cpp - Where the elements of a value come from -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/View.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

bool Factor::operator==(const Factor &other) const {
  return axis == other.axis && size == other.size &&
         (isRepeated() || stride == other.stride);
}

Factors wholeAxis(Value root, unsigned axis) {
  DimExpr size = getDims(root)[axis];
  if (size == DimExpr(1))
    return {};
  return {Factor{static_cast<int>(axis), size, DimExpr(1)}};
}

DimExpr sizeOf(ArrayRef<Factor> factors) {
  DimExpr size(1);
  for (const Factor &factor : factors)
    size = size * factor.size;
  return size;
}

/// Joins neighbours that walk on where the other ends.
static void appendJoined(Factors &factors, const Factor &next) {
  if (!factors.empty()) {
    Factor &last = factors.back();
    bool joins = last.isRepeated() ? next.isRepeated()
                                   : last.axis == next.axis &&
                                         last.stride == next.size * next.stride;
    if (joins) {
      last.size = last.size * next.size;
      last.stride = next.stride;
      return;
    }
  }
  factors.push_back(next);
}

std::optional<SmallVector<Factors, 4>> regroup(ArrayRef<Factor> factors,
                                               ArrayRef<DimExpr> sizes) {
  SmallVector<Factors, 4> groups;
  size_t next = 0;
  std::optional<Factor> rest;
  for (const DimExpr &size : sizes) {
    Factors group;
    DimExpr missing = size;
    while (missing != DimExpr(1)) {
      if (!rest && next == factors.size())
        return std::nullopt;
      Factor factor = rest ? *rest : factors[next++];
      rest.reset();
      if (auto quotient = DimExpr::divideExactly(missing, factor.size)) {
        missing = *quotient;
        appendJoined(group, factor);
        continue;
      }
      auto inner = DimExpr::divideExactly(factor.size, missing);
      if (!inner)
        return std::nullopt;
      appendJoined(group, Factor{factor.axis, missing, factor.stride * *inner});
      rest = Factor{factor.axis, *inner, factor.stride};
      missing = DimExpr(1);
    }
    groups.push_back(std::move(group));
  }
  if (rest || next != factors.size())
    return std::nullopt;
  return groups;
}

View View::identity(Value value) {
  View view{value, {}};
  for (size_t axis = 0, rank = getDims(value).size(); axis < rank; ++axis)
    view.dims.push_back(wholeAxis(value, axis));
  return view;
}

static std::optional<View> traceReshape(Value value, ReshapeOp op,
                                        bool throughCasts) {
  View view = View::trace(op.getX(), throughCasts);
  auto dims = regroup(view.flattened(), getDims(value));
  if (!dims)
    return std::nullopt;
  view.dims = std::move(*dims);
  return view;
}

static View traceTranspose(TransposeOp op, bool throughCasts) {
  View view = View::trace(op.getX(), throughCasts);
  SmallVector<Factors, 4> dims;
  for (int64_t from : op.getPermutation())
    dims.push_back(view.dims[from]);
  view.dims = std::move(dims);
  return view;
}

static View traceBroadcast(Value value, BroadcastOp op, bool throughCasts) {
  View view = View::trace(op.getX(), throughCasts);
  SmallVector<DimExpr> from = getDims(op.getX()), to = getDims(value);
  SmallVector<Factors, 4> dims;
  size_t leading = to.size() - from.size();
  for (size_t i = 0; i < to.size(); ++i) {
    bool stretched = i < leading || from[i - leading] != to[i];
    if (!stretched)
      dims.push_back(view.dims[i - leading]);
    else if (to[i] == DimExpr(1))
      dims.push_back({});
    else
      dims.push_back({Factor{-1, to[i], DimExpr(0)}});
  }
  view.dims = std::move(dims);
  return view;
}

View View::trace(Value value, bool throughCasts) {
  Operation *op = value.getDefiningOp();
  if (auto reshape = dyn_cast_or_null<ReshapeOp>(op)) {
    if (auto view = traceReshape(value, reshape, throughCasts))
      return *view;
  } else if (auto transpose = dyn_cast_or_null<TransposeOp>(op)) {
    return traceTranspose(transpose, throughCasts);
  } else if (auto broadcast = dyn_cast_or_null<BroadcastOp>(op)) {
    return traceBroadcast(value, broadcast, throughCasts);
  } else if (auto cast = dyn_cast_or_null<CastOp>(op); cast && throughCasts) {
    return trace(cast.getX(), throughCasts);
  }
  return identity(value);
}

Factors View::flattened() const {
  Factors all;
  for (const Factors &factors : dims)
    all.append(factors.begin(), factors.end());
  return all;
}

bool View::isReshapeOfRoot() const {
  auto split = regroup(flattened(), getDims(root));
  if (!split)
    return false;
  for (auto [axis, factors] : llvm::enumerate(*split))
    if (factors != wholeAxis(root, axis))
      return false;
  return true;
}

/// The factors of `dims` that walk along `axis`, outermost first; fails unless
/// they cover the axis without gaps.
static FailureOr<Factors> factorsOfAxis(ArrayRef<Factors> dims, unsigned axis,
                                        const DimExpr &size) {
  SmallVector<Factor> inner;
  DimExpr covered(1);
  while (covered != size) {
    const Factor *found = nullptr;
    for (const Factors &factors : dims)
      for (const Factor &factor : factors)
        if (factor.axis == static_cast<int>(axis) && factor.stride == covered)
          found = &factor;
    if (!found || found->size == DimExpr(1))
      return failure();
    inner.push_back(*found);
    covered = covered * found->size;
    if (inner.size() > 64)
      return failure();
  }
  return Factors(inner.rbegin(), inner.rend());
}

FailureOr<Value> materialize(OpBuilder &builder, Location loc, Value root,
                             ArrayRef<Factors> dims) {
  Factors ordered;
  for (auto [axis, size] : llvm::enumerate(getDims(root))) {
    auto factors = factorsOfAxis(dims, axis, size);
    if (failed(factors))
      return failure();
    ordered.append(factors->begin(), factors->end());
  }

  SmallVector<int64_t> permutation;
  SmallVector<DimExpr> split, result;
  for (const Factor &factor : ordered)
    split.push_back(factor.size);
  for (const Factors &factors : dims) {
    result.push_back(sizeOf(factors));
    for (const Factor &factor : factors) {
      auto it = llvm::find(ordered, factor);
      if (it == ordered.end())
        return failure();
      permutation.push_back(it - ordered.begin());
    }
  }
  if (permutation.size() != ordered.size())
    return failure();

  if (llvm::is_sorted(permutation))
    return reshapeTo(builder, loc, root, result);
  Value value = reshapeTo(builder, loc, root, split);
  value = TransposeOp::create(builder, loc, value,
                              builder.getDenseI64ArrayAttr(permutation));
  return reshapeTo(builder, loc, value, result);
}

} // namespace moe::pass
