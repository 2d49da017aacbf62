//===- RecognizeLooped.cpp - Find experts that gather their tokens --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over experts that was unrolled: expert e asks where it was chosen,
// gathers these tokens, and scatters its weighted results back:
//
//   (j, t) = non_zero(experts[t, j] == e)
//   y[t]  += weights[t, j] * ffn_e(x[t])
//
// The sum of all scatters is the anchor. A trace may have left out experts
// that no token of the example chose; such a graph is wrong for other tokens
// and is refused here. Runs after moe-recognize-gate.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/ExpertLayer.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZELOOPEDPASS
#include "passes/Passes.h.inc"

namespace {

/// The places (t, j) where one expert was chosen.
struct Places {
  NonZeroOp nonZero;
  /// [T, k].
  Value experts;
  int64_t expert, numExperts;
  /// The rows of the result of non_zero that hold t and j.
  size_t tokenRow, choiceRow;
};

/// Sorts the dimensions of a mask [k, T] or [T, k] of `experts` [T, k].
bool setRows(ArrayRef<Factors> dims, Value root, Places &places) {
  if (dims.size() != 2)
    return false;
  for (size_t row : {0, 1})
    if (dims[row] == wholeAxis(root, 0) &&
        dims[1 - row] == wholeAxis(root, 1)) {
      places.tokenRow = row;
      places.choiceRow = 1 - row;
      return true;
    }
  return false;
}

/// Entry e of a one_hot over the experts.
bool matchOneHotEntry(Value mask, Places &places) {
  auto slice = mask.getDefiningOp<SliceOp>();
  if (!slice)
    return false;
  View view = View::trace(slice.getX(), /*throughCasts=*/true);
  auto oneHot = view.root.getDefiningOp<OneHotOp>();
  if (!oneHot || getTensorType(view.root).getRank() != 3 ||
      oneHot.getAxis() != 2 || view.dims.size() != 3 ||
      getIntegers(oneHot.getValues()) != SmallVector<int64_t>{0, 1})
    return false;
  SmallVector<DimExpr> starts = slice.getStarts().getDims();
  SmallVector<Factors> rest;
  std::optional<int64_t> expert;
  for (size_t i = 0; i < 3; ++i) {
    if (view.dims[i] != wholeAxis(view.root, 2) ||
        getDim(mask, i) != DimExpr(1)) {
      rest.push_back(view.dims[i]);
      continue;
    }
    expert = starts[i].constantValue();
  }
  std::optional<int64_t> count = getDim(view.root, 2).constantValue();
  if (!expert || !count || !setRows(rest, view.root, places))
    return false;
  places.experts = stripReshapesAndCasts(oneHot.getIndices());
  places.expert = *expert;
  places.numExperts = *count;
  return true;
}

std::optional<Places> matchPlaces(NonZeroOp nonZero) {
  Places places{nonZero, Value(), 0, 0, 0, 0};
  if (!matchOneHotEntry(stripReshapesAndCasts(nonZero.getX()), places))
    return std::nullopt;
  return places;
}

/// One row of the result of a non_zero.
struct PlaceRow {
  NonZeroOp nonZero;
  size_t row;
};

std::optional<PlaceRow> matchPlaceRow(Value value) {
  auto slice = stripViewsAndCasts(value).getDefiningOp<SliceOp>();
  if (!slice)
    return std::nullopt;
  View view = View::trace(slice.getX(), /*throughCasts=*/true);
  auto nonZero = view.root.getDefiningOp<NonZeroOp>();
  if (!nonZero)
    return std::nullopt;
  SmallVector<DimExpr> starts = slice.getStarts().getDims();
  for (size_t i = 0; i < view.dims.size(); ++i) {
    std::optional<int64_t> row = starts[i].constantValue();
    if (view.dims[i] == wholeAxis(view.root, 0) && row &&
        getDim(slice.getResult(), i) == DimExpr(1))
      return PlaceRow{nonZero, static_cast<size_t>(*row)};
  }
  return std::nullopt;
}

bool isRow(Value value, const Places &places, size_t row) {
  auto match = matchPlaceRow(value);
  return match && match->nonZero == places.nonZero && match->row == row;
}

/// weights [T, k] read at the places, as row t * k + j of a column.
Value matchPlacedWeights(Value value, const Places &places) {
  auto gather = stripReshapesAndCasts(value).getDefiningOp<GatherOp>();
  if (!gather || gather.getAxis() != 0 || gather.getBatchDims() != 0)
    return Value();
  auto sum = matchBinary(stripReshapes(gather.getIndices()), BinaryKind::Add);
  if (!sum)
    return Value();
  DimExpr k = getDims(places.experts).back();
  for (auto [choice, scaled] : {*sum, ValuePair{sum->b, sum->a}}) {
    auto token = matchWithScalar(scaled, BinaryKind::Mul);
    bool isFlatIndex = token &&
                       DimExpr(static_cast<int64_t>(token->scalar)) == k &&
                       isRow(token->value, places, places.tokenRow) &&
                       isRow(choice, places, places.choiceRow);
    if (isFlatIndex)
      return stripReshapesAndCasts(gather.getData());
  }
  return Value();
}

/// What one expert adds.
struct ExpertTerm {
  Places places;
  Value weights;
  /// x before the gather, [.., T, M].
  Value tokens;
  FfnMatch ffn;
};

/// The tokens that `input` gathers at the places.
Value matchPlacedTokens(Value input, const Places &places) {
  auto gather = stripReshapes(input).getDefiningOp<GatherOp>();
  if (!gather || gather.getBatchDims() != 0 ||
      !isRow(gather.getIndices(), places, places.tokenRow))
    return Value();
  Dims dims = getDims(gather.getData());
  size_t axis = gather.getAxis();
  bool isTokenAxis =
      axis + 2 == dims.size() &&
      product(ArrayRef<DimExpr>(dims).take_front(axis)) == DimExpr(1);
  return isTokenAxis ? stripReshapes(gather.getData()) : Value();
}

std::optional<ExpertTerm> matchTerm(ScatterElementsOp scatter) {
  auto row = matchPlaceRow(scatter.getIndices());
  auto places =
      row && scatter.getAxis() == 0 ? matchPlaces(row->nonZero) : std::nullopt;
  auto weighted =
      matchBinary(stripReshapesAndCasts(scatter.getUpdates()), BinaryKind::Mul);
  if (!places || row->row != places->tokenRow || !weighted)
    return std::nullopt;
  for (auto [output, factor] :
       {*weighted, ValuePair{weighted->b, weighted->a}}) {
    Value weights = matchPlacedWeights(factor, *places);
    auto ffn = weights ? matchFfn(stripReshapesAndCasts(output)) : std::nullopt;
    Value tokens = ffn && ffn->w2.isDense()
                       ? matchPlacedTokens(ffn->input, *places)
                       : Value();
    if (tokens)
      return ExpertTerm{*places, weights, tokens, *ffn};
  }
  return std::nullopt;
}

/// A token that chose an expert twice would count once: scatters overwrite.
bool areDistinct(Value experts) {
  return isa_and_nonnull<GateOp, TopKOp>(experts.getDefiningOp());
}

/// Everything that a tree of additions and scatters into its results adds up.
void collectTerms(Value value, SmallVectorImpl<Value> &terms,
                  DenseSet<Operation *> &inner) {
  value = stripCasts(value);
  if (auto sum = matchBinary(value, BinaryKind::Add)) {
    inner.insert(value.getDefiningOp());
    collectTerms(sum->a, terms, inner);
    collectTerms(sum->b, terms, inner);
    return;
  }
  auto scatter = value.getDefiningOp<ScatterElementsOp>();
  if (!scatter || (scatter.getKind() != ScatterKind::Add &&
                   !isScalar(scatter.getData(), 0))) {
    if (!isScalar(value, 0))
      terms.push_back(value);
    return;
  }
  inner.insert(scatter);
  terms.push_back(value);
  if (scatter.getKind() == ScatterKind::Add)
    collectTerms(scatter.getData(), terms, inner);
}

class LayerRewriter {
public:
  explicit LayerRewriter(Value end) : end(end), builder(end.getDefiningOp()) {}

  /// Fails if experts were lost.
  LogicalResult run(DenseSet<Operation *> &seen) {
    SmallVector<Value> terms;
    DenseSet<Operation *> inner;
    collectTerms(end, terms, inner);
    for (Value term : terms) {
      auto scatter = term.getDefiningOp<ScatterElementsOp>();
      auto match = scatter ? matchTerm(scatter) : std::nullopt;
      if (!match)
        return success();
      experts.push_back(*match);
    }
    if (experts.size() < 2 || !areOneLayer())
      return success();
    seen.insert(inner.begin(), inner.end());
    if (failed(checkComplete()))
      return failure();
    build();
    return success();
  }

private:
  Value end;
  OpBuilder builder;
  SmallVector<ExpertTerm, 0> experts;

  bool areOneLayer() {
    llvm::sort(experts, [](const ExpertTerm &a, const ExpertTerm &b) {
      return a.places.expert < b.places.expert;
    });
    const ExpertTerm &first = experts.front();
    return areDistinct(first.places.experts) &&
           llvm::all_of(experts, [&](const ExpertTerm &term) {
             return term.places.experts == first.places.experts &&
                    term.weights == first.weights &&
                    term.tokens == first.tokens &&
                    term.ffn.hasFormOf(first.ffn);
           });
  }

  LogicalResult checkComplete() {
    int64_t expected = 0;
    for (const ExpertTerm &term : experts)
      expected += term.places.expert == expected;
    const Places &places = experts.front().places;
    if (expected == places.numExperts &&
        static_cast<int64_t>(experts.size()) == expected)
      return success();
    return end.getDefiningOp()->emitError()
           << "found " << experts.size() << " of " << places.numExperts
           << " experts behind a router; tracing loses experts that no token "
              "of the example chose";
  }

  void build() {
    Location loc = end.getLoc();
    const ExpertTerm &first = experts.front();
    Dims choices = getDims(first.places.experts);
    Dims input = getDims(first.tokens);
    if (choices.size() != 2 ||
        product(getDims(first.weights)) != product(choices))
      return;
    ExpertLayer layer{
        reshapeTo(builder, loc, first.tokens, {choices[0], input.back()}),
        first.places.experts,
        reshapeTo(builder, loc, first.weights, choices),
        /*weighsInputs=*/false,
        {},
        "a loop over experts"};
    for (const ExpertTerm &term : experts)
      layer.ffns.push_back(term.ffn);
    FailureOr<Value> value = buildExpertLayer(builder, loc, layer);
    if (succeeded(value))
      end.replaceAllUsesWith(
          convertTo(builder, loc, *value, getTensorType(end)));
  }
};

class RecognizeLooped : public impl::RecognizeLoopedPassBase<RecognizeLooped> {
  void runOnOperation() override {
    SmallVector<Value> ends;
    getOperation().walk([&](Operation *op) {
      if (isa<BinaryOp, ScatterElementsOp>(op))
        ends.push_back(op->getResult(0));
    });
    DenseSet<Operation *> seen;
    bool isComplete = true;
    for (Value end : llvm::reverse(ends))
      if (!seen.contains(end.getDefiningOp()))
        isComplete &= succeeded(LayerRewriter(end).run(seen));
    if (!isComplete)
      return signalPassFailure();
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
