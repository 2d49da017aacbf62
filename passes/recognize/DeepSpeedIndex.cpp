//===- DeepSpeedIndex.cpp - DeepSpeed's layer as index tables -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The index form numbers the C slots of all E experts from 0 to E * C - 1 and
// adds one more for what was dropped:
//
//   place [k, S]  = expert * C + slot, or E * C where the expert is negative
//   source        = S everywhere, but token s at place[j, s]
//   rows  [E*C,M] = (x with a row of zeros behind it) [source]
//   outputs       = expert e on its C rows, joined again
//   y     [S, N]  = sum over j of
//                   weight[j, s] * (outputs with a row of zeros) [place[j, s]]
//
// The last sum is the anchor. Tracing has turned C of the tables into a
// constant; the gate still computes its own, which is what counts here.
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedLayer.h"

#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

/// x of x with one row of zeros behind it.
static Value matchZeroPadded(Value value) {
  auto concat = value.getDefiningOp<ConcatOp>();
  if (!concat || concat.getAxis() != 0 || concat.getInputs().size() != 2)
    return Value();
  Value row = concat.getInputs().back();
  return getDim(row, 0) == DimExpr(1) && isScalar(row, 0)
             ? concat.getInputs().front()
             : Value();
}

namespace {
/// place = expert * C + slot, or E * C.
struct Places {
  Value place, experts, slots;
  int64_t capacity, numPlaces;
};
} // namespace

static std::optional<Places> matchPlaces(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  auto compare =
      select ? select.getCondition().getDefiningOp<CompareOp>() : CompareOp();
  if (!compare || !isScalar(compare.getRhs(), 0))
    return std::nullopt;
  Value kept = select.getOnTrue(), dropped = select.getOnFalse();
  if (compare.getKind() == CompareKind::Lt)
    std::swap(kept, dropped);
  else if (compare.getKind() != CompareKind::Ge)
    return std::nullopt;
  std::optional<double> numPlaces = getScalar(dropped);
  auto sum = matchBinary(kept, BinaryKind::Add);
  if (!numPlaces || !sum)
    return std::nullopt;
  Value experts = stripCasts(compare.getLhs());
  for (auto [first, slots] : {*sum, ValuePair{sum->b, sum->a}}) {
    auto scaled = matchWithScalar(first, BinaryKind::Mul);
    if (scaled && stripCasts(scaled->value) == experts)
      return Places{value, experts, slots, static_cast<int64_t>(scaled->scalar),
                    static_cast<int64_t>(*numPlaces)};
  }
  return std::nullopt;
}

/// True if every element of `value` is the number of tokens.
static bool isTokenCount(Value value, const DimExpr &tokens) {
  if (auto sum = matchWithScalar(value, BinaryKind::Add))
    if (sum->scalar == 0)
      value = sum->value;
  if (auto sum = matchBinary(value, BinaryKind::Add))
    if (isScalar(sum->a, 0))
      value = sum->b;
  if (auto constant = getScalar(value))
    return DimExpr(static_cast<int64_t>(*constant)) == tokens;
  auto shape = stripViewsAndCasts(value).getDefiningOp<ShapeOp>();
  return shape &&
         llvm::all_of(shape.getDims().getDims(),
                      [&](const DimExpr &dim) { return dim == tokens; });
}

/// True if `value` counts the tokens once for each of k choices.
static bool isTokenOfChoice(Value value, const DimExpr &tokens, int64_t k) {
  View view = View::trace(value, /*throughCasts=*/true);
  auto iota = view.root.getDefiningOp<IotaOp>();
  auto groups = regroup(view.flattened(), {DimExpr(k), tokens});
  if (!iota || iota.getStep() != 1 || iota.getStart().getDim(0) != DimExpr(0) ||
      !groups)
    return false;
  bool repeats =
      k == 1 || ((*groups)[0].size() == 1 && (*groups)[0].front().isRepeated());
  return repeats && (*groups)[1] == wholeAxis(view.root, 0);
}

namespace {
class IndexLayerRewriter {
public:
  explicit IndexLayerRewriter(ReduceOp op) : op(op) {}

  bool run() {
    if (op.getKind() != ReduceKind::Sum ||
        op.getAxes() != ArrayRef<int64_t>{0} ||
        getTensorType(op.getX()).getRank() != 3)
      return false;
    auto weighted = matchBinary(stripCasts(op.getX()), BinaryKind::Mul);
    if (!weighted)
      return false;
    for (auto [outputs, factor] :
         {*weighted, ValuePair{weighted->b, weighted->a}}) {
      weights = stripReshapesAndCasts(factor);
      if (matchOutputs(outputs) && matchRows() && build())
        return true;
    }
    return false;
  }

private:
  ReduceOp op;
  Value weights, tokens;
  Places places;
  ExpertSlices experts;

  DimExpr numTokens() { return getDim(op.getX(), 1); }

  /// Experts come first in the order of `value`'s elements.
  static bool isExpertMajor(Value value, size_t axis) {
    return llvm::all_of(ArrayRef<DimExpr>(getDims(value)).take_front(axis),
                        [](const DimExpr &dim) { return dim == DimExpr(1); });
  }

  bool matchOutputs(Value outputs) {
    auto gather = stripReshapesAndCasts(outputs).getDefiningOp<GatherOp>();
    Value padded = gather && gather.getAxis() == 0 && gather.getBatchDims() == 0
                       ? matchZeroPadded(gather.getData())
                       : Value();
    auto match =
        padded ? matchPlaces(stripReshapes(gather.getIndices())) : std::nullopt;
    if (!match)
      return false;
    places = *match;
    View joined = View::trace(padded, /*throughCasts=*/true);
    auto slices = matchExpertSlices(joined.root);
    if (!slices || !joined.isReshapeOfRoot() ||
        !isExpertMajor(joined.root, slices->axis) ||
        getDim(padded, 0) != DimExpr(places.numPlaces) ||
        static_cast<int64_t>(slices->ffns.size()) * places.capacity !=
            places.numPlaces)
      return false;
    experts = *slices;
    return true;
  }

  bool matchRows() {
    View rows = View::trace(experts.source, /*throughCasts=*/true);
    auto gather = rows.root.getDefiningOp<GatherOp>();
    if (!gather || gather.getAxis() != 0 || gather.getBatchDims() != 0 ||
        !rows.isReshapeOfRoot() ||
        !isExpertMajor(experts.source, experts.sourceAxis))
      return false;
    Value x = matchZeroPadded(gather.getData());
    auto slice = gather.getIndices().getDefiningOp<SliceOp>();
    auto scatter = slice ? slice.getX().getDefiningOp<ScatterElementsOp>()
                         : ScatterElementsOp();
    if (!x || !scatter || scatter.getKind() != ScatterKind::None ||
        slice.getStarts().getDims() != ArrayRef<DimExpr>{DimExpr(0)} ||
        getDim(gather.getIndices(), 0) != DimExpr(places.numPlaces))
      return false;
    std::optional<int64_t> k = getDim(op.getX(), 0).constantValue();
    tokens = x;
    return k && getTensorType(x).getRank() == 2 &&
           getDim(x, 0) == numTokens() &&
           stripReshapes(scatter.getIndices()) == places.place &&
           isTokenCount(scatter.getData(), numTokens()) &&
           isTokenOfChoice(scatter.getUpdates(), numTokens(), *k);
  }

  bool build() {
    auto gate = matchIndexGate(places.experts, places.slots, weights);
    return gate && buildDeepSpeedLayer(op, tokens, experts, *gate,
                                       "DeepSpeed's index form");
  }
};
} // namespace

bool rewriteIndexLayer(ReduceOp op) { return IndexLayerRewriter(op).run(); }

} // namespace moe::pass
