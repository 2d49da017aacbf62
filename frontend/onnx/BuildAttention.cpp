//===- BuildAttention.cpp - Attention of the ONNX standard ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/AttentionParts.h"
#include "frontend/onnx/Builders.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

Value appendToCache(NodeContext &n, unsigned pastIndex, Value added,
                    Value lengths) {
  Value past = n.value(pastIndex);
  Dims old = getDims(past), dims = getDims(added);
  if (old.size() != 4 || dims.size() != 4)
    return (void)n.invalid("has a past that is not of rank 4"), n.placeholder();
  dims[2] = old[2];
  if (failed(n.unify(old, dims)))
    return n.placeholder();
  auto argument = dyn_cast<BlockArgument>(past);
  if (!argument && !lengths)
    return n.concat({past, added}, 2);
  // The name of the argument names the cache.
  StringAttr name = StringAttr::get(n.context(), "cache");
  if (argument) {
    auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
    name =
        function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kName);
  }
  return n.create<CacheAppendOp>(past, added, lengths, name, 2);
}

static Value heads(NodeContext &n, unsigned i, int64_t numHeads) {
  return n.rank(i) == 3 ? splitHeads(n, n.value(i), numHeads) : n.value(i);
}

static FailureOr<AttentionParts> readParts(NodeContext &n) {
  AttentionParts p;
  int64_t numHeads = n.intAttr("q_num_heads", 0);
  int64_t numKvHeads = n.intAttr("kv_num_heads", 0);
  p.isCausal = n.intAttr("is_causal", 0) != 0;
  p.softcap = n.floatAttr("softcap", 0.0f);
  p.left = n.intAttr("left_window_size", -1);
  p.right = n.intAttr("right_window_size", -1);
  // Everything is computed in f32.
  n.ignoreAttr("softmax_precision");
  for (unsigned i = 0; i < 3; ++i)
    if (n.rank(i) != n.rank(0) || (n.rank(i) != 3 && n.rank(i) != 4))
      return n.invalid("has Q, K or V of rank " + Twine(n.rank(i)));
  p.isFlat = n.rank(0) == 3;
  p.q = heads(n, 0, numHeads);
  p.k = heads(n, 1, numKvHeads);
  p.v = heads(n, 2, numKvHeads);
  if (n.hasFailed())
    return failure();
  std::optional<int64_t> depth = getDim(p.q, 3).constantValue();
  if (!depth || *depth < 1)
    return n.unsupported("heads of size " + getDim(p.q, 3).toString());
  p.scale = n.floatAttr("scale", 1.0f / std::sqrt(static_cast<float>(*depth)));
  return p;
}

/// Q, K and V fit each other.
static LogicalResult unifyHeads(NodeContext &n, const AttentionParts &p) {
  Dims q = getDims(p.q), k = getDims(p.k), v = getDims(p.v);
  if (failed(n.unify(k[0], q[0])) || failed(n.unify(k[3], q[3])) ||
      failed(n.unify(v[0], q[0])) || failed(n.unify(v[1], k[1])) ||
      failed(n.unify(v[2], k[2])))
    return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// `mask` in the dimensions [.., T]; it may be shorter, then what is missing is
/// hidden.
static Value completeMask(NodeContext &n, Value mask, const DimExpr &keys) {
  Dims dims = getDims(mask);
  if (dims.empty() || dims.back() == DimExpr(1) || dims.back() == keys)
    return mask;
  std::optional<int64_t> have = dims.back().constantValue(),
                         want = keys.constantValue();
  if (!have || !want || *have > *want)
    return failed(n.unify(dims.back(), keys)) ? n.placeholder() : mask;
  dims.back() = keys;
  Type type = getTensorType(mask).getElementType();
  bool isBool = type.isInteger(1);
  Value hidden = n.scalar(type, isBool ? 0.0 : -INFINITY);
  Dims low(dims.size(), DimExpr(0));
  return n.createTyped<PadOp>(getTensorType(type, dims), mask, hidden,
                              DimsAttr::get(n.context(), low),
                              PadMode::Constant);
}

/// Hides by position what moe.attention cannot say: its rules count from the
/// last key, and windows of it look back only.
static LogicalResult maskPositions(NodeContext &n, AttentionParts &p) {
  DimExpr distance = getDim(p.k, 2) - getDim(p.q, 2);
  bool alignsAtEnd = p.lengths || distance == p.offset;
  bool looksAhead = !p.isCausal && p.right > 0;
  if (alignsAtEnd && !looksAhead) {
    p.isCausal |= p.right == 0;
    return success();
  }
  if (p.lengths)
    return n.unsupported("a window that looks ahead with lengths of its own");
  p.mask = joinMasks(n, p.mask, positionMask(n, p));
  p.isCausal = false;
  p.left = -1;
  return success();
}

//===----------------------------------------------------------------------===//
// Builder
//===----------------------------------------------------------------------===//

LogicalResult buildAttention(NodeContext &n) {
  FailureOr<AttentionParts> parts = readParts(n);
  if (failed(parts))
    return failure();
  AttentionParts &p = *parts;
  int64_t mode = n.intAttr("qk_matmul_output_mode", 0);
  bool hasPast = n.has(4);
  if (hasPast != n.has(5))
    return n.invalid("has only one of past_key and past_value");
  if (hasPast) {
    p.offset = n.rank(4) > 2 ? n.dim(4, 2) : DimExpr(0);
    p.k = appendToCache(n, 4, p.k);
    p.v = appendToCache(n, 5, p.v);
  }
  if (n.hasFailed() || failed(unifyHeads(n, p)))
    return failure();
  Dims scores = {getDim(p.q, 0), getDim(p.q, 1), getDim(p.q, 2),
                 getDim(p.k, 2)};
  if (n.has(6)) {
    p.lengths = n.value(6);
    if (failed(n.unify(n.dims(6), {scores[0]})))
      return failure();
  }
  if (n.has(3)) {
    p.mask = completeMask(n, n.value(3), scores[3]);
    FailureOr<Dims> dims = n.broadcast(getDims(p.mask), scores);
    if (failed(dims) || dims->size() != 4)
      return n.invalid("has a mask of rank " + Twine(n.rank(3)));
  }
  if (n.wants(3) && failed(setScores(n, p, mode)))
    return failure();
  if (failed(maskPositions(n, p)))
    return failure();
  // The last `window` keys, the query's own included.
  uint64_t window = p.left >= 0 ? p.left + 1 : 0;
  Value y = n.create<AttentionOp>(p.q, p.k, p.v, p.mask, Value(), p.lengths,
                                  APFloat(p.scale), APFloat(-INFINITY),
                                  APFloat(p.softcap), p.isCausal, window);
  n.set(0, p.isFlat ? joinHeads(n, y) : y);
  n.set(1, p.k);
  n.set(2, p.v);
  return success();
}

} // namespace moe::onnx_import
