//===- DeepSpeedAssembly.cpp - From choices to a moe.gate -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedAssembly.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

namespace {
class GateAssembler {
public:
  explicit GateAssembler(ArrayRef<GateTerm> terms) : terms(terms) {}

  std::optional<DeepSpeedGate> assemble() {
    if (terms.empty() || terms.size() > 2)
      return std::nullopt;
    // The second choice excludes the first.
    if (terms.size() == 2 && terms[0].chosen.except)
      std::swap(terms[0], terms[1]);
    if (!haveOneSource() || !setAlgorithm() || !setNormalizer() ||
        !haveSlots() || !setDropping())
      return std::nullopt;
    result.usedToken = terms.front().chosen.usedToken;
    return result;
  }

private:
  SmallVector<GateTerm> terms;
  DeepSpeedGate result;
  SoftmaxOp softmax;

  bool haveOneSource();
  bool setAlgorithm();
  bool setNormalizer();
  bool haveSlots();
  bool setDropping();
  bool hasCapacityOfBuffers(const GateTerm &term);
  bool setPolicy(DropForm form);
  bool setScorePolicy();
};
} // namespace

/// All masks were made from one softmax or its logits.
bool GateAssembler::haveOneSource() {
  softmax = terms.front().probs.getDefiningOp<SoftmaxOp>();
  result.logits = softmax.getX();
  result.ops = {softmax};
  return llvm::all_of(terms, [&](const GateTerm &term) {
    Value selection = stripCasts(term.chosen.selection);
    return term.probs == softmax.getResult() &&
           (selection == softmax.getResult() || selection == softmax.getX());
  });
}

/// k = 1 and 2 by argmax, others by top_k.
bool GateAssembler::setAlgorithm() {
  const ChosenMask &first = terms.front().chosen;
  result.attrs.score = RouterScore::Softmax;
  if (TopKOp topK = first.topK) {
    std::optional<int64_t> k = getDims(topK.getIndices())[1].constantValue();
    result.attrs.k = k.value_or(0);
    return terms.size() == 1 && k;
  }
  result.attrs.k = terms.size();
  if (first.except)
    return false;
  return terms.size() == 1 || terms[1].chosen.except == first.mask;
}

/// Weights are divided by their sum, guarded by a tiny maximum.
bool GateAssembler::setNormalizer() {
  Value denominator = terms.front().denominator;
  for (const GateTerm &term : terms)
    if (term.denominator != denominator)
      return false;
  if (!denominator)
    return result.attrs.k == 1;
  auto guarded =
      matchWithScalar(stripReshapesAndCasts(denominator), BinaryKind::Max);
  if (!guarded)
    return false;
  result.attrs.normalize = Normalize::SumMax;
  result.attrs.normalizeEps = guarded->scalar;
  result.attrs.normalizeAfterDrop = true;
  SmallVector<Value> summands;
  collectSummands(guarded->value, summands);
  if (summands.size() != terms.size())
    return false;
  return llvm::all_of(summands, [&](Value summand) {
    auto dot = matchRowDot(summand);
    GateTerm part;
    return dot && matchMaskedProbs(*dot, part) &&
           llvm::any_of(terms, [&](const GateTerm &term) {
             return term.kept.mask == part.kept.mask &&
                    term.probs == part.probs;
           });
  });
}

/// Slots number the tokens of an expert without gaps or repetitions.
bool GateAssembler::haveSlots() {
  for (auto [i, term] : llvm::enumerate(terms)) {
    // Counted before dropping, except where dropping came first.
    bool countsKept = term.kept.form == DropForm::TopOfMask ||
                      term.kept.form == DropForm::TopOfScores;
    Value counted = countsKept ? term.kept.mask : term.kept.chosen;
    Value before = i == 0 ? Value() : terms.front().chosen.mask;
    bool comparesOthers = term.kept.form == DropForm::SlotBelowCapacity &&
                          term.kept.slots != term.running;
    if (comparesOthers || !isRunningSlot(term.running, counted, before))
      return false;
  }
  return true;
}

bool GateAssembler::setDropping() {
  DropForm form = terms.front().kept.form;
  SmallVector<Value> chosen;
  for (const GateTerm &term : terms) {
    if (term.kept.form != form || !hasCapacityOfBuffers(term))
      return false;
    result.drawsAtRandom |= term.kept.drawsAtRandom;
    chosen.push_back(term.chosen.mask);
  }
  const GateTerm &first = terms.front();
  // Without a mask and without buffers of a capacity nothing can drop.
  bool hasCapacity = first.capacity || first.capacitySize != DimExpr(0);
  if (form == DropForm::None && !hasCapacity)
    return true;
  auto capacity = matchCapacity(first.capacity, first.capacitySize, chosen,
                                getDims(result.logits));
  if (!capacity)
    return false;
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

/// Masks are kept by the capacity that the buffers have.
bool GateAssembler::hasCapacityOfBuffers(const GateTerm &term) {
  const GateTerm &first = terms.front();
  const KeptMask &kept = term.kept;
  if (kept.form == DropForm::None)
    return term.capacitySize == first.capacitySize;
  auto plain = [](Value value) {
    return value ? stripReshapesAndCasts(value) : Value();
  };
  if (kept.capacity && first.capacity)
    return plain(kept.capacity) == plain(first.capacity);
  return kept.capacitySize == first.capacitySize;
}

bool GateAssembler::setPolicy(DropForm form) {
  GateAttrs &attrs = result.attrs;
  bool isTopK = static_cast<bool>(terms.front().chosen.topK);
  switch (form) {
  case DropForm::None:
    // Buffers that are too small lose tokens without a mask that says which.
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
bool GateAssembler::setScorePolicy() {
  const GateTerm &term = terms.front();
  TopKOp topK = term.chosen.topK;
  auto scores = term.kept.scores.getDefiningOp<ScatterElementsOp>();
  if (stripCasts(scores.getIndices()) != topK.getIndices() ||
      stripCasts(scores.getUpdates()) != topK.getValues())
    return false;
  bool ranksProbs = stripCasts(topK.getX()) == softmax.getResult();
  result.attrs.dropPolicy = ranksProbs ? DropPolicy::Probs : DropPolicy::Logits;
  return true;
}

std::optional<DeepSpeedGate> assembleGate(ArrayRef<GateTerm> terms) {
  return GateAssembler(terms).assemble();
}

} // namespace moe::pass
