//===- RecognizeAttention.cpp - Find softmax(q k^T) v ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks up from each product p v: p must be a softmax of scores, the scores a
// product q k^T that was scaled, capped and masked in whatever way. Heads of
// keys and values that were repeated are taken before the repetition, and
// transposes of the keys are undone (see View.h), so that a cache feeds
// moe.attention directly. Runs after moe-canonicalize-tensor.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeBuild.h"
#include "passes/Passes.h"
#include "passes/recognize/AttentionScores.h"
#include "passes/recognize/Masks.h"
#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZEATTENTIONPASS
#include "passes/Passes.h.inc"

namespace {

/// `value` without factors that it was multiplied with.
Value peelScale(Value value, double &scale) {
  while (auto scaled = matchScaled(value)) {
    if (scaled->value.getType() != value.getType())
      break;
    scale *= scaled->scalar;
    value = scaled->value;
  }
  return value;
}

/// The dimensions [B, H, T, D] of keys or values, and whether the last factor
/// of the heads repeats them.
struct Heads {
  Value value;
  View view;
  bool isGrouped = false;

  DimExpr numKvHeads() const {
    Factors heads = view.dims[1];
    if (isGrouped)
      heads.pop_back();
    return sizeOf(heads);
  }
};

/// `value` is [B, H, T, D], or [B, H, D, T] if `isTransposed`.
Heads traceHeads(Value value, bool isTransposed) {
  Heads heads{value, View::trace(value)};
  if (isTransposed)
    std::swap(heads.view.dims[2], heads.view.dims[3]);
  const Factors &factors = heads.view.dims[1];
  heads.isGrouped = !factors.empty() && factors.back().isRepeated();
  return heads;
}

/// [B, KV, T, D]; all heads with their repetitions if `isGrouped` is false or
/// something else is repeated too.
FailureOr<Value> buildHeads(OpBuilder &builder, Location loc, Heads heads) {
  if (heads.isGrouped)
    heads.view.dims[1].pop_back();
  return materialize(builder, loc, heads.view.root, heads.view.dims);
}

class AttentionRewriter {
public:
  explicit AttentionRewriter(MatmulOp product)
      : output(product), builder(product) {}

  void run() {
    auto probabilities = matchProbabilities(output.getLhs());
    if (!probabilities || output.getBias() || output.getTransposeRhs() ||
        getTensorType(output.getResult()).getRank() != 4)
      return;
    softmax = probabilities->softmax;
    Value raw = stripCasts(softmax.getX());
    if (probabilities->sink)
      raw = raw.getDefiningOp<ConcatOp>().getInputs().front();
    if (!matchScores(raw, scores))
      return;
    if (getTensorType(scores.product.getResult()).getRank() != 4)
      return;
    loc = fuseLocations(output.getContext(), {scores.product, softmax, output});
    if (!buildSink(probabilities->sink) || !buildOperands())
      return;
    buildMask();
    replace();
  }

private:
  MatmulOp output;
  SoftmaxOp softmax;
  Scores scores;
  OpBuilder builder;
  Location loc = builder.getUnknownLoc();
  Value q, k, v, sink;

  bool buildSink(Value column) {
    if (!column)
      return true;
    DimExpr heads = getDim(output.getResult(), 1);
    View view = View::trace(column, /*throughCasts=*/true);
    if (view.dims.size() != 4 || product(getDims(view.root)) != heads ||
        sizeOf(view.dims[1]) != heads)
      return false;
    for (const Factor &factor : view.dims[1])
      if (factor.isRepeated())
        return false;
    sink = reshapeTo(builder, loc, view.root, {heads});
    return true;
  }

  bool buildOperands() {
    q = peelScale(scores.product.getLhs(), scores.scale);
    Value keys = peelScale(scores.product.getRhs(), scores.scale);
    if (getTensorType(q).getRank() != 4 || getTensorType(keys).getRank() != 4)
      return false;
    Heads kHeads = traceHeads(keys, !scores.product.getTransposeRhs());
    Heads vHeads = traceHeads(output.getRhs(), false);
    if (kHeads.isGrouped != vHeads.isGrouped ||
        kHeads.numKvHeads() != vHeads.numKvHeads())
      kHeads.isGrouped = vHeads.isGrouped = false;
    FailureOr<Value> built = buildHeads(builder, loc, kHeads);
    if (failed(built) && !scores.product.getTransposeRhs())
      built = FailureOr<Value>(TransposeOp::create(
          builder, loc, keys, builder.getDenseI64ArrayAttr({0, 1, 3, 2})));
    k = succeeded(built) ? *built : keys;
    built = buildHeads(builder, loc, vHeads);
    v = succeeded(built) ? *built : output.getRhs();
    return true;
  }

  /// Prefers a mask of i1: whoever is hidden by a value that softmax cannot
  /// tell from minus infinity may as well be replaced as added to.
  void buildMask() {
    if (!scores.mask)
      return;
    bool isBool = getTensorType(scores.mask).getElementType().isInteger(1);
    if (isBool) {
      if (scores.isMaskInverted)
        scores.mask = invertMask(builder, loc, scores.mask);
      return;
    }
    if (auto visible = buildVisible(builder, loc, scores.mask)) {
      scores.mask = visible->mask;
      scores.fill = visible->fill;
    }
  }

  /// The select after the product that clears rows which see nothing.
  SelectOp findRowGuard() {
    for (Operation *user : output->getUsers()) {
      auto select = dyn_cast<SelectOp>(user);
      if (!select || !scores.mask || !isHidingFill(scores.fill) ||
          select.getType() != output.getType())
        continue;
      if (isScalar(select.getOnTrue(), 0) &&
          isAllHidden(select.getCondition(), scores.mask))
        return select;
      if (isScalar(select.getOnFalse(), 0) &&
          isAnyVisible(select.getCondition(), scores.mask))
        return select;
    }
    return nullptr;
  }

  void replace() {
    SelectOp guard = findRowGuard();
    if (guard)
      scores.fill = -INFINITY;
    // What moe.attention cannot express stays as written.
    ScopedDiagnosticHandler ignore(output.getContext(),
                                   [](Diagnostic &) { return success(); });
    FailureOr<AttentionOp> attention = createChecked<AttentionOp>(
        builder, loc, q, k, v, scores.mask, sink, Value(),
        builder.getF32FloatAttr(scores.scale),
        builder.getF32FloatAttr(scores.fill),
        builder.getF32FloatAttr(scores.softcap), builder.getBoolAttr(false),
        builder.getI64IntegerAttr(0));
    if (failed(attention) || attention->getType() != output.getType())
      return;
    output.getResult().replaceAllUsesWith(attention->getResult());
    if (guard) {
      guard.getResult().replaceAllUsesWith(attention->getResult());
      guard.erase();
    }
  }
};

/// Takes the heads of keys and values of `op` before they were repeated.
void shareHeads(AttentionOp op) {
  Heads k = traceHeads(op.getK(), false), v = traceHeads(op.getV(), false);
  if (!k.isGrouped || !v.isGrouped || k.numKvHeads() != v.numKvHeads())
    return;
  OpBuilder builder(op);
  FailureOr<Value> keys = buildHeads(builder, op.getLoc(), k);
  FailureOr<Value> values = buildHeads(builder, op.getLoc(), v);
  if (failed(keys) || failed(values))
    return;
  op.getKMutable().assign(*keys);
  op.getVMutable().assign(*values);
}

class RecognizeAttention
    : public impl::RecognizeAttentionPassBase<RecognizeAttention> {
  void runOnOperation() override {
    SmallVector<MatmulOp> products;
    getOperation().walk([&](MatmulOp op) { products.push_back(op); });
    for (MatmulOp product : products)
      AttentionRewriter(product).run();
    getOperation().walk(shareHeads);
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
