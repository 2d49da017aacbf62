//===- EvalExperts.cpp - Meaning of FFN, experts and mix ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"
#include "dialect/moe/WeightStorage.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// FFN
//===----------------------------------------------------------------------===//

namespace {
/// An FFN with the weights of one expert; absent weights are null.
struct Ffn {
  const HostTensor *w1, *b1, *w2, *b2, *w3, *b3;
  Gating gating;
  HostActivation activation;
  /// Of expert e, for weights with a leading expert dimension; else 0.
  int64_t expert = 0;
  /// A slice computes with a part of the inner dimension and gives a partial
  /// sum; the first one adds b2.
  int64_t slice = 0, numSlices = 1;
  /// Columns of the inner dimension that slices keep together.
  int64_t unit = 1;
  /// Whether rows are rounded to 8 bits before they meet w1 and w3, and hidden
  /// values before w2.
  bool roundsForW1 = false, roundsForW2 = false, roundsForW3 = false;

  int64_t innerSize() const { return w2->shape.end()[-2]; }
  int64_t outputSize() const { return w2->shape.back(); }
  /// The slice's part of the inner dimension, in whole units.
  Range innerRange() const;
  /// x times column `n` of the expert's matrix from row `begin` on, plus its
  /// bias.
  double product(ArrayRef<double> x, const HostTensor &w, const HostTensor *b,
                 int64_t n, int64_t begin = 0) const;
  SmallVector<double> run(ArrayRef<double> row) const;
};
} // namespace

Range Ffn::innerRange() const {
  int64_t numUnits = (innerSize() + unit - 1) / unit;
  Range units = rangeOfPlace(numUnits, slice, numSlices);
  return {std::min(units.begin * unit, innerSize()),
          std::min(units.end * unit, innerSize())};
}

double Ffn::product(ArrayRef<double> x, const HostTensor &w,
                    const HostTensor *b, int64_t n, int64_t begin) const {
  int64_t rows = w.shape.end()[-2], columns = w.shape.back();
  int64_t first = (expert * rows + begin) * columns;
  double sum = 0.0;
  for (auto [i, value] : llvm::enumerate(x))
    sum += value * w.elements[first + i * columns + n].f;
  return b ? sum + b->elements[expert * columns + n].f : sum;
}

/// A row, rounded to 8 bits if so wanted.
static SmallVector<double> rounded(ArrayRef<double> row, bool rounds) {
  SmallVector<double> result(row);
  if (rounds)
    roundRow(result);
  return result;
}

SmallVector<double> Ffn::run(ArrayRef<double> row) const {
  int64_t size = innerSize();
  Range range = innerRange();
  SmallVector<double> inner;
  SmallVector<double> x = rounded(row, roundsForW1);
  SmallVector<double> xOfW3 = rounded(row, roundsForW3);
  for (int64_t i = range.begin; i < range.end; ++i) {
    bool interleaves = gating == Gating::Interleaved;
    double gate = product(x, *w1, b1, interleaves ? 2 * i : i);
    std::optional<double> linear;
    if (gating == Gating::Split)
      linear = product(xOfW3, *w3, b3, i);
    else if (gating != Gating::None)
      linear = product(x, *w1, b1, interleaves ? 2 * i + 1 : size + i);
    inner.push_back(evaluateActivation(activation, gate, linear));
  }
  inner = rounded(inner, roundsForW2);
  SmallVector<double> result;
  for (int64_t n = 0; n < outputSize(); ++n)
    result.push_back(
        product(inner, *w2, slice == 0 ? b2 : nullptr, n, range.begin));
  return result;
}

/// Columns that slices keep together; 0 if there are no slices.
static int64_t unitOf(FfnOp) { return 0; }
static int64_t unitOf(ExpertsOp op) {
  bool isSliced = op.getPlacement() && op.getPlacement()->hasSlices();
  return isSliced ? sliceUnit(op) : 0;
}

template <typename OpTy> static Ffn ffnOf(OpTy op, const Frame &frame) {
  Ffn ffn{frame.find(op.getW1()),
          frame.find(op.getB1()),
          frame.find(op.getW2()),
          frame.find(op.getB2()),
          frame.find(op.getW3()),
          frame.find(op.getB3()),
          op.getGating(),
          {op.getActivation(), op.getAlpha().convertToDouble(),
           op.getBeta().convertToDouble(), op.getLimit().convertToDouble()}};
  ffn.unit = std::max<int64_t>(unitOf(op), 1);
  if (op.getArithmetic() == Arithmetic::Int8) {
    auto blockOf = [&](Value weight) {
      return weight ? int8BlockOf(weight, /*isTransposed=*/false, frame) : 0;
    };
    ffn.roundsForW1 = blockOf(op.getW1()) != 0;
    ffn.roundsForW3 = blockOf(op.getW3()) != 0;
    // Slices that cut blocks are no codes.
    int64_t block = blockOf(op.getW2());
    ffn.roundsForW2 = block != 0 && unitOf(op) % block == 0;
  }
  return ffn;
}

/// Runs the FFN on row `row` of x.
static void runRow(const Ffn &ffn, const HostTensor &x, int64_t row,
                   HostTensor &result) {
  int64_t width = x.shape.back();
  SmallVector<double> input;
  for (int64_t m = 0; m < width; ++m)
    input.push_back(x.elements[row * width + m].f);
  for (auto [n, value] : llvm::enumerate(ffn.run(input)))
    result.elements[row * ffn.outputSize() + n] = scalarOf(value);
}

FailureOr<Results> evaluate(FfnOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  Ffn ffn = ffnOf(op, frame);
  Shape shape = x.shape;
  shape.back() = ffn.outputSize();
  HostTensor result(x.dtype, shape);
  int64_t numRows = 1;
  for (int64_t size : ArrayRef(shape).drop_back())
    numRows *= size;
  for (int64_t row = 0; row < numRows; ++row)
    runRow(ffn, x, row, result);
  return Results{std::move(result)};
}

/// What entry i of the counts stands for: expert i; or behind an exchange, the
/// i-th expert of this rank.
static FailureOr<SmallVector<PlacementAttr::LocalExpert>>
countedExperts(ExpertsOp op, const Frame &frame) {
  PlacementAttr placement = op.getPlacementAttr();
  int64_t numCounts = frame.get(op.getCounts()).size();
  bool isExchanged =
      placement && (numCounts != int64_t(placement.getExperts().size()) ||
                    op.getCounts().getDefiningOp<AllToAllOp>());
  if (isExchanged) {
    CommGroup group = placement.getGroup();
    if (placement.getNumRanks() != frame.grid.sizeOf(group))
      return op.emitError()
             << "is placed on " << placement.getNumRanks()
             << " ranks, but runs on " << frame.grid.sizeOf(group);
    return placement.localExperts(frame.placeIn(group));
  }
  SmallVector<PlacementAttr::LocalExpert> all(numCounts);
  for (auto [i, expert] : llvm::enumerate(all))
    expert.expert = i;
  return all;
}

FailureOr<Results> evaluate(ExpertsOp op, const Frame &frame) {
  const HostTensor &rows = frame.get(op.getRows());
  const HostTensor &counts = frame.get(op.getCounts());
  Ffn ffn = ffnOf(op, frame);
  auto experts = countedExperts(op, frame);
  if (failed(experts))
    return failure();
  HostTensor result(rows.dtype, {rows.shape[0], ffn.outputSize()});
  int64_t row = 0;
  for (int64_t i = 0; i < counts.size(); ++i) {
    int64_t count = counts.elements[i].i;
    if (count == 0)
      continue;
    if (i >= int64_t(experts->size()) || count < 0 ||
        row + count > rows.shape[0])
      return op.emitError("has counts that do not fit its rows");
    const PlacementAttr::LocalExpert &local = (*experts)[i];
    ffn.expert = local.expert;
    ffn.slice = local.slice;
    ffn.numSlices = local.numSlices;
    for (int64_t end = row + count; row < end; ++row)
      runRow(ffn, rows, row, result);
  }
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(MixOp op, const Frame &frame) {
  const HostTensor &experts = frame.get(op.getExperts());
  const HostTensor &dense = frame.get(op.getDense());
  const HostTensor *gate = frame.find(op.getGate());
  int64_t width = experts.shape.back();
  HostTensor result(experts.dtype, experts.shape);
  for (int64_t i = 0; i < result.size(); ++i) {
    double a = 1.0, b = 1.0;
    if (op.getKind() == MixKind::Residual) {
      double g0 = gate->elements[i / width * 2].f;
      double g1 = gate->elements[i / width * 2 + 1].f;
      a = 1.0 / (1.0 + std::exp(g1 - g0));
      b = 1.0 / (1.0 + std::exp(g0 - g1));
    } else if (op.getKind() == MixKind::SigmoidGate) {
      b = 1.0 / (1.0 + std::exp(-gate->elements[i / width].f));
    }
    result.elements[i] =
        scalarOf(a * experts.elements[i].f + b * dense.elements[i].f);
  }
  return Results{std::move(result)};
}

} // namespace moe::interp
