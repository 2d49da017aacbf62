//===- DeepSpeedTerms.cpp - The choices of a DeepSpeed gate ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedTerms.h"

#include "passes/recognize/View.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void collectSummands(Value value, SmallVectorImpl<Value> &summands) {
  value = stripReshapesAndCasts(value);
  if (auto sum = matchBinary(value, BinaryKind::Add)) {
    collectSummands(sum->a, summands);
    collectSummands(sum->b, summands);
    return;
  }
  summands.push_back(value);
}

/// Both operands of a product without sums.
static std::optional<ValuePair> matchOuterProduct(Value value) {
  if (auto product = matchBinary(value, BinaryKind::Mul))
    return product;
  auto matmul = value.getDefiningOp<MatmulOp>();
  // x [.., 1] times y [1, ..]; transposed, y would be [.., N, 1].
  if (!matmul || matmul.getBias() || matmul.getTransposeRhs() ||
      getDims(matmul.getLhs()).back() != DimExpr(1))
    return std::nullopt;
  return ValuePair{matmul.getLhs(), matmul.getRhs()};
}

std::optional<ValuePair> matchRowDot(Value value) {
  value = stripReshapesAndCasts(value);
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

static Value matchProbs(Value value) {
  value = stripReshapesAndCasts(value);
  auto softmax = value.getDefiningOp<SoftmaxOp>();
  bool matches = softmax && !softmax.getLog() &&
                 getTensorType(value).getRank() == 2 && softmax.getAxis() == 1;
  return matches ? value : Value();
}

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

/// dot(probs, mask), divided by something or not.
static std::optional<GateTerm> matchRouteWeight(Value weight) {
  GateTerm term;
  weight = stripReshapesAndCasts(weight);
  if (auto quotient = matchBinary(weight, BinaryKind::Div)) {
    term.denominator = quotient->b;
    weight = quotient->a;
  }
  auto dot = matchRowDot(weight);
  if (!dot || !matchMaskedProbs(*dot, term))
    return std::nullopt;
  return term;
}

/// probs * mask, divided by something or not; or weight[s] * mask[s, e].
static std::optional<GateTerm> matchGates(Value gates) {
  gates = stripCasts(gates);
  GateTerm term;
  if (auto quotient = matchBinary(gates, BinaryKind::Div)) {
    auto masked = matchBinary(stripCasts(quotient->a), BinaryKind::Mul);
    if (!masked || !matchMaskedProbs(*masked, term))
      return std::nullopt;
    term.denominator = quotient->b;
    return term;
  }
  auto product = matchOuterProduct(gates);
  if (!product)
    return std::nullopt;
  if (matchMaskedProbs(*product, term))
    return term;
  for (auto [weight, mask] : {*product, ValuePair{product->b, product->a}}) {
    auto route = matchRouteWeight(weight);
    if (route && stripMask(mask) == route->kept.mask)
      return route;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Slots
//===----------------------------------------------------------------------===//

/// running of running * mask, or of its sum over the experts.
static Value matchRunning(Value slots, Value mask) {
  if (Value summed = matchReduceLast(slots, ReduceKind::Sum))
    slots = summed;
  auto masked = matchBinary(stripCasts(slots), BinaryKind::Mul);
  if (!masked)
    return Value();
  for (auto [running, factor] : {*masked, ValuePair{masked->b, masked->a}})
    if (stripMask(factor) == mask)
      return stripCasts(running);
  return Value();
}

//===----------------------------------------------------------------------===//
// Terms
//===----------------------------------------------------------------------===//

namespace {
/// The operands of a combine term.
struct CombineParts {
  Value gates;
  OneHotOp oneHot;
};
} // namespace

/// Both in dimensions [S, E, C]: gates [S, E, 1], slots [S, 1 or E, C].
static std::optional<CombineParts> matchCombineParts(Value weights,
                                                     Value choices) {
  View gates = View::trace(weights);
  View slots = View::trace(choices, /*throughCasts=*/true);
  auto oneHot = slots.root.getDefiningOp<OneHotOp>();
  if (!oneHot || gates.dims.size() != 3 || slots.dims.size() != 3 ||
      getIntegers(oneHot.getValues()) != SmallVector<int64_t>{0, 1})
    return std::nullopt;
  size_t rank = getDims(slots.root).size();
  bool hasGates = getTensorType(gates.root).getRank() == 2 &&
                  gates.dims[0] == wholeAxis(gates.root, 0) &&
                  gates.dims[1] == wholeAxis(gates.root, 1) &&
                  gates.dims[2].empty();
  bool hasSlots =
      (rank == 2 || rank == 3) && oneHot.getAxis() == rank - 1 &&
      slots.dims[0] == wholeAxis(slots.root, 0) &&
      slots.dims[1] == (rank == 3 ? wholeAxis(slots.root, 1) : Factors()) &&
      slots.dims[2] == wholeAxis(slots.root, rank - 1);
  if (!hasGates || !hasSlots)
    return std::nullopt;
  return CombineParts{gates.root, oneHot};
}

std::optional<GateTerm> matchCombineTerm(Value value) {
  auto product = matchOuterProduct(stripReshapesAndCasts(value));
  if (!product)
    return std::nullopt;
  for (auto [weights, choices] :
       {*product, ValuePair{product->b, product->a}}) {
    auto parts = matchCombineParts(weights, choices);
    auto term = parts ? matchGates(parts->gates) : std::nullopt;
    if (!term)
      continue;
    OneHotOp oneHot = parts->oneHot;
    term->running =
        matchRunning(stripCasts(oneHot.getIndices()), term->kept.mask);
    term->capacity = oneHot.getDepth();
    term->capacitySize = getDims(oneHot.getResult()).back();
    if (term->running)
      return term;
  }
  return std::nullopt;
}

/// A gate that was given no buffers drops by its own capacity.
static void takeCapacityOfMask(GateTerm &term) {
  term.capacity = term.kept.capacity;
  term.capacitySize = term.kept.capacitySize;
}

std::optional<GateTerm> matchRouteTerm(Value weight, Value slot) {
  auto term = matchRouteWeight(weight);
  if (!term)
    return std::nullopt;
  term->running = matchRunning(stripReshapesAndCasts(slot), term->kept.mask);
  if (!term->running)
    return std::nullopt;
  takeCapacityOfMask(*term);
  return term;
}

std::optional<GateTerm> matchMaskedTerm(Value gates, Value running) {
  auto term = matchGates(gates);
  if (!term)
    return std::nullopt;
  term->running = stripCasts(running);
  takeCapacityOfMask(*term);
  return term;
}

} // namespace moe::pass
