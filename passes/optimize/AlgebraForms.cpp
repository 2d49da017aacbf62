//===- AlgebraForms.cpp - Canonical forms of simple arithmetic ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/optimize/CanonicalForms.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
namespace {

// Pattern: x + 0, x - 0, x * 1, x / 1, x and true, x or false -> x
struct DropNeutral : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  static std::optional<double> neutralOf(BinaryKind kind) {
    switch (kind) {
    case BinaryKind::Add:
    case BinaryKind::Sub:
    case BinaryKind::Or:
    case BinaryKind::Xor:
      return 0.0;
    case BinaryKind::Mul:
    case BinaryKind::Div:
    case BinaryKind::And:
    case BinaryKind::Pow:
      return 1.0;
    default:
      return std::nullopt;
    }
  }

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<double> neutral = neutralOf(op.getKind());
    // The neutral element of `and` on integers is -1.
    bool isBool = getTensorType(op.getResult()).getElementType().isInteger(1);
    if (op.getKind() == BinaryKind::And && !isBool)
      return failure();
    auto match =
        neutral ? matchWithScalar(op.getResult(), op.getKind()) : std::nullopt;
    if (!match || match->scalar != *neutral ||
        match->value.getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, match->value);
    return success();
  }
};

// Pattern: pow(x, 2), x * x -> square(x); pow(x, 1/2) -> sqrt(x);
//          pow(x, -1/2) -> rsqrt(x)
struct PowerToUnary : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    Value x = op.getLhs();
    if (x.getType() != op.getType() ||
        !isa<FloatType>(getTensorType(x).getElementType()))
      return failure();
    std::optional<UnaryKind> kind;
    if (op.getKind() == BinaryKind::Mul && x == op.getRhs())
      kind = UnaryKind::Square;
    if (op.getKind() == BinaryKind::Pow) {
      std::optional<double> exponent = getScalar(op.getRhs());
      if (exponent == 2.0)
        kind = UnaryKind::Square;
      else if (exponent == 0.5)
        kind = UnaryKind::Sqrt;
      else if (exponent == -0.5)
        kind = UnaryKind::Rsqrt;
    }
    if (!kind)
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, *kind, x);
    return success();
  }
};

// Pattern: 1 / x -> reciprocal(x)
struct QuotientToReciprocal : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    Type element = getTensorType(op.getResult()).getElementType();
    if (op.getKind() != BinaryKind::Div || !isa<FloatType>(element) ||
        op.getRhs().getType() != op.getType() || getScalar(op.getLhs()) != 1.0)
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, UnaryKind::Reciprocal,
                                         op.getRhs());
    return success();
  }
};

// Pattern: reciprocal(sqrt(x)) -> rsqrt(x); not(not(x)) -> x
struct UnaryOfUnary : OpRewritePattern<UnaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(UnaryOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<UnaryOp>();
    if (!inner)
      return failure();
    if (op.getKind() == UnaryKind::Not && inner.getKind() == UnaryKind::Not) {
      rewriter.replaceOp(op, inner.getX());
      return success();
    }
    if (op.getKind() != UnaryKind::Reciprocal ||
        inner.getKind() != UnaryKind::Sqrt)
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, UnaryKind::Rsqrt, inner.getX());
    return success();
  }
};

// Pattern: not(a < b) -> a >= b, for all comparisons
struct NotOfCompare : OpRewritePattern<UnaryOp> {
  using OpRewritePattern::OpRewritePattern;

  static std::optional<CompareKind> opposite(CompareKind kind, bool isFloat) {
    if (kind == CompareKind::Eq)
      return CompareKind::Ne;
    if (kind == CompareKind::Ne)
      return CompareKind::Eq;
    // With NaN both an order and its opposite are false.
    if (isFloat)
      return std::nullopt;
    switch (kind) {
    case CompareKind::Lt:
      return CompareKind::Ge;
    case CompareKind::Le:
      return CompareKind::Gt;
    case CompareKind::Gt:
      return CompareKind::Le;
    default:
      return CompareKind::Lt;
    }
  }

  LogicalResult matchAndRewrite(UnaryOp op,
                                PatternRewriter &rewriter) const override {
    auto compare = op.getX().getDefiningOp<CompareOp>();
    if (op.getKind() != UnaryKind::Not || !compare)
      return failure();
    Type element = getTensorType(compare.getLhs()).getElementType();
    auto kind = opposite(compare.getKind(), isa<FloatType>(element));
    if (!kind)
      return failure();
    rewriter.replaceOpWithNewOp<CompareOp>(op, *kind, compare.getLhs(),
                                           compare.getRhs());
    return success();
  }
};

// Pattern: select(not c, a, b) -> select(c, b, a)
struct SelectOfNot : OpRewritePattern<SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SelectOp op,
                                PatternRewriter &rewriter) const override {
    Value condition = matchUnary(op.getCondition(), UnaryKind::Not);
    if (!condition)
      return failure();
    rewriter.replaceOpWithNewOp<SelectOp>(op, condition, op.getOnFalse(),
                                          op.getOnTrue());
    return success();
  }
};

// Pattern: x == true, x != false -> x [x is i1]
struct CompareOfBool : OpRewritePattern<CompareOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CompareOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getLhs().getType() != op.getType())
      return failure();
    std::optional<double> scalar = getScalar(op.getRhs());
    bool isSame = (op.getKind() == CompareKind::Eq && scalar == 1.0) ||
                  (op.getKind() == CompareKind::Ne && scalar == 0.0);
    if (!isSame)
      return failure();
    rewriter.replaceOp(op, op.getLhs());
    return success();
  }
};

// Pattern: softmax(x - max(x)) -> softmax(x), which subtracts the maximum too
struct SoftmaxOfShifted : OpRewritePattern<SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SoftmaxOp op,
                                PatternRewriter &rewriter) const override {
    auto shifted = matchBinary(op.getX(), BinaryKind::Sub);
    if (!shifted || shifted->a.getType() != op.getX().getType())
      return failure();
    auto max = shifted->b.getDefiningOp<ReduceOp>();
    int64_t axis = op.getAxis();
    if (!max || max.getKind() != ReduceKind::Max || !max.getKeepdims() ||
        max.getX() != shifted->a || max.getAxes() != ArrayRef<int64_t>{axis})
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getXMutable().assign(shifted->a); });
    return success();
  }
};

// Pattern: matmul(x, w) + b -> matmul(x, w, b) [b is a vector]
struct AddToMatmulBias : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::Add)
      return failure();
    for (auto [product, bias] : {std::pair(op.getLhs(), op.getRhs()),
                                 std::pair(op.getRhs(), op.getLhs())}) {
      auto matmul = product.getDefiningOp<MatmulOp>();
      if (!matmul || matmul.getBias() || !matmul->hasOneUse() ||
          matmul.getType() != op.getType())
        continue;
      Value vector = stripReshapes(bias);
      Dims sizes = getDims(vector);
      if (sizes.size() != 1 || sizes[0] != getDims(matmul.getResult()).back())
        continue;
      Location loc = rewriter.getFusedLoc({matmul.getLoc(), op.getLoc()});
      Value biased = MatmulOp::create(
          rewriter, loc, matmul.getLhs(), matmul.getRhs(), vector,
          matmul.getTransposeRhs(), matmul.getArithmetic());
      rewriter.replaceOp(op, biased);
      return success();
    }
    return failure();
  }
};

} // namespace

void populateAlgebraPatterns(RewritePatternSet &patterns) {
  patterns.add<DropNeutral, PowerToUnary, QuotientToReciprocal, UnaryOfUnary,
               NotOfCompare, SelectOfNot, CompareOfBool, SoftmaxOfShifted,
               AddToMatmulBias>(patterns.getContext());
}

} // namespace moe::pass
