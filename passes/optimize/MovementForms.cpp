//===- MovementForms.cpp - Canonical forms of moved elements --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/optimize/CanonicalForms.h"
#include "passes/recognize/CountedIndex.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
namespace {

// Pattern: f(broadcast(x), y) -> f(x, y) [y has what x lacks]
template <typename OpTy> struct DropBroadcast : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand &operand : op->getOpOperands()) {
      auto broadcast = operand.get().template getDefiningOp<BroadcastOp>();
      if (!broadcast || !isNeedless(op, operand, broadcast))
        continue;
      rewriter.modifyOpInPlace(op, [&] { operand.set(broadcast.getX()); });
      return success();
    }
    return failure();
  }

private:
  static bool isNeedless(OpTy op, OpOperand &dropped, BroadcastOp broadcast) {
    Dims dims = getDims(broadcast.getX());
    for (OpOperand &operand : op->getOpOperands()) {
      if (&operand == &dropped)
        continue;
      FailureOr<Dims> joined = broadcastDims(dims, getDims(operand.get()));
      if (failed(joined))
        return false;
      dims = *joined;
    }
    return dims == getDims(op->getResult(0));
  }
};

/// The one element that `value` repeats; null if there are more.
Value matchRepeatedElement(Value value) {
  if (auto broadcast = value.getDefiningOp<BroadcastOp>())
    value = broadcast.getX();
  return product(getDims(value)) == DimExpr(1) ? value : Value();
}

// Pattern: f(broadcast(a), broadcast(b)) -> broadcast(f(a, b))
//          [a and b have one element]
template <typename OpTy> struct ComputeOnce : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    Value result = op.getResult();
    if (product(getDims(result)) == DimExpr(1))
      return failure();
    SmallVector<Value> elements;
    for (Value operand : op->getOperands()) {
      Value element = matchRepeatedElement(operand);
      if (!element)
        return failure();
      elements.push_back(element);
    }
    Value once;
    if constexpr (std::is_same_v<OpTy, UnaryOp>)
      once = UnaryOp::create(rewriter, op.getLoc(), op.getKind(), elements[0]);
    else
      once = BinaryOp::create(rewriter, op.getLoc(), op.getKind(), elements[0],
                              elements[1]);
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), once);
    return success();
  }
};

// Pattern: gather_nd(x, (i, j)) -> broadcast(reshape(x))
//          [i and j count along two dimensions of the result, in order]
struct CountedGatherNd : OpRewritePattern<GatherNdOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatherNdOp op,
                                PatternRewriter &rewriter) const override {
    auto entries = matchCountedTuples(op);
    if (!entries)
      return failure();
    Dims data = getDims(op.getData());
    // Dimensions of size 1 wherever no index counts.
    Dims spread(getTensorType(op.getIndices()).getRank() - 1, DimExpr(1));
    for (auto [axis, entry] : llvm::enumerate(*entries)) {
      if (entry.size != data[axis])
        return failure();
      spread[entry.dimension] = data[axis];
    }
    spread.append(data.begin() + entries->size(), data.end());
    if (!broadcastsTo(spread, getDims(op.getResult())))
      return failure();
    Value value = reshapeTo(rewriter, op.getLoc(), op.getData(), spread);
    if (value.getType() != op.getType())
      value = BroadcastOp::create(rewriter, op.getLoc(), op.getType(), value);
    rewriter.replaceOp(op, value);
    return success();
  }
};

// Pattern: gather_nd(x, i) -> gather(x, i) [the tuples have one entry]
struct SingleGatherNd : OpRewritePattern<GatherNdOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatherNdOp op,
                                PatternRewriter &rewriter) const override {
    Dims indices = getDims(op.getIndices());
    if (indices.empty() || indices.back() != DimExpr(1))
      return failure();
    indices.pop_back();
    Value flat = reshapeTo(rewriter, op.getLoc(), op.getIndices(), indices);
    rewriter.replaceOpWithNewOp<GatherOp>(op, op.getData(), flat,
                                          /*axis=*/op.getBatchDims(),
                                          /*batch_dims=*/op.getBatchDims(),
                                          StringAttr());
    return success();
  }
};

} // namespace

void populateMovementPatterns(RewritePatternSet &patterns) {
  patterns.add<DropBroadcast<BinaryOp>, DropBroadcast<CompareOp>,
               DropBroadcast<SelectOp>, ComputeOnce<UnaryOp>,
               ComputeOnce<BinaryOp>, CountedGatherNd, SingleGatherNd>(
      patterns.getContext());
}

} // namespace moe::pass
