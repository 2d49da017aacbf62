//===- NormForms.cpp - Canonical forms of normalizations ------------------===//
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

/// The mean of `x` over its last axes, kept as dimensions of size 1.
struct Mean {
  Value x;
  int64_t firstAxis;
};

std::optional<Mean> matchMean(Value value) {
  auto reduce = value.getDefiningOp<ReduceOp>();
  if (!reduce || reduce.getKind() != ReduceKind::Mean || !reduce.getKeepdims())
    return std::nullopt;
  ArrayRef<int64_t> axes = reduce.getAxes();
  int64_t rank = getTensorType(reduce.getX()).getRank();
  if (axes.empty() || axes.back() != rank - 1 ||
      axes.front() != rank - static_cast<int64_t>(axes.size()))
    return std::nullopt;
  return Mean{reduce.getX(), axes.front()};
}

/// `value` = 1 / sqrt(mean(x^2) + epsilon).
struct InverseRms {
  Value x;
  int64_t firstAxis;
  double epsilon;
};

std::optional<InverseRms> matchRms(Value sumOfMeanAndEpsilon) {
  auto sum = matchWithScalar(sumOfMeanAndEpsilon, BinaryKind::Add);
  auto mean = sum ? matchMean(sum->value) : std::nullopt;
  Value x = mean ? matchUnary(mean->x, UnaryKind::Square) : Value();
  if (!x)
    return std::nullopt;
  return InverseRms{x, mean->firstAxis, sum->scalar};
}

/// d and the rest if `op` is d * rsqrt(..) or d / sqrt(..) and d is what the
/// mean is taken of.
std::optional<InverseRms> matchNormalized(BinaryOp op) {
  Value root;
  Value x;
  if (op.getKind() == BinaryKind::Div) {
    root = matchUnary(op.getRhs(), UnaryKind::Sqrt);
    x = op.getLhs();
  } else if (op.getKind() == BinaryKind::Mul) {
    root = matchUnary(op.getRhs(), UnaryKind::Rsqrt);
    x = op.getLhs();
    if (!root) {
      root = matchUnary(op.getLhs(), UnaryKind::Rsqrt);
      x = op.getRhs();
    }
  }
  auto rms = root ? matchRms(root) : std::nullopt;
  if (!rms || rms->x != x || x.getType() != op.getType())
    return std::nullopt;
  return rms;
}

// Pattern: x * rsqrt(mean(x^2) + eps) -> norm rms x
//          d * rsqrt(mean(d^2) + eps) -> norm layer x [d = x - mean(x)]
struct WrittenNorm : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    auto rms = matchNormalized(op);
    if (!rms)
      return failure();
    NormKind kind = NormKind::Rms;
    Value x = rms->x;
    if (auto difference = matchBinary(x, BinaryKind::Sub)) {
      auto mean = matchMean(difference->b);
      if (mean && mean->x == difference->a &&
          mean->firstAxis == rms->firstAxis) {
        kind = NormKind::Layer;
        x = difference->a;
      }
    }
    Location loc = rewriter.getFusedLoc({x.getLoc(), op.getLoc()});
    Value norm =
        NormOp::create(rewriter, loc, kind, x, Value(), Value(), rms->firstAxis,
                       APFloat(static_cast<float>(rms->epsilon)));
    rewriter.replaceOp(op, norm);
    return success();
  }
};

/// The other operand of `op` if one is a norm that nobody else uses and that
/// broadcasting `vector` along its normalized dimensions would change.
std::pair<NormOp, Value> matchNormAndVector(BinaryOp op) {
  for (auto [a, b] : {std::pair(op.getLhs(), op.getRhs()),
                      std::pair(op.getRhs(), op.getLhs())}) {
    auto norm = a.getDefiningOp<NormOp>();
    if (!norm || !norm->hasOneUse() || norm.getType() != op.getType())
      continue;
    Dims sizes = getDims(norm.getResult());
    ArrayRef<DimExpr> normalized =
        ArrayRef<DimExpr>(sizes).drop_front(norm.getAxis());
    if (broadcastsTo(getDims(b), normalized))
      return {norm, b};
  }
  return {};
}

// Pattern: norm(x) * w -> norm(x, w); norm(x, w) + b -> norm(x, w, b) [layer]
struct AbsorbScaleAndBias : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    bool isScale = op.getKind() == BinaryKind::Mul;
    if (!isScale && op.getKind() != BinaryKind::Add)
      return failure();
    auto [norm, vector] = matchNormAndVector(op);
    if (!norm || norm.getBias() || (isScale && norm.getScale()) ||
        (!isScale && (!norm.getScale() || norm.getKind() != NormKind::Layer)))
      return failure();
    Location loc = rewriter.getFusedLoc({norm.getLoc(), op.getLoc()});
    Value absorbed = NormOp::create(rewriter, loc, norm.getKind(), norm.getX(),
                                    isScale ? vector : norm.getScale(),
                                    isScale ? Value() : vector, norm.getAxis(),
                                    norm.getEpsilon());
    rewriter.replaceOp(op, absorbed);
    return success();
  }
};

} // namespace

void populateNormPatterns(RewritePatternSet &patterns) {
  patterns.add<WrittenNorm, AbsorbScaleAndBias>(patterns.getContext());
}

} // namespace moe::pass
