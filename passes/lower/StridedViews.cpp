//===- StridedViews.cpp - Moved elements without moving them --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/StridedViews.h"

#include "dialect/moe/MoeOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

using Layout = std::optional<ViewLayout>;

ViewLayout moe::pass::rowMajorLayout(ArrayRef<DimExpr> dims) {
  ViewLayout layout;
  layout.strides.assign(dims.size(), DimExpr(1));
  for (size_t i = dims.size(); i-- > 1;)
    layout.strides[i - 1] = layout.strides[i] * dims[i];
  return layout;
}

bool moe::pass::isRowMajor(const ViewLayout &layout, ArrayRef<DimExpr> dims) {
  ViewLayout plain = rowMajorLayout(dims);
  for (auto [size, stride, expected] :
       llvm::zip_equal(dims, layout.strides, plain.strides))
    if (size != DimExpr(1) && stride != expected)
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

static Layout layoutOfTranspose(TransposeOp op, const ViewLayout &layout) {
  ViewLayout result{layout.offset, {}};
  for (int64_t from : op.getPermutation())
    result.strides.push_back(layout.strides[from]);
  return result;
}

static Layout layoutOfSlice(SliceOp op, const ViewLayout &layout) {
  ViewLayout result = layout;
  for (auto [i, step] : llvm::enumerate(op.getSteps())) {
    if (step < 1)
      return std::nullopt;
    result.offset =
        result.offset + op.getStarts().getDim(i) * layout.strides[i];
    result.strides[i] = layout.strides[i] * DimExpr(step);
  }
  return result;
}

static Layout layoutOfBroadcast(BroadcastOp op, const ViewLayout &layout) {
  Dims from = getDims(op.getX()), to = getDims(op.getResult());
  ViewLayout result{layout.offset, Dims(to.size(), DimExpr(0))};
  size_t missing = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != DimExpr(1))
      result.strides[missing + i] = layout.strides[i];
  return result;
}

/// The strides of dimensions `to` over memory in which dimensions `from` with
/// `strides` lie; both have the same product. Nothing if `from` has gaps.
static std::optional<Dims> regroup(ArrayRef<DimExpr> from,
                                   ArrayRef<DimExpr> strides,
                                   ArrayRef<DimExpr> to) {
  for (size_t i = 0; i + 1 < from.size(); ++i)
    if (strides[i] != strides[i + 1] * from[i + 1])
      return std::nullopt;
  Dims result(to.size(), DimExpr(1));
  DimExpr stride = from.empty() ? DimExpr(1) : strides.back();
  for (size_t i = to.size(); i-- > 0;) {
    result[i] = stride;
    stride = stride * to[i];
  }
  return result;
}

/// Takes the shortest groups of dimensions of equal product, one after the
/// other, and lays each out anew.
static Layout layoutOfReshape(ReshapeOp op, const ViewLayout &layout) {
  Dims from, strides, to = getDims(op.getResult());
  for (auto [i, size] : llvm::enumerate(getDims(op.getX())))
    if (size != DimExpr(1)) {
      from.push_back(size);
      strides.push_back(layout.strides[i]);
    }
  ViewLayout result{layout.offset, {}};
  size_t i = 0, j = 0;
  while (j < to.size()) {
    // A dimension of size 1 is its own group.
    if (to[j] == DimExpr(1)) {
      result.strides.push_back(DimExpr(1));
      ++j;
      continue;
    }
    bool found = false;
    for (size_t n = 1; !found && i + n <= from.size(); ++n)
      for (size_t m = 1; !found && j + m <= to.size(); ++m) {
        ArrayRef<DimExpr> source = ArrayRef(from).slice(i, n);
        ArrayRef<DimExpr> target = ArrayRef(to).slice(j, m);
        if (product(source) != product(target))
          continue;
        std::optional<Dims> group =
            regroup(source, ArrayRef(strides).slice(i, n), target);
        if (!group)
          return std::nullopt;
        result.strides.append(*group);
        found = true;
        i += n;
        j += m;
      }
    if (!found)
      return std::nullopt;
  }
  return result;
}

Layout moe::pass::layoutOfResult(Operation *op, const ViewLayout &layout) {
  return llvm::TypeSwitch<Operation *, Layout>(op)
      .Case([&](TransposeOp op) { return layoutOfTranspose(op, layout); })
      .Case([&](SliceOp op) { return layoutOfSlice(op, layout); })
      .Case([&](BroadcastOp op) { return layoutOfBroadcast(op, layout); })
      .Case([&](ReshapeOp op) { return layoutOfReshape(op, layout); })
      .Default([](Operation *) { return std::nullopt; });
}

ViewLayout moe::pass::layoutUnderTranspose(Operation *op) {
  auto transpose = cast<TransposeOp>(op);
  ViewLayout plain = rowMajorLayout(getDims(transpose.getResult()));
  ViewLayout result = plain;
  for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
    result.strides[from] = plain.strides[to];
  return result;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

bool moe::pass::readsStrides(Operation *op, unsigned slot) {
  if (isa<ElementwiseOp, ConcatOp, RotaryOp, CacheAppendOp>(op))
    return true;
  if (isa<AttentionOp>(op))
    return slot <= 3; // q, k, v, mask
  if (isa<MatmulOp>(op))
    return slot <= 1; // lhs, rhs
  return isa<TransposeOp, SliceOp, BroadcastOp, ReduceOp, PadOp>(op) &&
         slot == 0;
}

bool moe::pass::writesStrides(Operation *op) { return isa<AttentionOp>(op); }
