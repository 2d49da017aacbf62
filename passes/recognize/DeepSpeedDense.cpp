//===- DeepSpeedDense.cpp - DeepSpeed's layer as products of masks --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dense form of a layer is three products around the experts:
//
//   combine  [S, E, C]   what the gate made (see DeepSpeedGate.h)
//   rows     [E, C, M] = sum over s    of (combine != 0)[s, e, c] * x[s, m]
//   outputs  [E, C, N] = expert e on rows[e], joined again
//   y        [S, N]    = sum over e, c of combine[s, e, c] * outputs[e, c, n]
//
// The last product is the anchor. Recognized, nothing of size S x E x C is
// left, and the experts work on as many rows as tokens chose them.
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/DeepSpeedLayer.h"

#include "passes/recognize/Match.h"
#include "passes/recognize/View.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

namespace {

/// A product a [.., K] times b [K, N] as views of their roots.
struct Contraction {
  View a, b;
  /// The dimensions of the result but the last, as factors of a.
  SmallVector<Factors> rows;
  Factors aSum, bSum, columns;

  Factors allRows() const {
    Factors all;
    for (const Factors &factors : rows)
      all.append(factors.begin(), factors.end());
    return all;
  }
};

std::optional<Contraction> matchContraction(Value value) {
  auto matmul = value.getDefiningOp<MatmulOp>();
  if (!matmul || matmul.getBias())
    return std::nullopt;
  Contraction product{View::trace(matmul.getLhs(), /*throughCasts=*/true),
                      View::trace(matmul.getRhs(), /*throughCasts=*/true)};
  ArrayRef<Factors> lhs(product.a.dims), rhs(product.b.dims);
  bool isOneMatrix = llvm::all_of(
      rhs.drop_back(2), [](const Factors &factors) { return factors.empty(); });
  if (!isOneMatrix || lhs.size() < rhs.size())
    return std::nullopt;
  product.rows.assign(lhs.begin(), lhs.end() - 1);
  product.aSum = lhs.back();
  product.bSum = rhs[rhs.size() - 2];
  product.columns = rhs.back();
  if (matmul.getTransposeRhs())
    std::swap(product.bSum, product.columns);
  return product;
}

/// The factors of axes 1 and 2 of a combine tensor [S, E, C].
Factors expertAndSlot(Value combine) {
  Factors factors = wholeAxis(combine, 1);
  factors.append(wholeAxis(combine, 2));
  return factors;
}

/// True if some step from `value` upwards to `root` makes it a truth value.
bool isTruthOf(Value value, Value root) {
  bool isTruth = false;
  while (value != root) {
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<CastOp, ReshapeOp, TransposeOp, BroadcastOp>(op))
      return false;
    isTruth |= getTensorType(value).getElementType().isInteger(1);
    value = op->getOperand(0);
  }
  return isTruth;
}

class DenseLayerRewriter {
public:
  explicit DenseLayerRewriter(MatmulOp op) : op(op), builder(op) {}

  bool run() {
    if (!matchOutput() || !matchDispatch())
      return false;
    auto gate = matchDenseGate(combine);
    return gate && buildDeepSpeedLayer(op, tokens, experts, *gate,
                                       "DeepSpeed's dense form");
  }

private:
  MatmulOp op;
  OpBuilder builder;
  Value combine;
  ExpertSlices experts;
  /// [S, M].
  Value tokens;

  bool matchOutput() {
    auto product = matchContraction(op.getResult());
    if (!product || getTensorType(product->a.root).getRank() != 3 ||
        product->allRows() != wholeAxis(product->a.root, 0) ||
        product->aSum != expertAndSlot(product->a.root))
      return false;
    combine = product->a.root;
    auto match = matchExpertSlices(product->b.root);
    if (!match || DimExpr(static_cast<int64_t>(match->ffns.size())) !=
                      getDims(combine)[1])
      return false;
    experts = *match;
    Factors outputs = wholeAxis(product->b.root, experts.axis);
    size_t rank = getDims(product->b.root).size();
    for (size_t axis = experts.axis + 1; axis + 1 < rank; ++axis)
      outputs.append(wholeAxis(product->b.root, axis));
    return product->bSum == outputs &&
           product->columns == wholeAxis(product->b.root, rank - 1);
  }

  bool matchDispatch() {
    View rows = View::trace(experts.source);
    auto product = matchContraction(rows.root);
    if (!product || product->a.root != combine ||
        product->allRows() != expertAndSlot(combine) ||
        product->aSum != wholeAxis(combine, 0) ||
        !isTruthOf(rows.root.getDefiningOp()->getOperand(0), combine))
      return false;
    // The rows of the product as factors of its own dimensions: experts, then
    // slots; behind them the features.
    Factors own;
    for (size_t axis = 0; axis < product->rows.size(); ++axis)
      own.append(wholeAxis(rows.root, axis));
    auto split = regroup(own, {getDims(combine)[1], getDims(combine)[2]});
    if (!split || rows.dims[experts.sourceAxis] != (*split)[0])
      return false;
    Factors rest, expected = (*split)[1];
    expected.append(wholeAxis(rows.root, product->rows.size()));
    for (auto [axis, factors] : llvm::enumerate(rows.dims))
      if (axis != experts.sourceAxis)
        rest.append(factors);
    if (rest != expected)
      return false;
    View x{product->b.root, {product->bSum, product->columns}};
    if (!x.isReshapeOfRoot())
      return false;
    tokens = reshapeTo(builder, op.getLoc(), x.root,
                       {sizeOf(product->bSum), sizeOf(product->columns)});
    return true;
  }
};

} // namespace

bool rewriteDenseLayer(MatmulOp op) { return DenseLayerRewriter(op).run(); }

} // namespace moe::pass
