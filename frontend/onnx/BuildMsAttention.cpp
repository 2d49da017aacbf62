//===- BuildMsAttention.cpp - Attention of ONNX Runtime -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

static float defaultScale(const DimExpr &depth) {
  return 1.0f /
         std::sqrt(static_cast<float>(depth.constantValue().value_or(1)));
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

namespace {
enum MhaInput : unsigned {
  kQuery,
  kKey,
  kValue,
  kBias,
  kKeyMask,
  kScoreBias,
  kPastKey,
  kPastValue
};
} // namespace

/// Input i plus its part of the bias [Hq * D + Hk * D + Hv * Dv], as heads. A
/// key or value of rank 4 is split already.
static Value mhaHeads(NodeContext &n, unsigned i, int64_t numHeads,
                      DimExpr &biasStart) {
  Value x = n.value(i);
  if (n.rank(i) == 4)
    return x;
  if (n.rank(i) != 3)
    return (void)n.unsupported("an input of rank " + Twine(n.rank(i))),
           n.placeholder();
  if (n.has(kBias)) {
    DimExpr width = n.dim(i, 2);
    Value bias = n.sliceAxis(n.value(kBias), 0, biasStart, width);
    x = n.binary(BinaryKind::Add, x, bias);
    biasStart = biasStart + width;
  }
  return splitHeads(n, x, numHeads);
}

/// The mask over keys [B, T] as numbers or booleans over scores, joined with
/// the bias of the scores.
static FailureOr<Value> mhaMask(NodeContext &n, ArrayRef<DimExpr> scores,
                                float hiddenValue) {
  Value bias;
  if (n.has(kScoreBias)) {
    bias = n.value(kScoreBias);
    FailureOr<Dims> dims = n.broadcast(getDims(bias), scores);
    if (failed(dims))
      return failure();
    if (dims->size() != 4)
      return n.invalid("has a bias of scores of rank " +
                       Twine(n.rank(kScoreBias)));
  }
  if (!n.has(kKeyMask))
    return bias;
  if (n.rank(kKeyMask) != 2 ||
      failed(n.unify(n.dims(kKeyMask), {scores[0], scores[3]})))
    return n.unsupported("a key padding mask of dimensions " +
                         toString(ArrayRef(n.dims(kKeyMask))));
  Value seen = n.cast(n.value(kKeyMask), n.i1());
  seen = n.unsqueeze(seen, {1, 2});
  if (!bias)
    return seen;
  Type type = getTensorType(bias).getElementType();
  Value added = n.select(seen, n.scalar(type, 0), n.scalar(type, hiddenValue));
  return n.binary(BinaryKind::Add, bias, added);
}

LogicalResult buildMultiHeadAttention(NodeContext &n) {
  int64_t numHeads = n.requiredInt("num_heads");
  bool causal = n.intAttr("unidirectional", 0) != 0;
  float hiddenValue = n.floatAttr("mask_filter_value", -10000.0f);
  if (!n.has(kKey) || !n.has(kValue))
    return n.unsupported("packed queries, keys and values");
  if (n.numInputs() > kPastValue + 1 || n.wants(3))
    return n.unsupported("a shared cache or an output of scores");
  DimExpr biasStart(0);
  Value q = mhaHeads(n, kQuery, numHeads, biasStart);
  Value k = mhaHeads(n, kKey, numHeads, biasStart);
  Value v = mhaHeads(n, kValue, numHeads, biasStart);
  bool hasPast = n.has(kPastKey);
  if (hasPast != n.has(kPastValue))
    return n.invalid("has only one of past_key and past_value");
  if (hasPast) {
    k = appendToCache(n, kPastKey, k);
    v = appendToCache(n, kPastValue, v);
  }
  if (n.hasFailed())
    return failure();
  Dims scores = {getDim(q, 0), getDim(q, 1), getDim(q, 2), getDim(k, 2)};
  if (failed(n.unify(getDims(k),
                     {scores[0], scores[1], scores[3], getDim(q, 3)})) ||
      failed(
          n.unify(getDims(v), {scores[0], scores[1], scores[3], getDim(v, 3)})))
    return failure();
  if (causal && !hasPast && scores[2] != scores[3])
    return n.unsupported("is unidirectional over another sequence");
  FailureOr<Value> mask = mhaMask(n, scores, hiddenValue);
  if (failed(mask))
    return failure();
  float scale = n.floatAttr("scale", 0.0f);
  if (scale == 0.0f)
    scale = defaultScale(getDim(q, 3));
  Value y =
      n.create<AttentionOp>(q, k, v, *mask, Value(), Value(), APFloat(scale),
                            APFloat(hiddenValue), APFloat(0.0f), causal, 0);
  n.set(0, joinHeads(n, y));
  n.set(1, k);
  n.set(2, v);
  return success();
}

//===----------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------===//
//
// Rows of a batch may have pasts of different lengths: row b has
// seqlens_k[b] + 1 keys in all, the S new ones last. A prompt that is padded at
// its end has fewer than S keys and starts at position 0. So
//
//   past[b] = max(seqlens_k[b] + 1 - S, 0),   keys[b] = past[b] + S,
//
// new keys are written behind past[b] keys, and token i of row b stands at
// position past[b] + i.

namespace {

enum GqaInput : unsigned {
  kGqaQuery,
  kGqaKey,
  kGqaValue,
  kGqaPastKey,
  kGqaPastValue,
  kGqaLengths,
  kGqaTotal,
  kGqaCos,
  kGqaSin,
  kGqaPositions,
  kGqaBias,
  kGqaSink
};

class GroupQueryAttention {
public:
  explicit GroupQueryAttention(NodeContext &n) : n(n) {}
  LogicalResult run();

private:
  LogicalResult checkFeatures();
  LogicalResult splitInputs();
  LogicalResult findLengths();
  LogicalResult rotate();
  LogicalResult append();
  LogicalResult attend();

  NodeContext &n;
  int64_t numHeads = 0, numKvHeads = 0;
  Value q, k, v;
  Value pastLengths, lengths; // i64 [B]
  DimExpr batch, queries;
};

} // namespace

LogicalResult GroupQueryAttention::checkFeatures() {
  // What the CPU's integers do; sums are exact here.
  n.ignoreAttr("qk_output");
  if (failed(n.expectInt("sliding_window_cache", 0, 0)) ||
      failed(n.expectInt("kv_cache_bit_width", 0, 0)))
    return failure();
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (std::string type = n.stringAttr(name, "NONE"); type != "NONE")
      return n.unsupported("attribute '" + name + "' = \"" + type +
                           "\" is not supported");
  for (unsigned i = kGqaSink + 1; i < n.numInputs(); ++i)
    if (n.has(i))
      return n.unsupported("input " + Twine(i) + " is not supported");
  if (n.wants(3))
    return n.unsupported("an output of scores");
  return success();
}

LogicalResult GroupQueryAttention::splitInputs() {
  numHeads = n.requiredInt("num_heads");
  numKvHeads = n.requiredInt("kv_num_heads");
  if (numHeads < 1 || numKvHeads < 1 || numHeads > INT32_MAX ||
      numKvHeads > INT32_MAX || numHeads % numKvHeads != 0)
    return n.invalid("has " + Twine(numHeads) + " heads for " +
                     Twine(numKvHeads) + " heads of keys");
  if (n.rank(kGqaQuery) != 3)
    return n.invalid("has a query of rank " + Twine(n.rank(kGqaQuery)));
  batch = n.dim(kGqaQuery, 0);
  queries = n.dim(kGqaQuery, 1);
  Value query = n.value(kGqaQuery), key, value;
  if (n.has(kGqaKey) != n.has(kGqaValue))
    return n.invalid("has only one of key and value");
  if (n.has(kGqaKey)) {
    key = n.value(kGqaKey);
    value = n.value(kGqaValue);
  } else {
    // Packed: the heads of queries, of keys, of values.
    std::optional<DimExpr> depth = DimExpr::divideExactly(
        n.dim(kGqaQuery, 2), DimExpr(numHeads + 2 * numKvHeads));
    if (!depth)
      return n.invalid("cannot split " + n.dim(kGqaQuery, 2).toString() +
                       " into heads");
    DimExpr wide = *depth * DimExpr(numHeads);
    DimExpr narrow = *depth * DimExpr(numKvHeads);
    key = n.sliceAxis(query, 2, wide, narrow);
    value = n.sliceAxis(query, 2, wide + narrow, narrow);
    query = n.sliceAxis(query, 2, DimExpr(0), wide);
  }
  q = splitHeads(n, query, numHeads);
  k = splitHeads(n, key, numKvHeads);
  v = splitHeads(n, value, numKvHeads);
  return success(!n.hasFailed());
}

LogicalResult GroupQueryAttention::findLengths() {
  if (!n.has(kGqaLengths) || !n.has(kGqaTotal))
    return n.invalid("lacks the lengths of its rows");
  if (failed(n.unify(product(n.dims(kGqaLengths)), batch)))
    return failure();
  Value given = n.reshape(n.cast(n.value(kGqaLengths), n.i64()), {batch});
  Value tokens = n.sizes({queries}, n.i64(), /*isScalar=*/true);
  Value others =
      n.binary(BinaryKind::Sub, n.binary(BinaryKind::Add, given, 1.0), tokens);
  pastLengths = n.binary(BinaryKind::Max, others, 0.0);
  lengths = n.binary(BinaryKind::Add, pastLengths, tokens);
  return success(!n.hasFailed());
}

LogicalResult GroupQueryAttention::rotate() {
  bool interleaved = n.intAttr("rotary_interleaved", 0) != 0;
  if (n.intAttr("do_rotary", 0) == 0)
    return success();
  if (!n.has(kGqaCos) || !n.has(kGqaSin) || n.rank(kGqaCos) != 2 ||
      n.rank(kGqaSin) != 2)
    return n.invalid("rotates without tables of cosines and sines");
  std::optional<int64_t> width = n.dim(kGqaCos, 1).constantValue();
  if (!width || *width > INT32_MAX)
    return n.invalid("has a table of width " + n.dim(kGqaCos, 1).toString());
  Value positions;
  if (n.has(kGqaPositions)) {
    positions = n.value(kGqaPositions);
    if (failed(n.unify(n.dims(kGqaPositions), {batch, queries})))
      return failure();
  } else {
    Value steps = n.iota(DimExpr(0), queries, n.i64());
    positions = n.binary(BinaryKind::Add, n.unsqueeze(pastLengths, {1}), steps);
  }
  Type type = n.elementType(kGqaQuery);
  Value cos = n.cast(rotaryRows(n, n.value(kGqaCos), positions), type);
  Value sin = n.cast(rotaryRows(n, n.value(kGqaSin), positions), type);
  q = n.create<RotaryOp>(q, cos, sin, interleaved, 2 * *width);
  k = n.create<RotaryOp>(k, cos, sin, interleaved, 2 * *width);
  return success(!n.hasFailed());
}

LogicalResult GroupQueryAttention::append() {
  if (n.has(kGqaPastKey) != n.has(kGqaPastValue))
    return n.invalid("has only one of past_key and past_value");
  if (n.has(kGqaPastKey)) {
    k = appendToCache(n, kGqaPastKey, k, pastLengths);
    v = appendToCache(n, kGqaPastValue, v, pastLengths);
  }
  if (n.hasFailed())
    return failure();
  // The total length that the model computes is that of the keys.
  if (std::optional<DimExpr> total = n.knownSize(kGqaTotal))
    return n.unify(*total, getDim(k, 2));
  return success();
}

LogicalResult GroupQueryAttention::attend() {
  int64_t window = n.intAttr("local_window_size", -1);
  float softcap = n.floatAttr("softcap", 0.0f);
  float scale = n.floatAttr("scale", 0.0f);
  if (scale == 0.0f)
    scale = defaultScale(getDim(q, 3));
  Value sink;
  if (n.has(kGqaSink))
    sink = n.value(kGqaSink);
  if (n.intAttr("smooth_softmax", 0) > 0 && !sink)
    sink = n.filled({DimExpr(numHeads)}, n.elementType(kGqaQuery), 0);
  Value bias;
  Dims scores = {batch, DimExpr(numHeads), queries, getDim(k, 2)};
  if (n.has(kGqaBias)) {
    bias = n.value(kGqaBias);
    if (failed(n.broadcast(getDims(bias), scores)))
      return failure();
  }
  Value y = n.create<AttentionOp>(q, k, v, bias, sink, lengths, APFloat(scale),
                                  APFloat(-INFINITY), APFloat(softcap),
                                  /*causal=*/true, window > 0 ? window : 0);
  n.set(0, joinHeads(n, y));
  n.set(1, k);
  n.set(2, v);
  return success();
}

LogicalResult GroupQueryAttention::run() {
  if (failed(checkFeatures()) || failed(splitInputs()) ||
      failed(findLengths()) || failed(rotate()) || failed(append()))
    return failure();
  return attend();
}

LogicalResult buildGroupQueryAttention(NodeContext &n) {
  return GroupQueryAttention(n).run();
}

} // namespace moe::onnx_import
