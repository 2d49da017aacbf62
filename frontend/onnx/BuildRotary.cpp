//===- BuildRotary.cpp - Rotary position embeddings -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

Value splitHeads(NodeContext &n, Value x, int64_t numHeads) {
  Dims dims = getDims(x);
  std::optional<DimExpr> size;
  if (numHeads > 0 && dims.size() == 3)
    size = DimExpr::divideExactly(dims[2], DimExpr(numHeads));
  if (!size)
    return (void)n.invalid("cannot split " + toString(ArrayRef(dims)) +
                           " into " + Twine(numHeads) + " heads"),
           n.placeholder();
  Value split = n.reshape(x, {dims[0], dims[1], DimExpr(numHeads), *size});
  return n.transpose(split, {0, 2, 1, 3});
}

Value joinHeads(NodeContext &n, Value x) {
  Dims dims = getDims(x);
  if (dims.size() != 4)
    return n.placeholder();
  return n.reshape(n.transpose(x, {0, 2, 1, 3}),
                   {dims[0], dims[2], dims[1] * dims[3]});
}

Value rotaryRows(NodeContext &n, Value table, Value positions) {
  return n.gather(table, positions, 0);
}

//===----------------------------------------------------------------------===//
// Builders
//===----------------------------------------------------------------------===//

namespace {
/// What both operators of this name say.
struct Rotation {
  /// [B, H, S, D]; `isFlat` if it came as [B, S, H * D].
  Value x;
  bool isFlat = false;
  int64_t rotaryDim = 0;
  bool interleaved = false;
};
} // namespace

/// Reads x and the attributes. `tableWidth` is the last size of cos.
static FailureOr<Rotation> readRotation(NodeContext &n,
                                        const DimExpr &tableWidth) {
  Rotation r;
  int64_t numHeads = n.intAttr("num_heads", 0);
  r.rotaryDim = n.intAttr("rotary_embedding_dim", 0);
  r.interleaved = n.intAttr("interleaved", 0) != 0;
  std::optional<int64_t> width = tableWidth.constantValue();
  if (!width || *width < 1 || *width > INT32_MAX)
    return n.invalid("has a table of width " + tableWidth.toString());
  r.x = n.value(0);
  r.isFlat = n.rank(0) == 3;
  if (n.rank(0) != 3 && n.rank(0) != 4)
    return n.invalid("has an input of rank " + Twine(n.rank(0)) +
                     ", expected 3 or 4");
  if (r.isFlat) {
    // Without a number of heads, heads are as wide as the table says.
    std::optional<int64_t> hidden = n.dim(0, 2).constantValue();
    if (numHeads == 0 && hidden && *hidden % (2 * *width) == 0)
      numHeads = *hidden / (2 * *width);
    r.x = splitHeads(n, r.x, numHeads);
  }
  if (r.rotaryDim == 0)
    r.rotaryDim = 2 * *width;
  if (r.rotaryDim != 2 * *width)
    return n.invalid("rotates " + Twine(r.rotaryDim) +
                     " elements with a table of width " + Twine(*width));
  if (n.hasFailed())
    return failure();
  return r;
}

/// cos and sin are [B or 1, S, R / 2].
static LogicalResult setRotated(NodeContext &n, const Rotation &r, Value cos,
                                Value sin) {
  Dims x = getDims(r.x);
  for (Value table : {cos, sin}) {
    Dims dims = getDims(table);
    if (dims.size() != 3)
      return n.invalid("has tables of rank " + Twine(dims.size()));
    if (failed(n.unify(dims[1], x[2])) ||
        (dims[0] != DimExpr(1) && failed(n.unify(dims[0], x[0]))))
      return failure();
  }
  Type type = getTensorType(r.x).getElementType();
  Value y = n.create<RotaryOp>(r.x, n.cast(cos, type), n.cast(sin, type),
                               r.interleaved, r.rotaryDim);
  n.set(0, r.isFlat ? joinHeads(n, y) : y);
  return success();
}

// Inputs: x, cos, sin and perhaps position_ids; without them, the tables have
// a row for each token.
LogicalResult buildRotaryEmbedding(NodeContext &n) {
  if (n.rank(1) < 2 || n.rank(2) != n.rank(1))
    return n.invalid("has tables of ranks " + Twine(n.rank(1)) + " and " +
                     Twine(n.rank(2)));
  FailureOr<Rotation> r = readRotation(n, n.dim(1, n.rank(1) - 1));
  if (failed(r))
    return failure();
  Value cos = n.value(1), sin = n.value(2);
  if (n.has(3)) {
    cos = rotaryRows(n, cos, n.value(3));
    sin = rotaryRows(n, sin, n.value(3));
  }
  return setRotated(n, *r, cos, sin);
}

// Inputs: x, position_ids [B, S], or [1] for the position of the first token;
// tables [P, R / 2].
LogicalResult buildMsRotaryEmbedding(NodeContext &n) {
  if (n.rank(2) != 2 || n.rank(3) != 2)
    return n.invalid("has tables that are no matrices");
  FailureOr<Rotation> r = readRotation(n, n.dim(2, 1));
  if (failed(r) || failed(n.expectInt("is_packed_batching", 0, 0)))
    return failure();
  float scale = n.floatAttr("scale", 1.0f);
  if (scale != 1.0f)
    return n.unsupported("attribute 'scale' is not 1");
  Value positions = n.value(1);
  if (n.rank(1) <= 1) {
    Value steps = n.iota(DimExpr(0), getDim(r->x, 2), n.i64());
    Value first = n.cast(n.reshape(positions, {DimExpr(1)}), n.i64());
    positions = n.unsqueeze(n.binary(BinaryKind::Add, steps, first), {0});
  }
  return setRotated(n, *r, rotaryRows(n, n.value(2), positions),
                    rotaryRows(n, n.value(3), positions));
}

} // namespace moe::onnx_import
