//===- DeepSpeedGate.cpp - DeepSpeed's gates in tensor arithmetic --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedGate.h"

#include "passes/recognize/DeepSpeedMasks.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
namespace {

/// gate[s, e] * one_hot(slot)[s, c], one choice of combine; for k >= 3 all
/// choices at once, with slots [S, E].
struct CombineTerm {
  Value gates;
  Value slots;
  /// The value of C, null if it is a constant.
  Value capacity;
  DimExpr capacitySize = DimExpr(0);
};

/// The weight of one choice.
struct GateTerm {
  /// softmax(logits) [S, E].
  Value probs;
  KeptMask kept;
  ChosenMask chosen;
  /// What the weight was divided by, null if by nothing.
  Value denominator;
};

/// Both operands of a product without sums.
std::optional<ValuePair> matchOuterProduct(Value value) {
  if (auto product = matchBinary(value, BinaryKind::Mul))
    return product;
  auto matmul = value.getDefiningOp<MatmulOp>();
  if (!matmul || matmul.getBias() ||
      getDims(matmul.getLhs()).back() != DimExpr(1))
    return std::nullopt;
  // x[.., 1] y[1, ..]: a transposed rhs would be [.., N, 1].
  if (matmul.getTransposeRhs())
    return std::nullopt;
  return ValuePair{matmul.getLhs(), matmul.getRhs()};
}

/// The view of `value` in dimensions [S, E, C].
std::optional<View> traceCombine(Value value, bool throughCasts) {
  View view = View::trace(value, throughCasts);
  if (view.dims.size() != 3)
    return std::nullopt;
  return view;
}

std::optional<CombineTerm> matchCombineTerm(Value value) {
  auto product = matchOuterProduct(stripCasts(stripReshapes(value)));
  if (!product)
    return std::nullopt;
  for (auto [weights, choices] :
       {*product, ValuePair{product->b, product->a}}) {
    auto gates = traceCombine(weights, /*throughCasts=*/false);
    auto slots = traceCombine(choices, /*throughCasts=*/true);
    if (!gates || !slots)
      continue;
    auto oneHot = slots->root.getDefiningOp<OneHotOp>();
    size_t slotRank = getDims(slots->root).size();
    size_t slotAxis = slotRank - 1;
    bool hasGates = getTensorType(gates->root).getRank() == 2 &&
                    gates->dims[0] == wholeAxis(gates->root, 0) &&
                    gates->dims[1] == wholeAxis(gates->root, 1) &&
                    gates->dims[2].empty();
    bool hasSlots =
        oneHot && (slotRank == 2 || slotRank == 3) &&
        getIntegers(oneHot.getValues()) == SmallVector<int64_t>{0, 1} &&
        slots->dims[0] == wholeAxis(slots->root, 0) &&
        slots->dims[1] ==
            (slotRank == 3 ? wholeAxis(slots->root, 1) : Factors()) &&
        slots->dims[2] == wholeAxis(slots->root, slotAxis) &&
        static_cast<int64_t>(oneHot.getAxis()) ==
            static_cast<int64_t>(slotAxis);
    if (!hasGates || !hasSlots)
      continue;
    return CombineTerm{gates->root, stripCasts(oneHot.getIndices()),
                       oneHot.getDepth(), getDims(slots->root)[slotAxis]};
  }
  return std::nullopt;
}

/// sum over e of a[s, e] * b[s, e], as a reduction or a product.
std::optional<ValuePair> matchRowDot(Value value) {
  value = stripReshapes(value);
  if (Value terms = matchReduceLast(value, ReduceKind::Sum))
    return matchBinary(stripCasts(terms), BinaryKind::Mul);
  auto matmul = value.getDefiningOp<MatmulOp>();
  if (!matmul || matmul.getBias())
    return std::nullopt;
  Dims result = getDims(value);
  size_t rank = result.size();
  if (rank < 3 || result[rank - 1] != DimExpr(1) ||
      result[rank - 2] != DimExpr(1))
    return std::nullopt;
  return ValuePair{stripReshapes(matmul.getLhs()),
                   stripReshapes(matmul.getRhs())};
}

Value matchProbs(Value value) {
  value = stripCasts(stripReshapes(value));
  auto softmax = value.getDefiningOp<SoftmaxOp>();
  bool matches =
      softmax && !softmax.getLog() && getTensorType(value).getRank() == 2 &&
      (softmax.getAxis() == 1 || static_cast<int64_t>(softmax.getAxis()) == -1);
  return matches ? value : Value();
}

/// probs * mask of a pair in either order.
bool matchMaskedProbs(ValuePair pair, GateTerm &term) {
  for (auto [probs, mask] : {pair, ValuePair{pair.b, pair.a}}) {
    if (!(term.probs = matchProbs(probs)))
      continue;
    term.kept = matchKeptMask(stripMask(mask));
    auto chosen = matchChosenMask(term.kept.chosen);
    if (!chosen)
      continue;
    term.chosen = *chosen;
    return true;
  }
  return false;
}

/// weight[s] * mask[s, e] with weight = dot(probs, mask) / denominator.
std::optional<GateTerm> matchNormalizedChoice(Value gates) {
  auto product = matchOuterProduct(gates);
  if (!product)
    return std::nullopt;
  for (auto [weight, mask] : {*product, ValuePair{product->b, product->a}}) {
    auto quotient =
        matchBinary(stripCasts(stripReshapes(weight)), BinaryKind::Div);
    auto dot = quotient ? matchRowDot(stripCasts(quotient->a)) : std::nullopt;
    GateTerm term;
    if (!dot || !matchMaskedProbs(*dot, term) ||
        stripMask(mask) != term.kept.mask)
      continue;
    term.denominator = quotient->b;
    return term;
  }
  return std::nullopt;
}

std::optional<GateTerm> matchGateTerm(Value gates) {
  gates = stripCasts(gates);
  GateTerm term;
  if (auto quotient = matchBinary(gates, BinaryKind::Div)) {
    auto masked = matchBinary(stripCasts(quotient->a), BinaryKind::Mul);
    if (!masked || !matchMaskedProbs(*masked, term))
      return std::nullopt;
    term.denominator = quotient->b;
    return term;
  }
  if (auto product = matchBinary(gates, BinaryKind::Mul))
    if (matchMaskedProbs(*product, term))
      return term;
  return matchNormalizedChoice(gates);
}

/// The values that `value` adds up, before casts and reshapes.
void collectSummands(Value value, SmallVectorImpl<Value> &summands) {
  value = stripCasts(stripReshapes(value));
  if (auto sum = matchBinary(value, BinaryKind::Add)) {
    collectSummands(sum->a, summands);
    collectSummands(sum->b, summands);
    return;
  }
  summands.push_back(value);
}

class DenseGateMatcher {
public:
  std::optional<DeepSpeedGate> match(Value combine) {
    SmallVector<Value> summands;
    collectSummands(combine, summands);
    if (summands.size() > 2)
      return std::nullopt;
    for (Value summand : summands)
      if (!addTerm(summand))
        return std::nullopt;
    // The second choice excludes the first.
    if (gates.size() == 2 && gates[0].chosen.except) {
      std::swap(gates[0], gates[1]);
      std::swap(combines[0], combines[1]);
    }
    if (!haveOneSource() || !setAlgorithm() || !setNormalizer() ||
        !haveSlots() || !setDropping())
      return std::nullopt;
    result.usedToken = gates.front().chosen.usedToken;
    return result;
  }

private:
  SmallVector<CombineTerm> combines;
  SmallVector<GateTerm> gates;
  DeepSpeedGate result;
  SoftmaxOp softmax;

  bool addTerm(Value summand) {
    auto combine = matchCombineTerm(summand);
    auto gate = combine ? matchGateTerm(combine->gates) : std::nullopt;
    if (!gate)
      return false;
    combines.push_back(*combine);
    gates.push_back(*gate);
    return true;
  }

  /// True if `selection` is the logits or their softmax.
  bool isSelection(Value selection) {
    selection = stripCasts(selection);
    return selection == softmax.getResult() || selection == softmax.getX();
  }

  bool haveOneSource() {
    softmax = gates.front().probs.getDefiningOp<SoftmaxOp>();
    result.logits = softmax.getX();
    result.ops = {softmax};
    for (const GateTerm &gate : gates)
      if (gate.probs != softmax.getResult() ||
          !isSelection(gate.chosen.selection))
        return false;
    return true;
  }

  /// k = 1 and 2 by argmax, others by top_k.
  bool setAlgorithm() {
    const ChosenMask &first = gates.front().chosen;
    result.attrs.score = RouterScore::Softmax;
    if (TopKOp topK = first.topK) {
      std::optional<int64_t> k = getDims(topK.getIndices())[1].constantValue();
      result.attrs.k = k.value_or(0);
      return gates.size() == 1 && k;
    }
    result.attrs.k = gates.size();
    if (first.except)
      return false;
    return gates.size() == 1 || gates[1].chosen.except == first.mask;
  }

  /// Weights are divided by their sum, guarded by a tiny maximum.
  bool setNormalizer() {
    Value denominator = gates.front().denominator;
    for (const GateTerm &gate : gates)
      if (gate.denominator != denominator)
        return false;
    if (!denominator)
      return result.attrs.k == 1;
    Value sum = stripCasts(stripReshapes(denominator));
    auto guarded = matchWithScalar(sum, BinaryKind::Max);
    if (!guarded)
      return false;
    result.attrs.normalize = Normalize::SumMax;
    result.attrs.normalizeEps = guarded->scalar;
    result.attrs.normalizeAfterDrop = true;
    SmallVector<Value> summands;
    if (gates.size() == 1)
      summands.push_back(stripCasts(guarded->value));
    else
      collectSummands(guarded->value, summands);
    if (summands.size() != gates.size())
      return false;
    return llvm::all_of(summands, [&](Value summand) {
      auto dot = matchRowDot(summand);
      GateTerm term;
      return dot && matchMaskedProbs(*dot, term) &&
             llvm::any_of(gates, [&](const GateTerm &gate) {
               return gate.kept.mask == term.kept.mask &&
                      gate.probs == term.probs;
             });
    });
  }

  /// Slots number the tokens of an expert without gaps or repetitions.
  bool haveSlots() {
    for (auto [i, gate] : llvm::enumerate(gates)) {
      Value slots = combines[i].slots;
      // [S]: the one slot of a token; [S, E]: one for each expert.
      if (getTensorType(slots).getRank() == 1) {
        slots = matchReduceLast(slots, ReduceKind::Sum);
        if (!slots)
          return false;
      }
      auto masked = matchBinary(stripCasts(slots), BinaryKind::Mul);
      if (!masked)
        return false;
      Value before = i == 0 ? Value() : gates.front().chosen.mask;
      bool found = false;
      for (auto [running, mask] : {*masked, ValuePair{masked->b, masked->a}}) {
        if (stripMask(mask) != gate.kept.mask)
          continue;
        // Counted before dropping, except where dropping came first.
        bool countsKept = gate.kept.form == DropForm::TopOfMask ||
                          gate.kept.form == DropForm::TopOfScores;
        Value counted = countsKept ? gate.kept.mask : gate.kept.chosen;
        found |= isRunningSlot(running, counted, before) &&
                 (gate.kept.form != DropForm::SlotBelowCapacity ||
                  gate.kept.slots == stripCasts(running));
      }
      if (!found)
        return false;
    }
    return true;
  }

  bool setDropping() {
    SmallVector<Value> chosen;
    for (const GateTerm &gate : gates)
      chosen.push_back(gate.chosen.mask);
    Dims sizes = getDims(result.logits);
    auto capacity = matchCapacity(combines.front().capacity,
                                  combines.front().capacitySize, chosen, sizes);
    if (!capacity)
      return false;
    DropForm form = gates.front().kept.form;
    for (auto [i, gate] : llvm::enumerate(gates)) {
      if (gate.kept.form != form || !hasCapacityOf(gate.kept, combines[i]))
        return false;
      result.drawsAtRandom |= gate.kept.drawsAtRandom;
    }
    if (capacity->isLargestCount)
      return true;
    GateAttrs &attrs = result.attrs;
    attrs.minCapacity = capacity->minimum;
    attrs.capacityFactor = capacity->factor / attrs.k;
    // The gate computes f32(factor * k), which must be the file's number.
    if (attrs.capacityFactor * static_cast<float>(attrs.k) != capacity->factor)
      return false;
    return setPolicy(form);
  }

  /// Masks are kept by the capacity that combine has.
  bool hasCapacityOf(const KeptMask &kept, const CombineTerm &combine) {
    if (combine.capacitySize != combines.front().capacitySize)
      return false;
    if (kept.form == DropForm::None)
      return true;
    if (kept.form != DropForm::SlotBelowCapacity)
      return kept.capacitySize == combine.capacitySize;
    auto plain = [](Value value) {
      return value ? stripCasts(stripReshapes(value)) : Value();
    };
    return kept.capacity ? plain(kept.capacity) == plain(combine.capacity)
                         : kept.capacitySize == combine.capacitySize;
  }

  bool setPolicy(DropForm form) {
    GateAttrs &attrs = result.attrs;
    bool isTopK = static_cast<bool>(gates.front().chosen.topK);
    switch (form) {
    case DropForm::None:
      // More slots than tokens can need, or combine drops without a mask: only
      // an out-of-range slot does that, in token order.
      return false;
    case DropForm::TopOfMask:
      attrs.dropPolicy = DropPolicy::Choice;
      return !isTopK && attrs.k == 1;
    case DropForm::SlotBelowCapacity:
      attrs.dropPolicy = isTopK ? DropPolicy::Token : DropPolicy::Choice;
      return true;
    case DropForm::TopOfScores:
      return isTopK && setScorePolicy();
    }
    return false;
  }

  /// Who ranks by scores, ranks by those that chose.
  bool setScorePolicy() {
    const GateTerm &gate = gates.front();
    TopKOp topK = gate.chosen.topK;
    auto scores = gate.kept.scores.getDefiningOp<ScatterElementsOp>();
    if (stripCasts(scores.getIndices()) != topK.getIndices() ||
        stripCasts(scores.getUpdates()) != topK.getValues())
      return false;
    bool ranksProbs = stripCasts(topK.getX()) == softmax.getResult();
    result.attrs.dropPolicy =
        ranksProbs ? DropPolicy::Probs : DropPolicy::Logits;
    return true;
  }
};

} // namespace

std::optional<DeepSpeedGate> matchDenseGate(Value combine) {
  return DenseGateMatcher().match(combine);
}

} // namespace moe::pass
