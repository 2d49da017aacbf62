//===- AttentionScores.cpp - From probabilities to q k^T ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/AttentionScores.h"

#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

static int64_t lastAxis(Value value) {
  return getTensorType(value).getRank() - 1;
}

/// x of select(is_nan(x), 0, x): rows in which everything is hidden.
static Value matchNanGuard(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  if (!select)
    return Value();
  Value x = matchUnary(select.getCondition(), UnaryKind::IsNan);
  bool isGuard =
      x && x == select.getOnFalse() && isScalar(select.getOnTrue(), 0);
  return isGuard ? x : Value();
}

/// x if `value` is x without its last column.
static Value matchAllButLastColumn(Value value) {
  auto slice = value.getDefiningOp<SliceOp>();
  if (!slice)
    return Value();
  Dims full = getDims(slice.getX());
  full.back() = full.back() - DimExpr(1);
  bool startsAtZero =
      llvm::all_of(slice.getStarts().getDims(),
                   [](const DimExpr &start) { return start == DimExpr(0); });
  bool hasUnitSteps =
      llvm::all_of(slice.getSteps(), [](int64_t step) { return step == 1; });
  return startsAtZero && hasUnitSteps && full == getDims(value) ? slice.getX()
                                                                : Value();
}

std::optional<Probabilities> matchProbabilities(Value value) {
  bool hasSink = false;
  while (true) {
    value = stripCasts(value);
    if (Value guarded = matchNanGuard(value)) {
      value = guarded;
    } else if (Value whole = matchAllButLastColumn(value); whole && !hasSink) {
      value = whole;
      hasSink = true;
    } else {
      break;
    }
  }
  auto softmax = value.getDefiningOp<SoftmaxOp>();
  if (!softmax || softmax.getLog() ||
      static_cast<int64_t>(softmax.getAxis()) != lastAxis(value))
    return std::nullopt;
  if (!hasSink)
    return Probabilities{softmax, Value()};
  auto concat = stripCasts(softmax.getX()).getDefiningOp<ConcatOp>();
  if (!concat || concat.getInputs().size() != 2 ||
      static_cast<int64_t>(concat.getAxis()) != lastAxis(softmax.getX()) ||
      getDims(concat.getInputs().back()).back() != DimExpr(1))
    return std::nullopt;
  return Probabilities{softmax, concat.getInputs().back()};
}

static bool matchMaskedScores(SelectOp select, Scores &scores, int depth) {
  for (bool inverted : {false, true}) {
    Value kept = inverted ? select.getOnFalse() : select.getOnTrue();
    Value hidden = inverted ? select.getOnTrue() : select.getOnFalse();
    std::optional<double> fill = getScalar(hidden);
    if (!fill || scores.mask || scores.scale != 1 || scores.softcap != 0)
      continue;
    Scores inner = scores;
    inner.mask = select.getCondition();
    inner.isMaskInverted = inverted;
    inner.fill = *fill;
    if (!matchScores(kept, inner, depth))
      continue;
    scores = inner;
    return true;
  }
  return false;
}

static bool matchAddedMask(BinaryOp sum, Scores &scores, int depth) {
  if (scores.mask || scores.scale != 1 || scores.softcap != 0)
    return false;
  for (auto [inner, mask] : {std::pair(sum.getLhs(), sum.getRhs()),
                             std::pair(sum.getRhs(), sum.getLhs())}) {
    Scores candidate = scores;
    candidate.mask = mask;
    if (inner.getType() != sum.getType() ||
        !matchScores(inner, candidate, depth))
      continue;
    scores = candidate;
    return true;
  }
  return false;
}

/// x and cap of cap * tanh(x / cap).
static std::optional<ValueAndScalar> matchSoftcap(Value value) {
  auto outer = matchScaled(value);
  Value capped = outer ? matchUnary(outer->value, UnaryKind::Tanh) : Value();
  auto inner = capped ? matchScaled(capped) : std::nullopt;
  if (!inner || outer->scalar <= 0 ||
      !isAbout(inner->scalar * outer->scalar, 1))
    return std::nullopt;
  return ValueAndScalar{inner->value, outer->scalar};
}

bool matchScores(Value value, Scores &scores, int depth) {
  value = stripCasts(value);
  if (depth == 0)
    return false;
  if (auto product = value.getDefiningOp<MatmulOp>()) {
    scores.product = product;
    return !product.getBias();
  }
  if (auto select = value.getDefiningOp<SelectOp>())
    return matchMaskedScores(select, scores, depth - 1);
  if (auto capped = matchSoftcap(value)) {
    if (scores.scale != 1 || scores.softcap != 0)
      return false;
    scores.softcap = capped->scalar;
    return matchScores(capped->value, scores, depth - 1);
  }
  if (auto scaled = matchScaled(value)) {
    scores.scale *= scaled->scalar;
    return matchScores(scaled->value, scores, depth - 1);
  }
  auto sum = value.getDefiningOp<BinaryOp>();
  return sum && sum.getKind() == BinaryKind::Add &&
         matchAddedMask(sum, scores, depth - 1);
}

} // namespace moe::pass
