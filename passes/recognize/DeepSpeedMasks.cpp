//===- DeepSpeedMasks.cpp - Masks of tokens and experts -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedMasks.h"

#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

static bool isAxis(int64_t axis, int64_t expected, Value value) {
  int64_t rank = getTensorType(value).getRank();
  return (axis < 0 ? axis + rank : axis) == expected;
}

static bool isRank2(Value value) { return getTensorType(value).getRank() == 2; }

/// Both operands of a product or conjunction of masks.
static std::optional<ValuePair> matchConjunction(Value value) {
  if (auto product = matchBinary(value, BinaryKind::Mul))
    return product;
  return matchBinary(value, BinaryKind::And);
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

/// The indices that were turned into ones along the last axis.
static Value matchOneHotIndices(Value mask) {
  auto oneHot = mask.getDefiningOp<OneHotOp>();
  if (!oneHot || !isRank2(mask) || !isAxis(oneHot.getAxis(), 1, mask) ||
      getIntegers(oneHot.getValues()) != SmallVector<int64_t>{0, 1})
    return Value();
  return stripCasts(stripReshapes(oneHot.getIndices()));
}

/// x of x + c, which has its largest element at the same place. Noise on the
/// second choice is such a sum once random numbers are replaced by a constant.
static Value stripShift(Value value) {
  auto sum = matchWithScalar(value, BinaryKind::Add);
  return sum && sum->value.getType() == value.getType() ? sum->value : value;
}

static std::optional<ChosenMask> matchArgmaxMask(Value mask) {
  Value indices = matchOneHotIndices(mask);
  auto argmax = indices ? indices.getDefiningOp<ArgReduceOp>() : ArgReduceOp();
  if (!argmax || argmax.getKind() != ArgReduceKind::Max ||
      argmax.getSelectLast() || !isRank2(argmax.getX()) ||
      !isAxis(argmax.getAxis(), 1, argmax.getX()))
    return std::nullopt;
  ChosenMask chosen{mask, stripShift(argmax.getX()), Value(), Value(),
                    TopKOp()};
  if (auto select = argmax.getX().getDefiningOp<SelectOp>()) {
    std::optional<double> hidden = getScalar(select.getOnTrue());
    if (!hidden || !isHidingFill(*hidden))
      return std::nullopt;
    chosen.selection = stripShift(select.getOnFalse());
    chosen.except = stripMask(select.getCondition());
  }
  return chosen;
}

/// x if `scatter` writes into zeros along `axis`.
static ScatterElementsOp matchScatterIntoZeros(Value value, int64_t axis) {
  auto scatter = value.getDefiningOp<ScatterElementsOp>();
  bool matches = scatter && scatter.getKind() == ScatterKind::None &&
                 isRank2(value) && isAxis(scatter.getAxis(), axis, value) &&
                 isScalar(scatter.getData(), 0);
  return matches ? scatter : ScatterElementsOp();
}

/// The top_k along `axis` whose indices `value` is.
static TopKOp matchIndicesOfTopK(Value value, int64_t axis) {
  value = stripCasts(value);
  auto topK = value.getDefiningOp<TopKOp>();
  bool matches = topK && value == topK.getIndices() && topK.getLargest() &&
                 isAxis(topK.getAxis(), axis, topK.getX());
  return matches ? topK : TopKOp();
}

static std::optional<ChosenMask> matchScatteredMask(Value mask) {
  auto scatter = matchScatterIntoZeros(mask, 1);
  if (!scatter || !isScalar(scatter.getUpdates(), 1))
    return std::nullopt;
  TopKOp topK = matchIndicesOfTopK(scatter.getIndices(), 1);
  if (!topK || topK.getK())
    return std::nullopt;
  return ChosenMask{mask, topK.getX(), Value(), Value(), topK};
}

/// used[s] * mask[s, e].
static std::optional<ChosenMask> matchUsedMask(Value mask) {
  auto product = matchConjunction(mask);
  if (!product)
    return std::nullopt;
  for (auto [used, inner] : {*product, ValuePair{product->b, product->a}}) {
    View view = View::trace(used, /*throughCasts=*/true);
    bool isPerToken =
        view.dims.size() == 2 && getTensorType(view.root).getRank() == 1 &&
        view.dims[0] == wholeAxis(view.root, 0) &&
        llvm::all_of(view.dims[1],
                     [](const Factor &factor) { return factor.isRepeated(); });
    auto chosen = isPerToken ? matchArgmaxMask(stripMask(inner)) : std::nullopt;
    if (!chosen)
      continue;
    chosen->mask = mask;
    chosen->usedToken = view.root;
    return chosen;
  }
  return std::nullopt;
}

std::optional<ChosenMask> matchChosenMask(Value mask) {
  if (auto chosen = matchArgmaxMask(mask))
    return chosen;
  if (auto chosen = matchScatteredMask(mask))
    return chosen;
  return matchUsedMask(mask);
}

//===----------------------------------------------------------------------===//
// Dropping
//===----------------------------------------------------------------------===//

/// mask * (1 at the top C tokens of each expert).
static bool matchTopDrop(Value factor, KeptMask &kept) {
  auto scatter = matchScatterIntoZeros(factor, 0);
  if (!scatter || !isScalar(scatter.getUpdates(), 1))
    return false;
  TopKOp topK = matchIndicesOfTopK(scatter.getIndices(), 0);
  if (!topK)
    return false;
  kept.capacity = topK.getK();
  kept.capacitySize = getDims(topK.getIndices())[0];
  Value ranked = stripMask(topK.getX());
  if (ranked == kept.chosen) {
    kept.form = DropForm::TopOfMask;
    return true;
  }
  if (auto scores = matchScatterIntoZeros(stripCasts(topK.getX()), 1)) {
    kept.form = DropForm::TopOfScores;
    kept.scores = scores;
    return true;
  }
  // Anything positive that a mask is multiplied with before it is ranked draws
  // lots among its ones.
  auto drawn = matchBinary(ranked, BinaryKind::Mul);
  if (!drawn || (stripMask(drawn->a) != kept.chosen &&
                 stripMask(drawn->b) != kept.chosen))
    return false;
  kept.form = DropForm::TopOfMask;
  kept.drawsAtRandom = true;
  return true;
}

/// mask * (slot < C).
static bool matchSlotDrop(Value factor, KeptMask &kept) {
  auto compare = factor.getDefiningOp<CompareOp>();
  if (!compare)
    return false;
  Value slots = compare.getLhs(), capacity = compare.getRhs();
  if (compare.getKind() == CompareKind::Gt)
    std::swap(slots, capacity);
  else if (compare.getKind() != CompareKind::Lt)
    return false;
  kept.form = DropForm::SlotBelowCapacity;
  kept.slots = stripCasts(slots);
  if (auto constant = getScalar(capacity))
    kept.capacitySize = DimExpr(static_cast<int64_t>(*constant));
  else
    kept.capacity = capacity;
  return true;
}

KeptMask matchKeptMask(Value mask) {
  KeptMask kept;
  kept.mask = kept.chosen = mask;
  auto product = matchConjunction(mask);
  if (!product)
    return kept;
  for (auto [chosen, factor] : {*product, ValuePair{product->b, product->a}}) {
    KeptMask candidate = kept;
    candidate.chosen = stripMask(chosen);
    Value stripped = stripMask(factor);
    if (matchTopDrop(stripped, candidate) || matchSlotDrop(stripped, candidate))
      return candidate;
  }
  return kept;
}

//===----------------------------------------------------------------------===//
// Slots
//===----------------------------------------------------------------------===//

bool isRunningSlot(Value slots, Value counted, Value before) {
  slots = stripCasts(slots);
  if (before) {
    auto sum = matchBinary(slots, BinaryKind::Add);
    if (!sum)
      return false;
    for (auto [own, others] : {*sum, ValuePair{sum->b, sum->a}}) {
      auto total = stripCasts(stripReshapes(others)).getDefiningOp<ReduceOp>();
      if (total && total.getKind() == ReduceKind::Sum &&
          total.getAxes() == ArrayRef<int64_t>{0} &&
          stripMask(total.getX()) == before)
        return isRunningSlot(own, counted, Value());
    }
    return false;
  }
  auto shifted = matchWithScalar(slots, BinaryKind::Sub);
  bool isLessOne = shifted && shifted->scalar == 1;
  if (!shifted) {
    shifted = matchWithScalar(slots, BinaryKind::Add);
    isLessOne = shifted && shifted->scalar == -1;
  }
  if (!isLessOne)
    return false;
  auto cumsum = stripCasts(shifted->value).getDefiningOp<CumsumOp>();
  return cumsum && !cumsum.getExclusive() && !cumsum.getReverse() &&
         isAxis(cumsum.getAxis(), 0, cumsum.getX()) &&
         stripMask(cumsum.getX()) == counted;
}

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

/// The masks that `value` adds up.
static void collectMasks(Value value, SmallVectorImpl<Value> &masks) {
  value = stripMask(value);
  if (auto sum = matchBinary(value, BinaryKind::Add)) {
    collectMasks(sum->a, masks);
    collectMasks(sum->b, masks);
    return;
  }
  masks.push_back(value);
}

/// The largest count of an expert, at most the number of tokens.
static bool isLargestCount(Value value, ArrayRef<Value> chosen,
                           const DimExpr &tokens) {
  value = stripCasts(stripReshapes(value));
  while (Value inner = matchUnary(value, UnaryKind::Ceil))
    value = stripCasts(stripReshapes(inner));
  if (auto bounded = matchBinary(value, BinaryKind::Min)) {
    for (auto [count, bound] : {*bounded, ValuePair{bounded->b, bounded->a}}) {
      auto shape = stripViewsAndCasts(bound).getDefiningOp<ShapeOp>();
      std::optional<double> constant = getScalar(bound);
      bool isTokens =
          (shape && shape.getDims().getDims() == ArrayRef<DimExpr>{tokens}) ||
          (constant && DimExpr(static_cast<int64_t>(*constant)) == tokens);
      if (isTokens)
        return isLargestCount(count, chosen, tokens);
    }
    return false;
  }
  auto largest = value.getDefiningOp<ReduceOp>();
  if (!largest || largest.getKind() != ReduceKind::Max)
    return false;
  auto total =
      stripCasts(stripReshapes(largest.getX())).getDefiningOp<ReduceOp>();
  if (!total || total.getKind() != ReduceKind::Sum ||
      total.getAxes() != ArrayRef<int64_t>{0})
    return false;
  SmallVector<Value> masks;
  collectMasks(total.getX(), masks);
  return llvm::all_of(
      chosen, [&](Value mask) { return llvm::is_contained(masks, mask); });
}

/// ceil(factor * (S / E)).
static std::optional<float> matchFactor(Value value, ArrayRef<DimExpr> sizes) {
  Value argument = matchUnary(stripCasts(value), UnaryKind::Ceil);
  if (!argument)
    return std::nullopt;
  double factor = 1;
  if (auto product = matchWithScalar(argument, BinaryKind::Mul)) {
    factor = product->scalar;
    argument = product->value;
  }
  auto ratio = matchWithScalar(argument, BinaryKind::Div);
  if (!ratio || DimExpr(static_cast<int64_t>(ratio->scalar)) != sizes[1])
    return std::nullopt;
  auto tokens = stripViewsAndCasts(ratio->value).getDefiningOp<ShapeOp>();
  if (!tokens || tokens.getDims().getDims() != ArrayRef<DimExpr>{sizes[0]})
    return std::nullopt;
  return static_cast<float>(factor);
}

/// max(capacity, minimum), written as a maximum or as a choice.
static std::optional<ValueAndScalar> matchAtLeast(Value value) {
  if (auto maximum = matchWithScalar(value, BinaryKind::Max))
    return maximum;
  auto select = value.getDefiningOp<SelectOp>();
  auto compare =
      select ? stripMask(select.getCondition()).getDefiningOp<CompareOp>()
             : CompareOp();
  if (!compare)
    return std::nullopt;
  std::optional<double> minimum = getScalar(compare.getRhs());
  bool isBelow = compare.getKind() == CompareKind::Lt ||
                 compare.getKind() == CompareKind::Le;
  bool isAbove = compare.getKind() == CompareKind::Ge ||
                 compare.getKind() == CompareKind::Gt;
  if (!minimum || (!isBelow && !isAbove))
    return std::nullopt;
  Value small = isBelow ? select.getOnTrue() : select.getOnFalse();
  Value large = isBelow ? select.getOnFalse() : select.getOnTrue();
  if (getScalar(small) != *minimum ||
      stripCasts(stripReshapes(large)) !=
          stripCasts(stripReshapes(compare.getLhs())))
    return std::nullopt;
  return ValueAndScalar{large, *minimum};
}

std::optional<Capacity> matchCapacity(Value value, const DimExpr &size,
                                      ArrayRef<Value> chosen,
                                      ArrayRef<DimExpr> sizes) {
  if (!value) {
    // A formula that was evaluated while tracing: the constant as it is.
    std::optional<int64_t> constant = size.constantValue();
    if (!constant)
      return std::nullopt;
    return Capacity{false, 0, *constant};
  }
  value = stripCasts(stripReshapes(value));
  if (isLargestCount(value, chosen, sizes[0]))
    return Capacity{true, 0, 0};
  Capacity capacity;
  if (auto bounded = matchAtLeast(value)) {
    capacity.minimum = static_cast<int64_t>(bounded->scalar);
    value = stripCasts(stripReshapes(bounded->value));
  }
  auto factor = matchFactor(value, sizes);
  if (!factor)
    return std::nullopt;
  capacity.factor = *factor;
  return capacity;
}

} // namespace moe::pass
