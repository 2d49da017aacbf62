//===- RecognizeMasked.cpp - Find experts that run on all tokens ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Masked experts all run on all tokens; the result of expert e is multiplied
// with the weight that a token gave it, 0 if it did not choose e, and a chain
// of additions joins them:
//
//   y[t] = sum over e of ffn_e(x[t]) * sum over j of weights[t, j] *
//                                                    (experts[t, j] == e)
//
// The chain is the anchor; what else it adds stays. Runs after
// moe-recognize-gate.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/ExpertLayer.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZEMASKEDPASS
#include "passes/Passes.h.inc"

namespace {

/// sum over j of weights[t, j] * (experts[t, j] == expert).
struct MaskedWeight {
  Value weights, experts;
  int64_t expert;
};

/// experts and e if `value` is experts == e, of any type.
std::optional<MaskedWeight> matchChosen(Value value) {
  auto compare = stripCasts(value).getDefiningOp<CompareOp>();
  if (!compare || compare.getKind() != CompareKind::Eq)
    return std::nullopt;
  for (auto [experts, number] : {std::pair(compare.getLhs(), compare.getRhs()),
                                 std::pair(compare.getRhs(), compare.getLhs())})
    if (auto expert = getScalar(number))
      return MaskedWeight{Value(), stripCasts(experts),
                          static_cast<int64_t>(*expert)};
  return std::nullopt;
}

std::optional<MaskedWeight> matchMaskedWeight(Value value) {
  Value terms = matchReduceLast(stripCasts(value), ReduceKind::Sum);
  if (!terms)
    return std::nullopt;
  terms = stripCasts(terms);
  if (auto select = terms.getDefiningOp<SelectOp>()) {
    auto chosen = matchChosen(select.getCondition());
    if (!chosen || !isScalar(select.getOnFalse(), 0))
      return std::nullopt;
    chosen->weights = select.getOnTrue();
    return chosen;
  }
  auto product = matchBinary(terms, BinaryKind::Mul);
  if (!product)
    return std::nullopt;
  for (auto [weights, mask] : {*product, ValuePair{product->b, product->a}}) {
    auto chosen = matchChosen(mask);
    if (!chosen)
      continue;
    chosen->weights = stripCasts(weights);
    return chosen;
  }
  return std::nullopt;
}

/// ffn(x) * weight.
struct ExpertTerm {
  MaskedWeight weight;
  FfnMatch ffn;
};

std::optional<ExpertTerm> matchTerm(Value value) {
  auto product = matchBinary(stripReshapesAndCasts(value), BinaryKind::Mul);
  if (!product)
    return std::nullopt;
  for (auto [output, factor] : {*product, ValuePair{product->b, product->a}}) {
    auto weight = matchMaskedWeight(factor);
    auto ffn = weight ? matchFfn(stripReshapesAndCasts(output)) : std::nullopt;
    if (ffn && ffn->w2.isDense())
      return ExpertTerm{*weight, *ffn};
  }
  return std::nullopt;
}

/// The operands of a tree of additions that no other operation reads.
void collectTerms(Value value, BinaryOp root, SmallVectorImpl<Value> &terms,
                  DenseSet<Operation *> &inner) {
  auto sum = value.getDefiningOp<BinaryOp>();
  bool isInner = sum && sum.getKind() == BinaryKind::Add &&
                 sum.getType() == root.getType() &&
                 (sum == root || sum->hasOneUse());
  if (!isInner) {
    terms.push_back(value);
    return;
  }
  inner.insert(sum);
  collectTerms(sum.getLhs(), root, terms, inner);
  collectTerms(sum.getRhs(), root, terms, inner);
}

class LayerRewriter {
public:
  explicit LayerRewriter(BinaryOp root) : root(root), builder(root) {}

  /// Adds the additions of the chain to `seen`.
  void run(DenseSet<Operation *> &seen) {
    SmallVector<Value> terms, others;
    collectTerms(root.getResult(), root, terms, seen);
    for (Value term : terms) {
      if (auto match = matchTerm(term))
        experts.push_back(*match);
      else if (!isScalar(term, 0))
        others.push_back(term);
    }
    if (experts.size() < 2 || !areOneLayer())
      return;
    FailureOr<Value> result = build();
    if (failed(result))
      return;
    Value value = convertTo(builder, root.getLoc(), *result, root.getType());
    for (Value other : others)
      value = BinaryOp::create(builder, root.getLoc(), BinaryKind::Add, other,
                               value);
    root.getResult().replaceAllUsesWith(value);
  }

private:
  BinaryOp root;
  OpBuilder builder;
  SmallVector<ExpertTerm> experts;

  /// Sorts the experts; true if they are 0, 1, .. of one layer.
  bool areOneLayer() {
    llvm::sort(experts, [](const ExpertTerm &a, const ExpertTerm &b) {
      return a.weight.expert < b.weight.expert;
    });
    const ExpertTerm &first = experts.front();
    for (auto [i, term] : llvm::enumerate(experts))
      if (term.weight.expert != static_cast<int64_t>(i) ||
          term.weight.experts != first.weight.experts ||
          term.weight.weights != first.weight.weights ||
          stripReshapes(term.ffn.input) != stripReshapes(first.ffn.input) ||
          !term.ffn.hasFormOf(first.ffn))
        return false;
    return true;
  }

  FailureOr<Value> build() {
    const ExpertTerm &first = experts.front();
    Location loc = root.getLoc();
    Dims choices = getDims(first.weight.experts);
    if (choices.empty() || getDims(first.weight.weights) != choices)
      return failure();
    DimExpr k = choices.back();
    choices.pop_back();
    DimExpr tokens = product(choices);
    Dims input = getDims(first.ffn.input);
    DimExpr width = input.back();
    input.pop_back();
    if (product(input) != tokens)
      return failure();
    ExpertLayer layer{
        reshapeTo(builder, loc, first.ffn.input, {tokens, width}),
        reshapeTo(builder, loc, first.weight.experts, {tokens, k}),
        reshapeTo(builder, loc, first.weight.weights, {tokens, k}),
        /*weighsInputs=*/false,
        {},
        "all experts on all tokens"};
    for (const ExpertTerm &term : experts)
      layer.ffns.push_back(term.ffn);
    return buildExpertLayer(builder, loc, layer);
  }
};

class RecognizeMasked : public impl::RecognizeMaskedPassBase<RecognizeMasked> {
  void runOnOperation() override {
    // The last addition of a chain comes first.
    SmallVector<BinaryOp> sums;
    getOperation().walk([&](BinaryOp op) {
      if (op.getKind() == BinaryKind::Add)
        sums.push_back(op);
    });
    DenseSet<Operation *> seen;
    for (BinaryOp sum : llvm::reverse(sums))
      if (!seen.contains(sum))
        LayerRewriter(sum).run(seen);
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
