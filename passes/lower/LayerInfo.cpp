//===- LayerInfo.cpp - What a plan says about an MoE layer ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/LayerInfo.h"

#include "dialect/moe/MoeTypes.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

static std::string shortest(const APFloat &value) {
  SmallString<16> text;
  value.toString(text, /*FormatPrecision=*/6);
  return text.str().str();
}

static std::string describeRouter(GateOp gate) {
  std::string text = stringifyRouterScore(gate.getScore()).str();
  text += llvm::formatv(" top-{0}", gate.getK());
  if (gate.getNumGroups() > 1)
    text += llvm::formatv(" in {0} of {1} groups", gate.getTopkGroups(),
                          gate.getNumGroups());
  if (gate.getSelectionBias())
    text += ", biased";
  if (gate.getMixWeight() == MixWeight::SoftmaxTopk)
    text += ", softmax of the chosen";
  if (gate.getMixWeight() == MixWeight::SigmoidLogit)
    text += ", sigmoid of the chosen";
  if (gate.getMixScores())
    text += ", other scores mix";
  if (gate.getNormalize() != Normalize::None)
    text += ", normalized";
  if (gate.getScale().convertToFloat() != 1.0f)
    text += llvm::formatv(", times {0}", shortest(gate.getScale()));
  if (gate.getExpertScale())
    text += ", scaled by expert";
  return text;
}

static StringRef describeDropping(DropPolicy policy) {
  switch (policy) {
  case DropPolicy::None:
    return "";
  case DropPolicy::Choice:
    return "in the order of choices";
  case DropPolicy::Token:
    return "in token order";
  case DropPolicy::Probs:
    return "by probability";
  case DropPolicy::Logits:
    return "by logit";
  case DropPolicy::Random:
    return "at random";
  }
  return "";
}

static std::string describeCapacity(GateOp gate) {
  if (gate.getDropPolicy() == DropPolicy::None)
    return "none";
  return llvm::formatv(
      "factor {0}, at least {1}, keeps {2}", shortest(gate.getCapacityFactor()),
      gate.getMinCapacity(), describeDropping(gate.getDropPolicy()));
}

//===----------------------------------------------------------------------===//
// The operations of a layer
//===----------------------------------------------------------------------===//

/// Operations that change how a value lies but not what it is: chunks of tokens
/// are slices, and joined by concat.
static bool isPassing(Operation *op) {
  return isa<ShardOp, AllGatherOp, ReshapeOp, CastOp, SliceOp, ConcatOp,
             AllToAllOp, AllToAllBackOp>(op) ||
         (isa<ElementwiseOp>(op) && op->getNumOperands() == 1);
}

/// Where `value` comes from without a change.
static Value sourceOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isPassing(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

template <typename OpT> static OpT findSource(Value value) {
  return sourceOf(value).getDefiningOp<OpT>();
}

/// Follows the result of the experts to the operation that mixes branches.
static void collectUsers(Value value, LayerInfo &layer) {
  for (Operation *user : value.getUsers()) {
    if (auto mix = dyn_cast<MixOp>(user)) {
      if (mix.getExperts() != value)
        continue;
      layer.operations.insert(mix);
      (mix.getKind() == MixKind::Residual ? layer.residual : layer.shared) =
          true;
      if (Operation *dense = mix.getDense().getDefiningOp<FfnOp>())
        layer.operations.insert(dense);
      continue;
    }
    if (isa<CombineOp>(user))
      layer.operations.insert(user);
    if (isa<CombineOp>(user) || isPassing(user)) {
      if (isa<AllToAllBackOp>(user))
        layer.operations.insert(user);
      collectUsers(user->getResult(0), layer);
    }
  }
}

static LayerInfo collectLayer(ExpertsOp op) {
  LayerInfo layer;
  layer.experts = op;
  layer.numExperts = getTensorType(op.getW1()).getDimSize(0);
  auto dispatch = findSource<DispatchOp>(op.getRows());
  if (dispatch) {
    layer.k = getTensorType(dispatch.getExperts()).getDimSize(1);
    if (auto gate = findSource<GateOp>(dispatch.getExperts())) {
      layer.operations.insert(gate);
      layer.router = describeRouter(gate);
      layer.capacity = describeCapacity(gate);
    }
    layer.operations.insert(dispatch);
  }
  if (auto exchange = op.getRows().getDefiningOp<AllToAllOp>())
    layer.operations.insert(exchange);
  layer.operations.insert(op);
  collectUsers(op.getResult(), layer);
  return layer;
}

/// What the chunks of a layer have in common: weights and choices of experts.
static std::tuple<Value, Value, Value> identityOf(ExpertsOp op) {
  auto dispatch = findSource<DispatchOp>(op.getRows());
  return {op.getW1(), op.getW2(),
          dispatch ? sourceOf(dispatch.getExperts()) : op.getRows()};
}

SmallVector<LayerInfo> moe::pass::collectLayers(Operation *root) {
  SmallVector<LayerInfo> layers;
  DenseMap<std::tuple<Value, Value, Value>, size_t> known;
  root->walk([&](ExpertsOp op) {
    LayerInfo layer = collectLayer(op);
    auto [it, isNew] = known.try_emplace(identityOf(op), layers.size());
    if (isNew)
      layers.push_back(std::move(layer));
    else
      layers[it->second].operations.insert_range(layer.operations);
  });
  return layers;
}

void moe::pass::collectNodeNames(Location loc,
                                 llvm::SetVector<StringAttr> &names) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    names.insert(name.getName());
    return;
  }
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      collectNodeNames(part, names);
}
