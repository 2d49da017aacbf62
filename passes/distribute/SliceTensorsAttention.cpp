//===- SliceTensorsAttention.cpp - Heads over the ranks of tp -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The unit is a head of keys with the query heads that read it. With fewer
// heads of keys than ranks each of them is repeated for several units, so that
// every rank has query heads: in the weights of the projections, or, if keys
// come from a cache (whose past has the heads of the model), from the cache,
// which every rank then has. One head of keys needs no repetition at all:
//
//   8 query heads, 2 of keys   tp = 2   2 units of 4 and 1
//                              tp = 4   4 units of 2 and 1, keys 0 0 1 1
//   8 query heads, 1 of keys   tp = 4   8 units of 1, the one head on all ranks
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// The smallest multiple of the heads of keys that gives every rank a unit and
/// divides the heads; else one unit for each head.
static int64_t chooseUnits(int64_t heads, int64_t keyHeads, int64_t tp) {
  for (int64_t units = keyHeads; units < heads; units += keyHeads)
    if (units >= tp && heads % units == 0)
      return units;
  return heads;
}

namespace {
/// The heads of one attention.
struct Heads {
  int64_t queries = 0, keys = 0, units = 0;

  bool areRepeated() const { return keys != units && keys != 1; }
  /// The head of keys of each unit.
  SmallVector<int64_t> keysOfUnits() const {
    SmallVector<int64_t> heads;
    for (int64_t unit = 0; unit < units; ++unit)
      heads.push_back(unit * keys / units);
    return heads;
  }
};
} // namespace

/// The head of keys of each unit as a tensor.
static Value keyOfUnits(OpBuilder &builder, Location loc, const Heads &heads) {
  auto type = RankedTensorType::get({heads.units}, builder.getI64Type());
  Value units = IotaOp::create(
      builder, loc, type, DimsAttr::get(builder.getContext(), {DimExpr(0)}));
  int64_t repetitions = heads.units / heads.keys;
  Value divisor = ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(RankedTensorType::get({}, builder.getI64Type()),
                             ArrayRef(repetitions)));
  return BinaryOp::create(builder, loc, BinaryKind::Div, units, divisor);
}

/// Keys or values with one head for each unit, those of this rank.
static Value takeKeys(Slicing &slicing, Value keys, const Heads &heads,
                      const Cut &cut) {
  if (heads.keys == 1)
    return keys;
  if (!heads.areRepeated())
    return slicing.take(keys, 1, cut);
  const Cut &repeated = slicing.pickCut(heads.keys, heads.keysOfUnits());
  unsigned numProducts = 0;
  if (slicing.isOfWeights(keys, 1, repeated, numProducts))
    return slicing.take(slicing.take(keys, 1, repeated), 1, cut);
  OpBuilder builder(keys.getContext());
  builder.setInsertionPointAfterValue(keys);
  Value all = GatherOp::create(builder, keys.getLoc(), keys,
                               keyOfUnits(builder, keys.getLoc(), heads),
                               /*axis=*/1, /*batch_dims=*/0, StringAttr());
  return slicing.take(all, 1, cut);
}

static void report(AttentionOp op, const Heads &heads, int64_t tp) {
  std::string text = std::to_string(heads.queries) + " heads over " +
                     std::to_string(heads.keys) +
                     " of keys: " + std::to_string(heads.units) +
                     " units over " + std::to_string(tp) + " ranks";
  if (heads.areRepeated())
    text += ", heads of keys repeated";
  mlir::remark::passed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("attention").category(kSliceTensors))
      << text;
}

void moe::pass::sliceAttention(Slicing &slicing, AttentionOp op) {
  Heads heads;
  heads.queries = getDim(op.getQ(), 1).constantValue().value_or(1);
  heads.keys = getDim(op.getK(), 1).constantValue().value_or(1);
  heads.units = chooseUnits(heads.queries, heads.keys, slicing.getTp());
  if (heads.units == 1) {
    mlir::remark::missed(
        op.getLoc(),
        mlir::remark::RemarkOpts::name("attention").category(kSliceTensors))
        << "one head cannot be divided: every rank computes it";
    return;
  }
  const Cut &cut = slicing.rankCut("heads", heads.units);
  Value q = slicing.take(op.getQ(), 1, cut);
  Value k = takeKeys(slicing, op.getK(), heads, cut);
  Value v = takeKeys(slicing, op.getV(), heads, cut);
  Value mask = op.getMask(), sink = op.getSink();
  if (mask) {
    int axis = getTensorType(mask).getRank() - 3;
    if (axis >= 0 && getDim(mask, axis) != DimExpr(1))
      mask = slicing.take(mask, axis, cut);
  }
  if (sink)
    sink = slicing.take(sink, 0, cut);
  OpBuilder builder(op);
  builder.setInsertionPointAfter(op);
  Value part = AttentionOp::create(builder, op.getLoc(), q, k, v, mask, sink,
                                   op.getLengths(), op.getScaleAttr(),
                                   op.getMaskFillAttr(), op.getSoftcapAttr(),
                                   op.getCausalAttr(), op.getWindowAttr());
  slicing.give(op.getResult(), part, 1, cut);
  report(op, heads, slicing.getTp());
}
