//===- RecognizeBatched.cpp - Find experts with gathered weights ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Batched experts gather the weight matrices of the expert that each token
// chose, multiply each token, repeated k times, with its own matrices, and add
// up the k results with their weights:
//
//   y[t] = sum over j of weights[t, j] * ffn(experts[t, j])(x[t])
//
// The sum is the anchor. Runs after moe-recognize-gate, so that weights and
// experts are already those of a moe.gate where the router is known.
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
#define GEN_PASS_DEF_RECOGNIZEBATCHEDPASS
#include "passes/Passes.h.inc"

namespace {

/// sum over j of a[t, j, m], as [T, k, M].
struct ChoiceSum {
  Value terms;
  DimExpr tokens, width;
  int64_t k;
};

std::optional<ChoiceSum> matchChoiceSum(ReduceOp sum) {
  if (sum.getKind() != ReduceKind::Sum || sum.getAxes().size() != 1)
    return std::nullopt;
  Dims dims = getDims(sum.getX());
  size_t axis = sum.getAxes().front();
  std::optional<int64_t> k = dims[axis].constantValue();
  ArrayRef<DimExpr> all(dims);
  if (!k || axis + 1 == dims.size())
    return std::nullopt;
  return ChoiceSum{sum.getX(), product(all.take_front(axis)),
                   product(all.drop_front(axis + 1)), *k};
}

/// The tokens [T, M] that `value`, in the order (t, j, m), repeats k times.
FailureOr<Value> matchRepeatedTokens(OpBuilder &builder, Location loc,
                                     Value value, const ChoiceSum &sum,
                                     const DimExpr &width) {
  View view = View::trace(value);
  auto groups = regroup(view.flattened(), {sum.tokens, DimExpr(sum.k), width});
  if (!groups)
    return failure();
  const Factors &repeats = (*groups)[1];
  bool isRepeated =
      sum.k == 1 || (repeats.size() == 1 && repeats.front().isRepeated());
  if (!isRepeated)
    return failure();
  View tokens{view.root, {(*groups)[0], (*groups)[2]}};
  if (!tokens.isReshapeOfRoot())
    return failure();
  return reshapeTo(builder, loc, view.root, {sum.tokens, width});
}

class LayerRewriter {
public:
  explicit LayerRewriter(ReduceOp op) : op(op), builder(op) {}

  void run() {
    auto match = matchChoiceSum(op);
    if (!match)
      return;
    sum = *match;
    Value terms = stripReshapesAndCasts(sum.terms);
    auto weighted = matchBinary(terms, BinaryKind::Mul);
    if (!weighted)
      return;
    for (auto [outputs, weights] :
         {*weighted, ValuePair{weighted->b, weighted->a}})
      if (succeeded(rewrite(outputs, weights)))
        return;
  }

private:
  ReduceOp op;
  OpBuilder builder;
  ChoiceSum sum;

  LogicalResult rewrite(Value outputs, Value weights) {
    auto ffn = matchFfn(stripReshapesAndCasts(outputs));
    if (!ffn || !ffn->w2.experts)
      return failure();
    DimExpr choices = sum.tokens * DimExpr(sum.k);
    Dims choiceDims = {sum.tokens, DimExpr(sum.k)};
    Value scores = stripReshapesAndCasts(weights);
    if (product(getDims(scores)) != choices ||
        product(getDims(weights)) != choices ||
        product(getDims(ffn->w2.experts)) != choices)
      return failure();
    Location loc = op.getLoc();
    ParamOp w1 = ffn->w1.param;
    ArrayRef<int64_t> shape = w1.getValue().getType().getShape();
    FailureOr<Value> tokens = matchRepeatedTokens(
        builder, loc, ffn->input, sum,
        DimExpr(ffn->w1.isTransposed ? shape[2] : shape[1]));
    if (failed(tokens))
      return failure();
    ExpertLayer layer{*tokens,
                      reshapeTo(builder, loc, ffn->w2.experts, choiceDims),
                      reshapeTo(builder, loc, scores, choiceDims),
                      /*weighsInputs=*/false,
                      {*ffn},
                      "weights gathered for each token"};
    FailureOr<Value> result = buildExpertLayer(builder, loc, layer);
    if (failed(result))
      return failure();
    op.getResult().replaceAllUsesWith(
        convertTo(builder, loc, *result, op.getType()));
    return success();
  }
};

class RecognizeBatched
    : public impl::RecognizeBatchedPassBase<RecognizeBatched> {
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
