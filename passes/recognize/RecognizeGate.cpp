//===- RecognizeGate.cpp - Find routers -----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The anchor is a top_k over the experts. Backwards from it: groups of experts
// that were left out, a bias that only selects, a score, the logits. Forwards:
// the k scores, normalized, scaled, or squashed once more. Both together are
// one moe.gate; the indices and the last of the weights are its results, and
// what stood between is dead unless somebody else reads it.
//
// Runs after moe-canonicalize-tensor and before the recognizers of experts.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/GateMatch.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/SparseMixer.h"

#include "dialect/moe/MoeBuild.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZEGATEPASS
#include "passes/Passes.h.inc"

namespace {

/// Somebody who only wants the best tokens of a vocabulary returns them.
bool isReturned(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<func::ReturnOp>(user);
  });
}

class GateRewriter {
public:
  explicit GateRewriter(TopKOp topK) : topK(topK), builder(topK) {}

  void run() {
    if (isReturned(topK.getIndices()) || !matchSelection(topK, gate))
      return;
    Value weights = findWeights();
    if (!weights)
      return;
    build(weights);
  }

private:
  TopKOp topK;
  OpBuilder builder;
  GateMatch gate;

  /// The last of the mixing weights that follow from the chosen scores.
  Value findWeights() {
    // With a bias, or groups filled with something, the values of the top_k
    // are no scores.
    bool valuesAreScores = !gate.selectionBias && !gate.fillsWithZero;
    SmallVector<Value> starts;
    for (Operation *user : topK.getIndices().getUsers())
      collectGathers(user, starts);
    if (valuesAreScores && !topK.getValues().use_empty())
      starts.push_back(topK.getValues());
    for (Value start : starts) {
      GateMatch candidate = gate;
      Value weights = matchWeights(start, topK, candidate);
      if (!weights)
        continue;
      gate = candidate;
      return weights;
    }
    return Value();
  }

  /// Results of gathers of scores by the indices, through casts and reshapes.
  void collectGathers(Operation *user, SmallVectorImpl<Value> &gathers) {
    if (isa<CastOp, ReshapeOp>(user)) {
      for (Operation *next : user->getResult(0).getUsers())
        collectGathers(next, gathers);
      return;
    }
    auto gather = dyn_cast<GatherElementsOp>(user);
    if (!gather ||
        stripCasts(stripReshapes(gather.getIndices())) != topK.getIndices())
      return;
    Value data = stripCasts(stripReshapes(gather.getData()));
    if (data == gate.scores || data == gate.logits)
      gathers.push_back(gather.getResult());
  }

  void build(Value weights) {
    Location loc =
        fuseLocations(topK.getContext(), {gate.scores.getDefiningOp(), topK,
                                          weights.getDefiningOp()});
    Dims dims = getDims(gate.logits);
    DimExpr experts = dims.back();
    DimExpr tokens = product(ArrayRef<DimExpr>(dims).drop_back());
    GateAttrs attrs = gate.attrs;
    Value logits = reshapeTo(builder, loc, gate.logits, {tokens, experts});
    Value bias = gate.selectionBias
                     ? reshapeTo(builder, loc, gate.selectionBias, {experts})
                     : Value();
    Value scale;
    if (gate.expertScale)
      scale = ParamOp::create(builder, gate.expertScale.getLoc(),
                              gate.expertScale.getValue(),
                              gate.expertScale.getNameAttr());
    FailureOr<GateOp> op =
        buildGate(builder, loc, logits, bias, scale, Value(), attrs);
    if (failed(op))
      return;
    replace(topK.getIndices(), op->getExperts());
    replace(weights, op->getWeights());
  }

  void replace(Value old, Value value) {
    old.replaceAllUsesWith(
        convertTo(builder, old.getLoc(), value, getTensorType(old)));
  }
};

class RecognizeGate : public impl::RecognizeGatePassBase<RecognizeGate> {
  void runOnOperation() override {
    // The top_k over the experts comes after those over groups, and once it is
    // recognized, those are dead.
    SmallVector<TopKOp> candidates;
    getOperation().walk([&](TopKOp op) { candidates.push_back(op); });
    for (TopKOp topK : llvm::reverse(candidates)) {
      if (isOpTriviallyDead(topK)) {
        topK.erase();
        continue;
      }
      GateRewriter(topK).run();
    }
    SmallVector<ConcatOp> pairs;
    getOperation().walk([&](ConcatOp op) { pairs.push_back(op); });
    for (ConcatOp pair : pairs)
      rewriteSparseMixer(pair);
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
