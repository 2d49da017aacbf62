//===- GateMatch.cpp - Routers in tensor arithmetic -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/GateMatch.h"

#include "dialect/moe/MoeBuild.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

static bool isLastAxis(int64_t axis, Value value) {
  int64_t rank = getTensorType(value).getRank();
  return axis == rank - 1 || axis == -1;
}

//===----------------------------------------------------------------------===//
// Backwards
//===----------------------------------------------------------------------===//

/// A router is a small product with a weight, not any tensor.
static bool isRouterProduct(Value value) {
  auto product = stripCasts(stripReshapes(value)).getDefiningOp<MatmulOp>();
  return product && product.getRhs().getDefiningOp<ParamOp>();
}

/// softmax(logits), sigmoid(logits) or logits.
static bool matchScores(Value value, GateMatch &gate) {
  value = stripReshapes(value);
  gate.scores = value;
  if (auto softmax = value.getDefiningOp<SoftmaxOp>()) {
    gate.attrs.score = RouterScore::Softmax;
    gate.logits = softmax.getX();
    return !softmax.getLog() && isLastAxis(softmax.getAxis(), value);
  }
  if (Value logits = matchUnary(value, UnaryKind::Sigmoid)) {
    gate.attrs.score = RouterScore::Sigmoid;
    gate.logits = logits;
    return true;
  }
  gate.attrs.score = RouterScore::Logits;
  gate.logits = value;
  return isRouterProduct(value);
}

/// score + bias, or score.
static bool matchBiasedScores(Value value, GateMatch &gate) {
  auto sum = matchBinary(value, BinaryKind::Add);
  if (!sum)
    return matchScores(value, gate);
  DimExpr experts = getDims(value).back();
  for (auto [scores, bias] : {*sum, ValuePair{sum->b, sum->a}}) {
    Value vector = stripReshapes(bias);
    if (product(getDims(vector)) != experts ||
        getDims(bias).back() != experts || !matchScores(scores, gate))
      continue;
    gate.selectionBias = vector;
    return true;
  }
  return false;
}

/// The scores of groups: the sum of their two best experts, or the best one.
static Value matchGroupScores(Value value, GroupScore &kind) {
  Value grouped = matchReduceLast(value, ReduceKind::Max);
  kind = GroupScore::Max;
  if (!grouped) {
    Value best = matchReduceLast(value, ReduceKind::Sum);
    auto topK = best ? best.getDefiningOp<TopKOp>() : TopKOp();
    if (!topK || best != topK.getValues() || !topK.getLargest() ||
        !isLastAxis(topK.getAxis(), topK.getX()) ||
        getDims(best).back() != DimExpr(2))
      return Value();
    kind = GroupScore::Top2Sum;
    grouped = topK.getX();
  }
  return grouped;
}

/// Matches a mask [T, E] of the experts in the chosen groups, by the scores of
/// `selection`.
static bool matchGroupMask(Value mask, Value selection, GateMatch &gate) {
  View view = View::trace(mask, /*throughCasts=*/true);
  auto scatter = view.root.getDefiningOp<ScatterElementsOp>();
  if (!scatter || !isLastAxis(scatter.getAxis(), view.root) ||
      !isScalar(scatter.getData(), 0) || !isScalar(scatter.getUpdates(), 1))
    return false;
  auto topK = stripCasts(scatter.getIndices()).getDefiningOp<TopKOp>();
  if (!topK || !topK.getLargest() || !isLastAxis(topK.getAxis(), topK.getX()))
    return false;
  std::optional<int64_t> groups = getDims(view.root).back().constantValue();
  std::optional<int64_t> chosen =
      getDims(topK.getIndices()).back().constantValue();
  std::optional<int64_t> experts = getDims(selection).back().constantValue();
  if (!groups || !chosen || !experts || *groups == 0 || *experts % *groups != 0)
    return false;
  // Expert e is in group e / (E / G).
  Factors expected = wholeAxis(view.root, getDims(view.root).size() - 1);
  expected.push_back(Factor{-1, DimExpr(*experts / *groups), DimExpr(0)});
  Factors all = view.flattened();
  if (all.size() < expected.size() ||
      Factors(all.end() - expected.size(), all.end()) != expected)
    return false;
  Value grouped = matchGroupScores(topK.getX(), gate.attrs.groupScore);
  if (!grouped || stripReshapes(grouped) != stripReshapes(selection) ||
      getDims(grouped).back() != DimExpr(*experts / *groups))
    return false;
  gate.attrs.numGroups = *groups;
  gate.attrs.topkGroups = *chosen;
  return true;
}

/// select(mask of groups, selection, fill) or selection * mask.
static bool matchGroupedScores(Value value, GateMatch &gate) {
  Value mask, selection;
  double fill = 0;
  if (auto select = value.getDefiningOp<SelectOp>()) {
    std::optional<double> scalar = getScalar(select.getOnFalse());
    if (!scalar)
      return false;
    mask = select.getCondition();
    selection = select.getOnTrue();
    fill = *scalar;
    if (matchGroupMask(mask, selection, gate) && (fill == 0 || fill < -1e30)) {
      gate.attrs.groupFillZero = gate.fillsWithZero = fill == 0;
      return matchBiasedScores(selection, gate);
    }
    return false;
  }
  auto product = matchBinary(value, BinaryKind::Mul);
  if (!product)
    return false;
  for (auto [scores, factor] : {*product, ValuePair{product->b, product->a}}) {
    GateMatch candidate = gate;
    if (!matchGroupMask(factor, scores, candidate) ||
        !matchBiasedScores(scores, candidate))
      continue;
    gate = candidate;
    gate.attrs.groupFillZero = gate.fillsWithZero = true;
    return true;
  }
  return false;
}

bool matchSelection(TopKOp topK, GateMatch &gate) {
  std::optional<int64_t> k = getDims(topK.getIndices()).back().constantValue();
  std::optional<int64_t> experts = getDims(topK.getX()).back().constantValue();
  if (!k || !experts || topK.getK() || !topK.getLargest() ||
      !isLastAxis(topK.getAxis(), topK.getX()))
    return false;
  gate.attrs.k = *k;
  Value selection = stripCasts(stripReshapes(topK.getX()));
  if (getDims(selection).back() != DimExpr(*experts))
    return false;
  return matchGroupedScores(selection, gate) ||
         matchBiasedScores(selection, gate);
}

//===----------------------------------------------------------------------===//
// Forwards
//===----------------------------------------------------------------------===//

/// Sets `normalize` if `denominator` is the sum of `weights`, guarded.
static bool matchNormalizer(Value denominator, Value weights,
                            GateAttrs &attrs) {
  Value sum = stripCasts(denominator);
  attrs.normalize = Normalize::SumPlus;
  attrs.normalizeEps = 0;
  if (auto guarded = matchWithScalar(sum, BinaryKind::Add)) {
    attrs.normalizeEps = guarded->scalar;
    sum = guarded->value;
  } else if (auto guarded = matchWithScalar(sum, BinaryKind::Max)) {
    attrs.normalize = Normalize::SumMax;
    attrs.normalizeEps = guarded->scalar;
    sum = guarded->value;
  }
  Value terms = matchReduceLast(stripCasts(sum), ReduceKind::Sum);
  return terms && stripCasts(terms) == stripCasts(weights);
}

/// The scale of each expert that `value` gathers by the chosen experts.
static ParamOp matchExpertScale(Value value, TopKOp topK) {
  auto gather = stripCasts(stripReshapes(value)).getDefiningOp<GatherOp>();
  if (!gather || gather.getAxis() != 0 ||
      getTensorType(gather.getData()).getRank() != 1 ||
      stripCasts(stripReshapes(gather.getIndices())) != topK.getIndices())
    return ParamOp();
  return gather.getData().getDefiningOp<ParamOp>();
}

/// The next weight after `weights` if `user` makes one.
static Value matchStep(Operation *user, Value weights, TopKOp topK,
                       GateMatch &gate) {
  GateAttrs &attrs = gate.attrs;
  bool isRaw = attrs.normalize == Normalize::None && attrs.scale == 1 &&
               !gate.expertScale && attrs.mixWeight == MixWeight::Score;
  bool isLogit = attrs.score == RouterScore::Logits && isRaw;
  Value result = user->getNumResults() == 1 ? user->getResult(0) : Value();
  if (auto softmax = dyn_cast<SoftmaxOp>(user)) {
    if (!isLogit || softmax.getLog() || !isLastAxis(softmax.getAxis(), weights))
      return Value();
    attrs.mixWeight = MixWeight::SoftmaxTopk;
    return result;
  }
  if (auto unary = dyn_cast<UnaryOp>(user)) {
    if (!isLogit || unary.getKind() != UnaryKind::Sigmoid)
      return Value();
    attrs.mixWeight = MixWeight::SigmoidLogit;
    return result;
  }
  auto binary = dyn_cast<BinaryOp>(user);
  if (!binary || binary.getType() != weights.getType())
    return Value();
  if (binary.getKind() == BinaryKind::Div && binary.getLhs() == weights &&
      attrs.normalize == Normalize::None && attrs.scale == 1 &&
      !gate.expertScale) {
    GateAttrs normalized = attrs;
    if (matchNormalizer(binary.getRhs(), weights, normalized)) {
      attrs = normalized;
      return result;
    }
  }
  if (auto scaled = matchScaled(result); scaled && scaled->value == weights) {
    attrs.scale *= scaled->scalar;
    return result;
  }
  Value other = matchOther(result, BinaryKind::Mul, weights);
  ParamOp scale = other ? matchExpertScale(other, topK) : ParamOp();
  if (!scale || gate.expertScale)
    return Value();
  gate.expertScale = scale;
  return result;
}

Value matchWeights(Value start, TopKOp topK, GateMatch &gate) {
  Value weights = start;
  while (true) {
    Value next;
    for (Operation *user : weights.getUsers())
      if ((next = matchStep(user, weights, topK, gate)))
        break;
    if (!next)
      return weights;
    weights = next;
  }
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

FailureOr<GateOp> buildGate(OpBuilder &builder, Location loc, Value logits,
                            Value bias, Value expertScale, Value usedToken,
                            const GateAttrs &attrs) {
  MLIRContext *context = builder.getContext();
  ScopedDiagnosticHandler ignore(context,
                                 [](Diagnostic &) { return success(); });
  return createChecked<GateOp>(builder, loc, logits, bias, expertScale, Value(),
                               usedToken, builder.getI64IntegerAttr(attrs.k),
                               RouterScoreAttr::get(context, attrs.score),
                               MixWeightAttr::get(context, attrs.mixWeight),
                               NormalizeAttr::get(context, attrs.normalize),
                               builder.getF32FloatAttr(attrs.normalizeEps),
                               builder.getF32FloatAttr(attrs.scale),
                               builder.getI64IntegerAttr(attrs.numGroups),
                               builder.getI64IntegerAttr(attrs.topkGroups),
                               GroupScoreAttr::get(context, attrs.groupScore),
                               builder.getBoolAttr(attrs.groupFillZero),
                               builder.getF32FloatAttr(attrs.jitterEps),
                               DropPolicyAttr::get(context, attrs.dropPolicy),
                               builder.getF32FloatAttr(attrs.capacityFactor),
                               builder.getI64IntegerAttr(attrs.minCapacity),
                               builder.getBoolAttr(attrs.normalizeAfterDrop),
                               /*random_seed=*/IntegerAttr(),
                               /*part=*/StringAttr());
}

} // namespace moe::pass
