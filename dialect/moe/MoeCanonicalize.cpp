//===- MoeCanonicalize.cpp - Rewrites towards one form --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What happens to a weight before its use becomes part of its #moe.param
// expression, under the name of the weight; chains of casts and transposes
// become one.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

/// Replaces `op` by a weight named like `source`.
static LogicalResult replaceByParam(PatternRewriter &rewriter, Operation *op,
                                    ParamOp source, ParamAttr value) {
  if (value.getType() != op->getResult(0).getType())
    return failure();
  rewriter.replaceOpWithNewOp<ParamOp>(op, value, source.getNameAttr());
  return success();
}

//===----------------------------------------------------------------------===//
// Cast
//===----------------------------------------------------------------------===//

/// True if every value of `from` is one of `to`.
static bool holdsExactly(Type from, Type to) {
  if (from == to)
    return true;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  if (fromFloat && toFloat)
    return fromFloat.getFPMantissaWidth() <= toFloat.getFPMantissaWidth() &&
           APFloat::semanticsMaxExponent(fromFloat.getFloatSemantics()) <=
               APFloat::semanticsMaxExponent(toFloat.getFloatSemantics());
  auto integer = dyn_cast<IntegerType>(from);
  if (!integer)
    return false;
  unsigned bits = integer.getWidth();
  if (toFloat)
    return bits <= toFloat.getFPMantissaWidth();
  auto target = dyn_cast<IntegerType>(to);
  bool isUnsigned = integer.isUnsigned() || bits == 1;
  if (!target || target.getWidth() == 1)
    return false;
  if (isUnsigned == target.isUnsigned())
    return bits <= target.getWidth();
  return isUnsigned && bits < target.getWidth();
}

namespace {
struct CastOfCast : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: cast(cast(x, f32), f16) -> cast(x, f16) [f32 holds x exactly]
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner || !holdsExactly(getTensorType(inner.getX()).getElementType(),
                                inner.getType().getElementType()))
      return failure();
    rewriter.replaceOpWithNewOp<CastOp>(op, op.getType(), inner.getX());
    return success();
  }
};

struct CastOfParam : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: cast(param w) -> param cast(w)
    auto source = op.getX().getDefiningOp<ParamOp>();
    if (!source)
      return failure();
    return replaceByParam(
        rewriter, op, source,
        param::cast(source.getValue(), op.getType().getElementType()));
  }
};
} // namespace

void CastOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add<CastOfCast, CastOfParam>(context);
}

//===----------------------------------------------------------------------===//
// Slice, concat
//===----------------------------------------------------------------------===//

namespace {
struct SliceOfParam : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: slice(param w) -> param slice(w) [constant starts]
    auto source = op.getX().getDefiningOp<ParamOp>();
    auto starts = constantDims(op.getStarts().getDims());
    if (!source || !starts || !op.getType().hasStaticShape())
      return failure();
    return replaceByParam(rewriter, op, source,
                          param::slice(source.getValue(), *starts,
                                       op.getSteps(), op.getType().getShape()));
  }
};

struct ConcatOfParams : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: concat(param a, param b) -> param concat(a, b)
    SmallVector<ParamAttr> values;
    for (Value input : op.getInputs()) {
      auto source = input.getDefiningOp<ParamOp>();
      if (!source)
        return failure();
      values.push_back(source.getValue());
    }
    return replaceByParam(rewriter, op,
                          op.getInputs().front().getDefiningOp<ParamOp>(),
                          param::concat(values, op.getAxis()));
  }
};

struct ConcatOfNothing : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: concat(x, empty) -> concat(x)
    int64_t axis = op.getAxis();
    SmallVector<Value> kept =
        llvm::filter_to_vector(op.getInputs(), [&](Value input) {
          return getDim(input, axis) != DimExpr(0);
        });
    if (kept.size() == op.getInputs().size() || kept.empty())
      return failure();
    rewriter.replaceOpWithNewOp<ConcatOp>(op, kept, axis);
    return success();
  }
};
} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<SliceOfParam>(context);
}

void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<ConcatOfParams, ConcatOfNothing>(context);
}

//===----------------------------------------------------------------------===//
// Transpose, reshape, matmul
//===----------------------------------------------------------------------===//

namespace {
struct TransposeOfTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: transpose(transpose(x, p), q) -> transpose(x, p[q])
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> composed;
    for (int64_t i : op.getPermutation())
      composed.push_back(inner.getPermutation()[i]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, inner.getX(), composed);
    return success();
  }
};

struct TransposeOfParam : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: transpose(param w) -> param transpose(w)
    auto source = op.getX().getDefiningOp<ParamOp>();
    if (!source)
      return failure();
    return replaceByParam(
        rewriter, op, source,
        param::transpose(source.getValue(), op.getPermutation()));
  }
};

struct ReshapeOfParam : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: reshape(param w) -> param reshape(w)
    auto source = op.getX().getDefiningOp<ParamOp>();
    if (!source || !op.getType().hasStaticShape())
      return failure();
    return replaceByParam(
        rewriter, op, source,
        param::reshape(source.getValue(), op.getType().getShape()));
  }
};

struct MatmulByTransposedParam : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    // Pattern: matmul(x, param w) {transpose_rhs} -> matmul(x, transpose(w))
    auto source = op.getRhs().getDefiningOp<ParamOp>();
    if (!source || !op.getTransposeRhs())
      return failure();
    int64_t rank = source.getType().getRank();
    auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(permutation[rank - 1], permutation[rank - 2]);
    auto transposed = ParamOp::create(
        rewriter, source.getLoc(),
        param::transpose(source.getValue(), permutation), source.getNameAttr());
    rewriter.modifyOpInPlace(op, [&] {
      op.getRhsMutable().assign(transposed);
      op.setTransposeRhs(false);
    });
    return success();
  }
};
} // namespace

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<TransposeOfTranspose, TransposeOfParam>(context);
}

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *context) {
  patterns.add<ReshapeOfParam>(context);
}

void MatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<MatmulByTransposedParam>(context);
}
