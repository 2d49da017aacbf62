//===- RecognizeStacked.cpp - Find experts that run as one batch ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stacked experts repeat all tokens for each expert, multiply the batches
// [E, T, M] with weights [E, M, F], and add up over the experts. Scores [T, E]
// that are 0 for experts that a token did not choose multiply the outputs
//
//   y[t] = sum over e of scores[t, e] * ffn_e(x[t])
//
// or, in Llama-4, the inputs: there an expert without biases makes 0 of 0.
// The sum is the anchor. Runs after moe-recognize-gate.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/ExpertLayer.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZESTACKEDPASS
#include "passes/Passes.h.inc"

namespace {

/// Scores [T, E] with a value for each choice and 0 elsewhere.
struct ScatteredScores {
  /// [T, k].
  Value experts, weights;
  /// The weights are sigmoids of these values.
  bool isSigmoid = false;
};

std::optional<ScatteredScores> matchScattered(Value scores) {
  ScatteredScores match;
  double fill = 0;
  if (Value inner = matchUnary(scores, UnaryKind::Sigmoid)) {
    match.isSigmoid = true;
    scores = stripCasts(inner);
  }
  auto scatter = scores.getDefiningOp<ScatterElementsOp>();
  if (!scatter || scatter.getKind() != ScatterKind::None ||
      scatter.getAxis() != 1 || getTensorType(scores).getRank() != 2)
    return std::nullopt;
  if (auto scalar = getScalar(scatter.getData()))
    fill = *scalar;
  else
    return std::nullopt;
  if (match.isSigmoid ? fill != -INFINITY : fill != 0)
    return std::nullopt;
  match.experts = stripCasts(scatter.getIndices());
  match.weights = stripCasts(scatter.getUpdates());
  return match;
}

/// True if an expert makes 0 of 0.
bool keepsZero(const FfnMatch &ffn) {
  return !ffn.b1 && !ffn.b2 && !ffn.b3 &&
         (ffn.gating != Gating::None || ffn.activation != Activation::Sigmoid);
}

class LayerRewriter {
public:
  explicit LayerRewriter(ReduceOp op) : op(op), builder(op) {}

  void run() {
    if (op.getKind() != ReduceKind::Sum ||
        op.getAxes() != ArrayRef<int64_t>{0} ||
        getTensorType(op.getX()).getRank() < 3)
      return;
    Value terms = stripReshapesAndCasts(op.getX());
    if (auto product = matchBinary(terms, BinaryKind::Mul)) {
      for (auto [outputs, scores] :
           {*product, ValuePair{product->b, product->a}})
        if (matchExperts(outputs) && matchTokens(ffn.input) &&
            matchScores(scores) && build(/*weighsInputs=*/false))
          return;
      return;
    }
    if (!matchExperts(terms) || !keepsZero(ffn))
      return;
    auto weighted =
        matchBinary(stripReshapesAndCasts(ffn.input), BinaryKind::Mul);
    if (!weighted)
      return;
    for (auto [inputs, factor] :
         {*weighted, ValuePair{weighted->b, weighted->a}})
      if (matchTokens(inputs) && matchScores(factor) &&
          build(/*weighsInputs=*/true))
        return;
  }

private:
  ReduceOp op;
  OpBuilder builder;
  FfnMatch ffn;
  Value tokens;
  ScatteredScores scores;

  DimExpr numExperts() { return getDim(op.getX(), 0); }
  DimExpr numTokens() {
    Dims dims = getDims(op.getX());
    return product(ArrayRef<DimExpr>(dims).drop_front().drop_back());
  }

  bool matchExperts(Value outputs) {
    auto match = matchFfn(stripReshapesAndCasts(outputs));
    if (!match || !match->w2.isStacked ||
        getDim(match->w2.param.getResult(), 0) != numExperts())
      return false;
    ffn = *match;
    return true;
  }

  /// x[t, m] for each expert e.
  bool matchTokens(Value inputs) {
    View view = View::trace(inputs);
    ArrayRef<int64_t> shape = ffn.w1.param.getValue().getType().getShape();
    DimExpr width(ffn.w1.isTransposed ? shape[2] : shape[1]);
    auto groups = regroup(view.flattened(), {numExperts(), numTokens(), width});
    if (!groups || (*groups)[0].size() != 1 ||
        !(*groups)[0].front().isRepeated())
      return false;
    View x{view.root, {(*groups)[1], (*groups)[2]}};
    if (!x.isReshapeOfRoot())
      return false;
    tokens = reshapeTo(builder, op.getLoc(), view.root, {numTokens(), width});
    return true;
  }

  /// scores[t, e] in the order (e, t).
  bool matchScores(Value factor) {
    View view = View::trace(factor, /*throughCasts=*/true);
    if (getTensorType(view.root).getRank() != 2)
      return false;
    auto groups = regroup(view.flattened(), {numExperts(), numTokens()});
    auto match = matchScattered(view.root);
    if (!match || !groups || (*groups)[0] != wholeAxis(view.root, 1) ||
        (*groups)[1] != wholeAxis(view.root, 0))
      return false;
    scores = *match;
    return true;
  }

  /// The sigmoid of the weights; a gate that chose by logits computes it.
  Value buildSigmoid() {
    auto gate = scores.weights.getDefiningOp<GateOp>();
    if (gate && gate.getScore() == RouterScore::Logits &&
        gate.getMixWeight() == MixWeight::Score &&
        gate.getNormalize() == Normalize::None && !gate.getExpertScale() &&
        gate.getScale().convertToFloat() == 1.0f) {
      auto sigmoid = cast<GateOp>(builder.clone(*gate));
      sigmoid.setMixWeight(MixWeight::SigmoidLogit);
      if (stripReshapesAndCasts(scores.experts) == gate.getExperts())
        scores.experts = sigmoid.getExperts();
      return sigmoid.getWeights();
    }
    return UnaryOp::create(builder, op.getLoc(), UnaryKind::Sigmoid,
                           scores.weights);
  }

  bool build(bool weighsInputs) {
    Value weights = scores.isSigmoid ? buildSigmoid() : scores.weights;
    ExpertLayer layer{tokens,  scores.experts,
                      weights, weighsInputs,
                      {ffn},   "all experts on all tokens, as one batch"};
    FailureOr<Value> result = buildExpertLayer(builder, op.getLoc(), layer);
    if (failed(result))
      return false;
    op.getResult().replaceAllUsesWith(
        convertTo(builder, op.getLoc(), *result, op.getType()));
    return true;
  }
};

class RecognizeStacked
    : public impl::RecognizeStackedPassBase<RecognizeStacked> {
  void runOnOperation() override {
    SmallVector<ReduceOp> sums;
    getOperation().walk([&](ReduceOp op) { sums.push_back(op); });
    for (ReduceOp sum : sums)
      LayerRewriter(sum).run();
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
