//===- EvalAttention.cpp - Meaning of attention ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

FailureOr<Results> evaluate(RotaryOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  const HostTensor &cosines = frame.get(op.getCos());
  const HostTensor &sines = frame.get(op.getSin());
  int64_t half = op.getRotaryDim() / 2;
  HostTensor result = x;
  Shape pairs = x.shape;
  pairs[3] = half;
  forEachIndex(pairs, [&](ArrayRef<int64_t> index) {
    int64_t b = index[0], s = index[2], i = index[3];
    Shape first(index), second(index);
    first[3] = op.getInterleaved() ? 2 * i : i;
    second[3] = op.getInterleaved() ? 2 * i + 1 : i + half;
    int64_t at = offsetOf(x.shape, first), to = offsetOf(x.shape, second);
    double c = cosines.elements[offsetOf(cosines.shape, {b, s, i})].f;
    double d = sines.elements[offsetOf(sines.shape, {b, s, i})].f;
    double u = x.elements[at].f, v = x.elements[to].f;
    result.elements[at] = scalarOf(u * c - v * d);
    result.elements[to] = scalarOf(v * c + u * d);
  });
  return Results{std::move(result)};
}

namespace {
/// One evaluation of moe.attention.
struct Attention {
  Attention(AttentionOp op, const Frame &frame)
      : q(frame.get(op.getQ())), k(frame.get(op.getK())),
        v(frame.get(op.getV())), mask(frame.find(op.getMask())),
        sink(frame.find(op.getSink())), lengths(frame.find(op.getLengths())),
        scale(op.getScale().convertToDouble()),
        maskFill(op.getMaskFill().convertToDouble()),
        softcap(op.getSoftcap().convertToDouble()), causal(op.getCausal()),
        window(op.getWindow()), numKeys(v.shape[2]) {}

  const HostTensor &q, &k, &v;
  const HostTensor *mask, *sink, *lengths;
  double scale, maskFill, softcap;
  bool causal;
  int64_t window, numKeys;

  /// The score of key j for query (b, h, i) after all masks.
  double score(int64_t b, int64_t h, int64_t i, int64_t j) const;
  /// The result for one query.
  void query(int64_t b, int64_t h, int64_t i, HostTensor &result) const;
  int64_t kvHeadOf(int64_t h) const { return h / (q.shape[1] / k.shape[1]); }
};
} // namespace

double Attention::score(int64_t b, int64_t h, int64_t i, int64_t j) const {
  constexpr double kHidden = -std::numeric_limits<double>::infinity();
  int64_t length = lengths ? lengths->elements[b].i : numKeys;
  int64_t position = length - q.shape[2] + i;
  if (j >= length || (causal && j > position) ||
      (window > 0 && j <= position - window))
    return kHidden;
  double sum = 0.0;
  for (int64_t d = 0; d < q.shape[3]; ++d)
    sum += q.elements[offsetOf(q.shape, {b, h, i, d})].f *
           k.elements[offsetOf(k.shape, {b, kvHeadOf(h), j, d})].f;
  double value = sum * scale;
  if (softcap > 0.0)
    value = softcap * std::tanh(value / softcap);
  if (!mask)
    return value;
  Scalar entry = mask->elements[offsetOf(mask->shape, {b, h, i, j})];
  if (mask->isFloat())
    return value + entry.f;
  return entry.i ? value : maskFill;
}

void Attention::query(int64_t b, int64_t h, int64_t i,
                      HostTensor &result) const {
  constexpr double kHidden = -std::numeric_limits<double>::infinity();
  SmallVector<double> scores;
  double largest = sink ? sink->elements[h].f : kHidden;
  for (int64_t j = 0; j < numKeys; ++j) {
    scores.push_back(score(b, h, i, j));
    largest = std::fmax(largest, scores.back());
  }
  if (largest == kHidden)
    return;
  double denominator = sink ? std::exp(sink->elements[h].f - largest) : 0.0;
  for (double &value : scores) {
    value = std::exp(value - largest);
    denominator += value;
  }
  for (int64_t d = 0; d < v.shape[3]; ++d) {
    double sum = 0.0;
    // A hidden key adds nothing, whatever its value holds.
    for (int64_t j = 0; j < numKeys; ++j)
      if (scores[j] != 0.0)
        sum +=
            scores[j] * v.elements[offsetOf(v.shape, {b, kvHeadOf(h), j, d})].f;
    result.elements[offsetOf(result.shape, {b, h, i, d})] =
        scalarOf(sum / denominator);
  }
}

FailureOr<Results> evaluate(AttentionOp op, const Frame &frame) {
  Attention attention(op, frame);
  Shape shape = attention.q.shape;
  shape.back() = attention.v.shape.back();
  HostTensor result(attention.q.dtype, shape);
  forEachIndex(ArrayRef(shape).drop_back(), [&](ArrayRef<int64_t> index) {
    attention.query(index[0], index[1], index[2], result);
  });
  return Results{std::move(result)};
}

} // namespace moe::interp
