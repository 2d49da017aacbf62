//===- SliceTensorsProducts.cpp - Inner dimensions over the ranks of tp ---===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Columns of the first weight of a pair, rows of the second, and a sum over
// ranks; in units of 16, the width that kernels like, or of the blocks of
// codes. The bias behind the second product is added once, after the sum.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "dialect/moe/WeightStorage.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Inner columns that stay together: blocks of the codes of the second weight,
/// else what kernels like.
static int64_t innerUnit(const Slicing &slicing, Value weight, int64_t size) {
  auto param = weight.getDefiningOp<ParamOp>();
  int64_t unit = param ? rowUnit(param.getValue(), slicing.getTp()) : 16;
  return size % unit == 0 ? unit : unitOf(size);
}

static void reportUnits(Operation *op, StringRef name, int64_t size,
                        int64_t unit) {
  mlir::remark::passed(
      op->getLoc(),
      mlir::remark::RemarkOpts::name(name).category(kSliceTensors))
      << "ranks divide the " + std::to_string(size) + " inner columns in " +
             std::to_string(size / unit) + " units of " + std::to_string(unit);
}

//===----------------------------------------------------------------------===//
// moe.ffn
//===----------------------------------------------------------------------===//

namespace {
/// First weight and bias of an FFN.
struct FirstLayer {
  Value weight, bias;
};
} // namespace

/// One half of concatenated columns.
static FirstLayer takeHalf(Slicing &slicing, FfnOp op, int64_t half) {
  const Cut &cut = slicing.pickCut(2, {half});
  return {slicing.take(op.getW1(), 1, cut),
          op.getB1() ? slicing.take(op.getB1(), 0, cut) : Value()};
}

static FirstLayer takeUnits(Slicing &slicing, FirstLayer layer,
                            const Cut &cut) {
  if (layer.weight)
    layer.weight = slicing.take(layer.weight, 1, cut);
  if (layer.bias)
    layer.bias = slicing.take(layer.bias, 0, cut);
  return layer;
}

void moe::pass::sliceFfn(Slicing &slicing, FfnOp op) {
  std::optional<int64_t> size = getDim(op.getW2(), 0).constantValue();
  int64_t unit = size ? innerUnit(slicing, op.getW2(), *size) : 1;
  if (!size || *size / unit < 2) {
    mlir::remark::missed(
        op.getLoc(),
        mlir::remark::RemarkOpts::name("ffn").category(kSliceTensors))
        << "an inner dimension of " + getDim(op.getW2(), 0).toString() +
               " has fewer than two units: every rank computes it";
    return;
  }
  FirstLayer gate{op.getW1(), op.getB1()}, linear{op.getW3(), op.getB3()};
  Gating gating = op.getGating();
  if (gating == Gating::Concatenated) {
    gate = takeHalf(slicing, op, 0);
    linear = takeHalf(slicing, op, 1);
    gating = Gating::Split;
  }
  const Cut &cut = slicing.rankCut("ffn", *size / unit);
  gate = takeUnits(slicing, gate, cut);
  linear = takeUnits(slicing, linear, cut);
  Value w2 = slicing.take(op.getW2(), 0, cut);
  OpBuilder builder(op);
  builder.setInsertionPointAfter(op);
  auto partial = cast<FfnOp>(builder.clone(*op));
  partial.getW1Mutable().assign(gate.weight);
  partial.getW2Mutable().assign(w2);
  partial.getB2Mutable().clear();
  auto assign = [](MutableOperandRange range, Value value) {
    if (value)
      range.assign(value);
  };
  assign(partial.getB1Mutable(), gate.bias);
  assign(partial.getW3Mutable(), linear.weight);
  assign(partial.getB3Mutable(), linear.bias);
  partial.setGating(gating);
  op.getResult().replaceAllUsesWith(
      slicing.sum(builder, op.getLoc(), partial.getResult(), op.getB2()));
  reportUnits(op, "ffn", *size, unit);
}

//===----------------------------------------------------------------------===//
// Other pairs
//===----------------------------------------------------------------------===//

static void slicePair(Slicing &slicing, MatmulOp op) {
  Value inner = op.getLhs();
  int last = getTensorType(inner).getRank() - 1;
  std::optional<int64_t> size = getDim(inner, last).constantValue();
  if (!size || *size == 0 || !inner.hasOneUse())
    return;
  int64_t unit = op.getTransposeRhs() ? unitOf(*size)
                                      : innerUnit(slicing, op.getRhs(), *size);
  int64_t numUnits = *size / unit;
  if (numUnits < 2)
    return;
  const Cut question{{"", DimExpr(numUnits)}, DimExpr(), {}};
  unsigned numProducts = 0;
  if (!slicing.isOfWeights(inner, last, question, numProducts) ||
      numProducts == 0)
    return;
  const Cut &cut = slicing.rankCut("ffn", numUnits);
  slicing.give(inner, slicing.take(inner, last, cut), last, cut);
  reportUnits(op, "pair", *size, unit);
}

void moe::pass::slicePairs(Slicing &slicing) {
  func::FuncOp func = slicing.getFunction();
  for (auto op : llvm::to_vector(func.front().getOps<MatmulOp>()))
    if (op.getRhs().getDefiningOp<ParamOp>() && Slicing::isLive(op) &&
        !slicing.hasPart(op.getResult()))
      slicePair(slicing, op);
}
