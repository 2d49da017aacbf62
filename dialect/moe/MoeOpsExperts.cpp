//===- MoeOpsExperts.cpp - Gate, dispatch, experts, combine ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// GateOp
//===----------------------------------------------------------------------===//

/// The optional operands of moe.gate: C6.
static LogicalResult verifyGateOperands(const Inference &check,
                                        GateOp::Adaptor adaptor) {
  Dims logits = getDims(adaptor.getLogits());
  DimExpr tokens = logits[0], experts = logits[1];
  if (Value bias = adaptor.getSelectionBias())
    if (failed(check.expectFloat("selection_bias", bias)) ||
        failed(check.expectDims("selection_bias", bias, {experts})))
      return failure();
  if (Value scale = adaptor.getExpertScale())
    if (failed(check.expectFloat("expert_scale", scale)) ||
        failed(check.expectDims("expert_scale", scale, {experts})))
      return failure();
  if (Value scores = adaptor.getMixScores())
    if (failed(check.expectFloat("mix_scores", scores)) ||
        failed(check.expectDims("mix_scores", scores, logits)))
      return failure();
  if (Value used = adaptor.getUsedToken())
    if (failed(check.expectInteger("used_token", used, 1)) ||
        failed(check.expectDims("used_token", used, {tokens})))
      return failure();
  return success();
}

LogicalResult GateOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value logits = adaptor.getLogits();
  // C5: logits are floats [T, E] with E a constant.
  if (failed(check.expectFloat("logits", logits)) ||
      failed(check.expectRank("logits", logits, 2)))
    return failure();
  std::optional<int64_t> experts = getDim(logits, 1).constantValue();
  if (!experts)
    return check.error("has " + getDim(logits, 1).toString() +
                       " experts, expected a constant");
  // C1: 1 <= k <= E.
  int64_t k = adaptor.getK();
  if (k < 1 || k > *experts)
    return check.error("selects " + Twine(k) +
                       " experts, expected between 1 and " + Twine(*experts));
  // C2: num_groups divides E and 1 <= topk_groups <= num_groups.
  int64_t groups = adaptor.getNumGroups(), chosen = adaptor.getTopkGroups();
  if (groups < 1 || *experts % groups != 0 || chosen < 1 || chosen > groups)
    return check.error("keeps " + Twine(chosen) + " of " + Twine(groups) +
                       " groups of " + Twine(*experts) + " experts");
  // C7: k of the experts that stay exist.
  if (k > *experts / groups * chosen && !adaptor.getGroupFillZero())
    return check.error("selects " + Twine(k) + " experts from " +
                       Twine(*experts / groups * chosen) +
                       " that stay in their groups");
  // C3: the sparse mixer has k = 2.
  if (adaptor.getScore() == RouterScore::SparseMixer && k != 2)
    return check.error("is a sparse mixer with k = " + Twine(k) +
                       ", expected 2");
  // C4: random needs a seed.
  if (adaptor.getDropPolicy() == DropPolicy::Random && !adaptor.getRandomSeed())
    return check.error("drops at random without a seed");
  if (failed(verifyGateOperands(check, adaptor)))
    return failure();
  Dims dims = {getDim(logits, 0), DimExpr(k)};
  types.push_back(getTensorType(Float32Type::get(context), dims));
  types.push_back(getTensorType(IntegerType::get(context, 32), dims));
  return success();
}

LogicalResult GateOp::verify() {
  if (!getPart())
    return success();
  Inference check(*this);
  // C8: part stands in moe.local_symbols and divides the rows, which compete.
  if (getDropPolicy() == DropPolicy::None)
    return check.error("has part '" + *getPart() +
                       "' without a drop policy, so no rows compete");
  if (!lookUpSymbol(*this, kLocalSymbols, *getPart()))
    return check.error("has part '" + *getPart() +
                       "', which is not in the function's moe.local_symbols");
  DimExpr rows = getDim(getLogits(), 0);
  return check.expect(
      DimExpr::divideExactly(rows, DimExpr::symbol(getPart()->str()))
          .has_value(),
      "has " + rows.toString() + " rows, which is no part as '" + *getPart() +
          "' is");
}

//===----------------------------------------------------------------------===//
// DispatchOp, CombineOp
//===----------------------------------------------------------------------===//

LogicalResult DispatchOp::verify() {
  Inference check(*this);
  // C1: x is [T, M] and experts i32 [T, k].
  if (failed(check.expectRank("x", getX(), 2)) ||
      failed(check.expectInteger("experts", getExperts(), 32)) ||
      failed(check.expectRank("experts", getExperts(), 2)))
    return failure();
  Dims choices = {getDim(getX(), 0), getDim(getExperts(), 1)};
  if (failed(check.expectDims("experts", getExperts(), choices)))
    return failure();
  // C2: weights are floats [T, k].
  if (Value weights = getWeights())
    if (failed(check.expectFloat("weights", weights)) ||
        failed(check.expectDims("weights", weights, choices)))
      return failure();
  // C3: rows [R, M], counts i32 [E], slots i32 [T, k].
  if (failed(check.expectSameElementType("rows", getRows(),
                                         elementTypeOf(getX()))) ||
      failed(check.expectRank("rows", getRows(), 2)) ||
      failed(check.expectDims("rows", getRows(),
                              {getDim(getRows(), 0), getDim(getX(), 1)})) ||
      failed(check.expectInteger("counts", getCounts(), 32)) ||
      failed(
          check.expectDims("counts", getCounts(),
                           {DimExpr(static_cast<int64_t>(getNumExperts()))})) ||
      failed(check.expectInteger("slots", getSlots(), 32)))
    return failure();
  return check.expectDims("slots", getSlots(), choices);
}

LogicalResult CombineOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value rows = adaptor.getRows(), slots = adaptor.getSlots();
  // C1: rows are floats of rank 2, slots i32 of rank 2.
  if (failed(check.expectFloat("rows", rows)) ||
      failed(check.expectRank("rows", rows, 2)) ||
      failed(check.expectInteger("slots", slots, 32)) ||
      failed(check.expectRank("slots", slots, 2)))
    return failure();
  // C2: weights are floats with the dimensions of slots.
  if (Value weights = adaptor.getWeights())
    if (failed(check.expectFloat("weights", weights)) ||
        failed(check.expectDims("weights", weights, getDims(slots))))
      return failure();
  types.push_back(getTensorType(elementTypeOf(rows),
                                Dims{getDim(slots, 0), getDim(rows, 1)}));
  return success();
}

//===----------------------------------------------------------------------===//
// ExpertsOp, FfnOp
//===----------------------------------------------------------------------===//

namespace {
/// The weights of an FFN, alike for experts (a leading dimension E) and dense.
struct FfnWeights {
  Value w1, b1, w2, b2, w3, b3;
  Gating gating;
  DimExpr inputSize;
  /// {E}, or nothing.
  Dims leading;

  Dims shape(std::initializer_list<DimExpr> tail) const {
    Dims dims = leading;
    dims.append(tail);
    return dims;
  }
  /// The weight matrices [M, F] and [I, N].
  LogicalResult verifyMatrices(const Inference &check) const;
  LogicalResult verifyLinearPart(const Inference &check) const;
  LogicalResult verifyBiases(const Inference &check) const;
  DimExpr outputSize() const { return getDims(w2).back(); }
  DimExpr innerSize() const { return getDim(w2, leading.size()); }
};
} // namespace

LogicalResult FfnWeights::verifyMatrices(const Inference &check) const {
  int64_t rank = leading.size() + 2;
  if (failed(check.expectRank("w1", w1, rank)) ||
      failed(check.expectRank("w2", w2, rank)))
    return failure();
  bool holdsBoth =
      gating == Gating::Interleaved || gating == Gating::Concatenated;
  DimExpr inner = innerSize();
  DimExpr width = holdsBoth ? inner * DimExpr(2) : inner;
  if (failed(check.expectDims("w1", w1, shape({inputSize, width}))))
    return failure();
  return check.expectDims("w2", w2, shape({inner, outputSize()}));
}

LogicalResult FfnWeights::verifyLinearPart(const Inference &check) const {
  if ((gating == Gating::Split) != static_cast<bool>(w3))
    return check.error(w3 ? "has w3, but its gating is not split"
                          : "has split gating, but no w3");
  if (!w3)
    return success();
  return check.expectDims("w3", w3, shape({inputSize, innerSize()}));
}

LogicalResult FfnWeights::verifyBiases(const Inference &check) const {
  if (b1 && failed(check.expectDims("b1", b1, shape({getDims(w1).back()}))))
    return failure();
  if (b2 && failed(check.expectDims("b2", b2, shape({outputSize()}))))
    return failure();
  if (b3 && !w3)
    return check.error("has b3 without w3");
  if (b3 && failed(check.expectDims("b3", b3, shape({innerSize()}))))
    return failure();
  return success();
}

static LogicalResult verifyGatedActivation(const Inference &check,
                                           Activation activation,
                                           Gating gating) {
  return check.expect(activation != Activation::Swiglu ||
                          gating != Gating::None,
                      "has activation swiglu without gating");
}

static LogicalResult verifyOneFloatType(const Inference &check,
                                        ValueRange operands, Value except) {
  Value first = operands.front();
  for (Value operand : operands)
    if (operand != except &&
        (failed(check.expectFloat("an operand", operand)) ||
         failed(check.expectSameElementType("an operand", operand,
                                            elementTypeOf(first)))))
      return failure();
  return success();
}

LogicalResult ExpertsOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value rows = adaptor.getRows(), counts = adaptor.getCounts();
  // C1: rows is [R, M], counts i32 of rank 1.
  if (failed(check.expectRank("rows", rows, 2)) ||
      failed(check.expectInteger("counts", counts, 32)) ||
      failed(check.expectRank("counts", counts, 1)))
    return failure();
  // C2: w1 and w2, E a constant.
  if (failed(check.expectRank("w1", adaptor.getW1(), 3)))
    return failure();
  DimExpr experts = getDim(adaptor.getW1(), 0);
  if (!experts.isConstant())
    return check.error("has " + experts.toString() +
                       " experts, expected a constant");
  FfnWeights weights{adaptor.getW1(),     adaptor.getB1(), adaptor.getW2(),
                     adaptor.getB2(),     adaptor.getW3(), adaptor.getB3(),
                     adaptor.getGating(), getDim(rows, 1), Dims{experts}};
  if (failed(weights.verifyMatrices(check)))
    return failure();
  // C3: w3 for split gating; C4: the biases.
  if (failed(weights.verifyLinearPart(check)) ||
      failed(weights.verifyBiases(check)))
    return failure();
  // C5: one count for each expert, or of this rank where they are exchanged.
  DimExpr expected = experts;
  PlacementAttr placement = adaptor.getPlacementAttr();
  if (placement) {
    if (DimExpr(placement.getExperts().size()) != experts)
      return check.error("places " + Twine(placement.getExperts().size()) +
                         " of " + experts.toString() + " experts");
    if (getDim(counts, 0) != experts)
      expected = DimExpr(placement.maxLocalExperts());
  }
  if (failed(check.expectDims("counts", counts, {expected})))
    return failure();
  // C8: of a slice, gate and linear part stand together.
  if (placement && placement.hasSlices() &&
      adaptor.getGating() == Gating::Concatenated)
    return check.error("is sliced, but has concatenated gating");
  // C6: swiglu is gated; C7: all floats have one type.
  if (failed(verifyGatedActivation(check, adaptor.getActivation(),
                                   adaptor.getGating())) ||
      failed(verifyOneFloatType(check, adaptor.getOperands(), counts)))
    return failure();
  types.push_back(getTensorType(elementTypeOf(rows),
                                Dims{getDim(rows, 0), weights.outputSize()}));
  return success();
}

LogicalResult FfnOp::inferReturnTypes(MLIRContext *context,
                                      std::optional<Location> location,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  // C1: x has rank >= 1.
  Dims dims = getDims(adaptor.getX());
  if (dims.empty())
    return check.error("has x of rank 0");
  FfnWeights weights{adaptor.getW1(),     adaptor.getB1(), adaptor.getW2(),
                     adaptor.getB2(),     adaptor.getW3(), adaptor.getB3(),
                     adaptor.getGating(), dims.back(),     Dims{}};
  // C2: w1 and w2; C3: w3 for split gating; C4: the biases.
  if (failed(weights.verifyMatrices(check)) ||
      failed(weights.verifyLinearPart(check)) ||
      failed(weights.verifyBiases(check)))
    return failure();
  // C5: swiglu is gated; C6: floats of one type.
  if (failed(verifyGatedActivation(check, adaptor.getActivation(),
                                   adaptor.getGating())) ||
      failed(verifyOneFloatType(check, adaptor.getOperands(), Value())))
    return failure();
  dims.back() = weights.outputSize();
  types.push_back(getTensorType(elementTypeOf(adaptor.getX()), dims));
  return success();
}

LogicalResult MixOp::inferReturnTypes(MLIRContext *context,
                                      std::optional<Location> location,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value experts = adaptor.getExperts(), dense = adaptor.getDense();
  // C1: experts and dense have one type, of floats and rank >= 1.
  if (failed(check.expectFloat("experts", experts)) ||
      failed(check.expect(experts.getType() == dense.getType(),
                          "mixes " + toString(experts.getType()) + " with " +
                              toString(dense.getType()))) ||
      failed(check.expect(rankOf(experts) >= 1, "mixes scalars")))
    return failure();
  // C2: the gate.
  MixKind kind = adaptor.getKind();
  Value gate = adaptor.getGate();
  if ((kind == MixKind::Add) == static_cast<bool>(gate))
    return check.error(gate ? "adds, but has a gate" : "has no gate");
  if (gate) {
    Dims dims = getDims(experts);
    dims.back() = DimExpr(kind == MixKind::Residual ? 2 : 1);
    if (failed(check.expectFloat("a gate", gate)) ||
        failed(check.expectDims("a gate", gate, dims)))
      return failure();
  }
  types.push_back(experts.getType());
  return success();
}
