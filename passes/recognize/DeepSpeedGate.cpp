//===- DeepSpeedGate.cpp - DeepSpeed's gates in tensor arithmetic ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedGate.h"

#include "passes/recognize/DeepSpeedAssembly.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Dense form
//===----------------------------------------------------------------------===//

std::optional<DeepSpeedGate> matchDenseGate(Value combine) {
  SmallVector<Value> summands;
  collectSummands(combine, summands);
  SmallVector<GateTerm> terms;
  for (Value summand : summands) {
    auto term = matchCombineTerm(summand);
    if (!term)
      return std::nullopt;
    terms.push_back(*term);
  }
  return assembleGate(terms);
}

//===----------------------------------------------------------------------===//
// Index form
//===----------------------------------------------------------------------===//

/// The rows of a stack [k, S], or the value itself for k = 1.
static SmallVector<Value> matchStack(Value value) {
  value = stripReshapesAndCasts(value);
  auto concat = value.getDefiningOp<ConcatOp>();
  if (!concat || concat.getAxis() != 0)
    return {value};
  SmallVector<Value> rows;
  for (Value row : concat.getInputs())
    rows.push_back(stripReshapesAndCasts(row));
  return rows;
}

/// x [S, E] of which `value` holds the entries at the indices of a top_k,
/// transposed to [k, S].
static GatherElementsOp matchTransposedGather(Value value) {
  value = stripReshapesAndCasts(value);
  if (auto transpose = value.getDefiningOp<TransposeOp>())
    value = stripCasts(transpose.getX());
  auto gather = value.getDefiningOp<GatherElementsOp>();
  return gather && gather.getAxis() == 1 ? gather : GatherElementsOp();
}

/// True if `value` is the index of the expert that `chosen` has ones at, or
/// negative where `kept` has none.
static bool isExpertOf(Value value, const GateTerm &term) {
  auto oneHot = term.chosen.mask.getDefiningOp<OneHotOp>();
  if (!oneHot)
    return false;
  Value index = stripReshapesAndCasts(oneHot.getIndices());
  value = stripReshapesAndCasts(value);
  if (value == index)
    return term.kept.form == DropForm::None;
  if (auto select = value.getDefiningOp<SelectOp>()) {
    std::optional<double> dropped = getScalar(select.getOnFalse());
    Value any =
        matchReduceLast(stripMask(select.getCondition()), ReduceKind::Sum);
    auto compare = select.getCondition().getDefiningOp<CompareOp>();
    if (!any && compare && compare.getKind() == CompareKind::Gt &&
        isScalar(compare.getRhs(), 0))
      any = matchReduceLast(stripCasts(compare.getLhs()), ReduceKind::Sum);
    return dropped && *dropped < 0 && any && stripMask(any) == term.kept.mask &&
           stripReshapesAndCasts(select.getOnTrue()) == index;
  }
  // min(index, E * (number of ones) - 1)
  auto bounded = matchBinary(value, BinaryKind::Min);
  if (!bounded)
    return false;
  for (auto [chosen, bound] : {*bounded, ValuePair{bounded->b, bounded->a}}) {
    if (stripReshapesAndCasts(chosen) != index)
      continue;
    auto shifted = matchWithScalar(stripCasts(bound), BinaryKind::Sub);
    auto scaled = shifted && shifted->scalar == 1
                      ? matchWithScalar(shifted->value, BinaryKind::Mul)
                      : std::nullopt;
    Value ones =
        scaled ? matchReduceLast(stripCasts(scaled->value), ReduceKind::Sum)
               : Value();
    if (ones && stripMask(ones) == term.kept.mask &&
        DimExpr(static_cast<int64_t>(scaled->scalar)) ==
            getDims(term.probs).back())
      return true;
  }
  return false;
}

/// k = 1 and 2: one row for each choice.
static std::optional<DeepSpeedGate> matchStackedGate(Value experts, Value slots,
                                                     Value weights) {
  SmallVector<Value> expertRows = matchStack(experts);
  SmallVector<Value> slotRows = matchStack(slots);
  SmallVector<Value> weightRows = matchStack(weights);
  if (slotRows.size() != expertRows.size() ||
      weightRows.size() != expertRows.size())
    return std::nullopt;
  SmallVector<GateTerm> terms;
  for (auto [expert, slot, weight] :
       llvm::zip_equal(expertRows, slotRows, weightRows)) {
    auto term = matchRouteTerm(weight, slot);
    if (!term || !isExpertOf(expert, *term))
      return std::nullopt;
    terms.push_back(*term);
  }
  return assembleGate(terms);
}

/// k >= 3: everything gathered by the indices of the top_k.
static std::optional<DeepSpeedGate>
matchGatheredGate(Value experts, Value slots, Value weights) {
  GatherElementsOp gates = matchTransposedGather(weights);
  Value slotValue = stripReshapesAndCasts(slots);
  if (auto transpose = slotValue.getDefiningOp<TransposeOp>())
    slotValue = stripCasts(transpose.getX());
  auto masked = matchBinary(slotValue, BinaryKind::Mul);
  if (!gates || !masked)
    return std::nullopt;
  Value indices = stripCasts(gates.getIndices());
  for (auto [running, kept] : {*masked, ValuePair{masked->b, masked->a}}) {
    auto numbers = stripCasts(running).getDefiningOp<GatherElementsOp>();
    auto mask = stripMask(kept).getDefiningOp<GatherElementsOp>();
    if (!numbers || !mask || stripCasts(numbers.getIndices()) != indices ||
        stripCasts(mask.getIndices()) != indices)
      continue;
    auto term = matchMaskedTerm(gates.getData(), numbers.getData());
    if (!term || !term->chosen.topK ||
        term->chosen.topK.getIndices() != indices ||
        stripMask(mask.getData()) != term->kept.mask)
      continue;
    // select(kept, index, -1), transposed.
    Value expert = stripReshapesAndCasts(experts);
    if (auto transpose = expert.getDefiningOp<TransposeOp>())
      expert = stripCasts(transpose.getX());
    auto select = expert.getDefiningOp<SelectOp>();
    std::optional<double> dropped =
        select ? getScalar(select.getOnFalse()) : std::nullopt;
    if (!dropped || *dropped >= 0 ||
        stripCasts(select.getOnTrue()) != indices ||
        stripMask(select.getCondition()) != mask.getResult())
      continue;
    return assembleGate({*term});
  }
  return std::nullopt;
}

std::optional<DeepSpeedGate> matchIndexGate(Value experts, Value slots,
                                            Value weights) {
  if (auto gate = matchStackedGate(experts, slots, weights))
    return gate;
  return matchGatheredGate(experts, slots, weights);
}

} // namespace moe::pass
