//===- SparseMixer.cpp - Find the router of PhiMoE ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sparse mixer has no top_k. Twice it takes the largest logit m and weighs
// it by a softmax over the logits s close to it, those with
//
//   (m - s) / max(|s|, m) <= 2 eps
//
// the second time without the first choice. Both together are two columns.
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/SparseMixer.h"

#include "passes/recognize/GateMatch.h"
#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

namespace {
struct MixerChoice {
  /// All logits, and those without the choice before.
  Value logits, left;
  /// [T, 1].
  Value index;
  double threshold;
};
} // namespace

static bool isLast(int64_t axis, Value value) {
  return axis == getTensorType(value).getRank() - 1;
}

/// True if `value` is max(|logits|, top).
static bool isMixerScale(Value value, Value logits, Value top) {
  auto maximum = matchBinary(value, BinaryKind::Max);
  if (!maximum)
    return false;
  for (auto [magnitude, other] : {*maximum, ValuePair{maximum->b, maximum->a}})
    if (matchUnary(magnitude, UnaryKind::Abs) == logits &&
        stripCasts(other) == top)
      return true;
  return false;
}

/// logits and threshold of (top - logits) / max(|logits|, top) > threshold.
static std::optional<ValueAndScalar> matchFarLogits(Value condition,
                                                    Value top) {
  auto compare = stripCasts(condition).getDefiningOp<CompareOp>();
  if (!compare || compare.getKind() != CompareKind::Gt)
    return std::nullopt;
  std::optional<double> threshold = getScalar(compare.getRhs());
  auto ratio = matchBinary(compare.getLhs(), BinaryKind::Div);
  auto distance = ratio ? matchBinary(ratio->a, BinaryKind::Sub) : std::nullopt;
  if (!threshold || !distance || stripCasts(distance->a) != top ||
      !isMixerScale(ratio->b, distance->b, top))
    return std::nullopt;
  return ValueAndScalar{distance->b, *threshold};
}

static std::optional<MixerChoice> matchChoice(Value weight) {
  auto gather = weight.getDefiningOp<GatherElementsOp>();
  if (!gather || !isLast(gather.getAxis(), weight))
    return std::nullopt;
  auto argmax = stripCasts(gather.getIndices()).getDefiningOp<ArgReduceOp>();
  auto softmax = stripCasts(gather.getData()).getDefiningOp<SoftmaxOp>();
  auto select = softmax ? softmax.getX().getDefiningOp<SelectOp>() : SelectOp();
  if (!argmax || argmax.getKind() != ArgReduceKind::Max || !select ||
      !isLast(argmax.getAxis(), argmax.getX()) ||
      !isLast(softmax.getAxis(), softmax.getX()))
    return std::nullopt;
  std::optional<double> fill = getScalar(select.getOnTrue());
  Value left = select.getOnFalse();
  if (!fill || !isHidingFill(*fill) || argmax.getX() != left)
    return std::nullopt;
  // The largest of what is left, found among the users of that.
  for (Operation *user : left.getUsers()) {
    auto top = dyn_cast<ReduceOp>(user);
    if (!top || top.getKind() != ReduceKind::Max || !top.getKeepdims() ||
        matchReduceLast(top.getResult(), ReduceKind::Max) != left)
      continue;
    if (auto far = matchFarLogits(select.getCondition(), top.getResult()))
      return MixerChoice{far->value, left, argmax.getResult(), far->scalar};
  }
  return std::nullopt;
}

/// True if `left` is `logits` with minus infinity at `index`.
static bool isWithout(Value left, Value logits, Value index) {
  auto scatter = left.getDefiningOp<ScatterElementsOp>();
  if (!scatter || scatter.getKind() != ScatterKind::None)
    return false;
  std::optional<double> fill = getScalar(scatter.getUpdates());
  return fill && isHidingFill(*fill) && scatter.getData() == logits &&
         stripCasts(scatter.getIndices()) == index &&
         isLast(scatter.getAxis(), left);
}

/// The concat of both indices.
static ConcatOp findIndices(Value first, Value second) {
  for (Operation *user : first.getUsers()) {
    auto concat = dyn_cast<ConcatOp>(user);
    if (concat && concat.getInputs().size() == 2 &&
        concat.getInputs()[0] == first && concat.getInputs()[1] == second &&
        isLast(concat.getAxis(), first))
      return concat;
  }
  return nullptr;
}

bool rewriteSparseMixer(ConcatOp weights) {
  if (weights.getInputs().size() != 2 ||
      !isLast(weights.getAxis(), weights.getResult()))
    return false;
  auto first = matchChoice(weights.getInputs()[0]);
  auto second = matchChoice(weights.getInputs()[1]);
  if (!first || !second || first->left != first->logits ||
      second->logits != first->logits ||
      second->threshold != first->threshold ||
      !isWithout(second->left, first->logits, first->index))
    return false;
  ConcatOp indices = findIndices(first->index, second->index);
  if (!indices)
    return false;

  GateAttrs attrs;
  attrs.k = 2;
  attrs.score = RouterScore::SparseMixer;
  attrs.jitterEps = first->threshold / 2;
  Operation *end = weights->isBeforeInBlock(indices) ? weights : indices;
  OpBuilder builder(end);
  Location loc = fuseLocations(weights.getContext(),
                               {weights.getInputs()[0].getDefiningOp(),
                                weights.getInputs()[1].getDefiningOp()});
  Dims dims = getDims(first->logits);
  DimExpr experts = dims.pop_back_val();
  Value logits =
      reshapeTo(builder, loc, first->logits, {product(dims), experts});
  auto gate = buildGate(builder, loc, logits, Value(), Value(), Value(), attrs);
  if (failed(gate))
    return false;
  weights.getResult().replaceAllUsesWith(convertTo(
      builder, loc, gate->getWeights(), getTensorType(weights.getResult())));
  indices.getResult().replaceAllUsesWith(convertTo(
      builder, loc, gate->getExperts(), getTensorType(indices.getResult())));
  return true;
}

} // namespace moe::pass
