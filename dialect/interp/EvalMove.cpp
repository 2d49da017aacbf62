//===- EvalMove.cpp - Meaning of operations that move elements ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

static FailureOr<Results> orOutside(Operation *op,
                                    std::optional<HostTensor> result) {
  if (!result)
    return op->emitError("reads or writes outside of its operand");
  return Results{std::move(*result)};
}

//===----------------------------------------------------------------------===//
// By index
//===----------------------------------------------------------------------===//

/// Rows of this rank's part; those of other ranks are zeros.
static FailureOr<Results> gatherFromPart(GatherOp op, const Frame &frame) {
  const HostTensor &data = frame.get(op.getData());
  HostTensor indices = frame.get(op.getIndices());
  int64_t axis = op.getAxis();
  std::optional<DimExpr> whole = lookUpSymbol(op, kLocalSymbols, *op.getPart());
  std::optional<DimExpr> factor = DimExpr::divideExactly(
      getDim(op.getData(), axis), DimExpr::symbol(op.getPart()->str()));
  if (!whole || !factor)
    return op.emitError() << "has data that is not divided by '"
                          << *op.getPart() << "'";
  FailureOr<Shape> size = frame.evaluate(op, *whole * *factor);
  if (failed(size))
    return failure();
  FailureOr<Part> part = frame.partOf(*op.getPart(), size->front());
  if (failed(part))
    return failure();
  // One entry of zeros behind the part stands for all others.
  Shape zeros = data.shape;
  zeros[axis] = 1;
  for (Scalar &index : indices.elements) {
    int64_t entry = index.i < 0 ? index.i + part->whole : index.i;
    if (entry < 0 || entry >= part->whole)
      return orOutside(op, std::nullopt);
    bool isOwn = entry >= part->range.begin && entry < part->range.end;
    index = scalarOf(isOwn ? entry - part->range.begin : data.shape[axis]);
  }
  return orOutside(
      op, hostGather(hostConcat({data, HostTensor(data.dtype, zeros)}, axis),
                     indices, axis, op.getBatchDims()));
}

FailureOr<Results> evaluate(GatherOp op, const Frame &frame) {
  if (op.getPart())
    return gatherFromPart(op, frame);
  return orOutside(op, hostGather(frame.get(op.getData()),
                                  frame.get(op.getIndices()), op.getAxis(),
                                  op.getBatchDims()));
}

/// The index tuple number `i` as an index of the leading dimensions of `shape`;
/// nothing if it is outside.
static std::optional<Shape> tupleAt(const HostTensor &indices, int64_t i,
                                    ArrayRef<int64_t> shape) {
  int64_t size = indices.shape.back();
  Shape tuple;
  for (int64_t j = 0; j < size; ++j) {
    int64_t entry = indices.elements[i * size + j].i;
    if (entry < 0)
      entry += shape[j];
    if (entry < 0 || entry >= shape[j])
      return std::nullopt;
    tuple.push_back(entry);
  }
  return tuple;
}

FailureOr<Results> evaluate(GatherNdOp op, const Frame &frame) {
  const HostTensor &data = frame.get(op.getData());
  const HostTensor &indices = frame.get(op.getIndices());
  int64_t batch = op.getBatchDims();
  ArrayRef<int64_t> inner = ArrayRef(data.shape).drop_front(batch);
  ArrayRef<int64_t> tail = inner.drop_front(indices.shape.back());
  Shape outer(ArrayRef(indices.shape).drop_back());
  Shape shape = outer;
  llvm::append_range(shape, tail);
  HostTensor result(data.dtype, shape);
  int64_t tuple = 0, next = 0;
  bool isInside = true;
  forEachIndex(outer, [&](ArrayRef<int64_t> index) {
    std::optional<Shape> at = tupleAt(indices, tuple++, inner);
    isInside &= at.has_value();
    forEachIndex(tail, [&](ArrayRef<int64_t> tailIndex) {
      Shape source(index.take_front(batch));
      if (at)
        llvm::append_range(source, *at);
      llvm::append_range(source, tailIndex);
      if (at)
        result.elements[next] = data.elements[offsetOf(data.shape, source)];
      ++next;
    });
  });
  return orOutside(op, isInside ? std::optional(result) : std::nullopt);
}

/// `index` with the entry along `axis` from `indices`; nothing if outside.
static std::optional<Shape> redirect(ArrayRef<int64_t> index, int64_t entry,
                                     int64_t axis, ArrayRef<int64_t> shape) {
  Shape target(index);
  target[axis] = entry < 0 ? entry + shape[axis] : entry;
  for (auto [i, size] : llvm::zip_equal(target, shape))
    if (i < 0 || i >= size)
      return std::nullopt;
  return target;
}

FailureOr<Results> evaluate(GatherElementsOp op, const Frame &frame) {
  const HostTensor &data = frame.get(op.getData());
  const HostTensor &indices = frame.get(op.getIndices());
  HostTensor result(data.dtype, indices.shape);
  int64_t next = 0;
  bool isInside = true;
  forEachIndex(indices.shape, [&](ArrayRef<int64_t> index) {
    std::optional<Shape> source =
        redirect(index, indices.elements[next].i, op.getAxis(), data.shape);
    isInside &= source.has_value();
    if (source)
      result.elements[next] = data.elements[offsetOf(data.shape, *source)];
    ++next;
  });
  return orOutside(op, isInside ? std::optional(result) : std::nullopt);
}

static Scalar scatterInto(ScatterKind kind, Scalar old, Scalar update,
                          DType dtype) {
  auto combine = [&](BinaryKind binary) {
    return *evaluateBinary(binary, old, dtype, update, dtype);
  };
  switch (kind) {
  case ScatterKind::None:
    return update;
  case ScatterKind::Add:
    return combine(BinaryKind::Add);
  case ScatterKind::Mul:
    return combine(BinaryKind::Mul);
  case ScatterKind::Max:
    return combine(BinaryKind::Max);
  case ScatterKind::Min:
    return combine(BinaryKind::Min);
  }
  llvm_unreachable("all kinds are listed");
}

FailureOr<Results> evaluate(ScatterElementsOp op, const Frame &frame) {
  HostTensor result = frame.get(op.getData());
  const HostTensor &indices = frame.get(op.getIndices());
  const HostTensor &updates = frame.get(op.getUpdates());
  int64_t next = 0;
  bool isInside = true;
  forEachIndex(indices.shape, [&](ArrayRef<int64_t> index) {
    std::optional<Shape> target =
        redirect(index, indices.elements[next].i, op.getAxis(), result.shape);
    isInside &= target.has_value();
    if (target) {
      Scalar &element = result.elements[offsetOf(result.shape, *target)];
      element = scatterInto(op.getKind(), element, updates.elements[next],
                            result.dtype);
    }
    ++next;
  });
  return orOutside(op, isInside ? std::optional(result) : std::nullopt);
}

FailureOr<Results> evaluate(ScatterNdOp op, const Frame &frame) {
  HostTensor result = frame.get(op.getData());
  const HostTensor &indices = frame.get(op.getIndices());
  const HostTensor &updates = frame.get(op.getUpdates());
  ArrayRef<int64_t> shape = result.shape;
  ArrayRef<int64_t> tail = shape.drop_front(indices.shape.back());
  int64_t tuple = 0, next = 0;
  bool isInside = true;
  forEachIndex(ArrayRef(indices.shape).drop_back(), [&](ArrayRef<int64_t>) {
    std::optional<Shape> at = tupleAt(indices, tuple++, shape);
    isInside &= at.has_value();
    forEachIndex(tail, [&](ArrayRef<int64_t> tailIndex) {
      if (at) {
        Shape target(*at);
        llvm::append_range(target, tailIndex);
        Scalar &element = result.elements[offsetOf(shape, target)];
        element = scatterInto(op.getKind(), element, updates.elements[next],
                              result.dtype);
      }
      ++next;
    });
  });
  return orOutside(op, isInside ? std::optional(result) : std::nullopt);
}

FailureOr<Results> evaluate(OneHotOp op, const Frame &frame) {
  const HostTensor &indices = frame.get(op.getIndices());
  const HostTensor &values = frame.get(op.getValues());
  int64_t axis = op.getAxis(), depth = 0;
  if (const HostTensor *value = frame.find(op.getDepth())) {
    depth = value->asInt(0);
  } else {
    FailureOr<Shape> shape = frame.shapeOf(op.getResult());
    if (failed(shape))
      return failure();
    depth = (*shape)[axis];
  }
  if (depth < 0)
    return op.emitError("has a negative depth");
  Shape shape = indices.shape;
  shape.insert(shape.begin() + axis, depth);
  HostTensor result(values.dtype, shape);
  int64_t next = 0;
  forEachIndex(shape, [&](ArrayRef<int64_t> index) {
    Shape at(index);
    at.erase(at.begin() + axis);
    int64_t entry = indices.elements[offsetOf(indices.shape, at)].i;
    bool isOn = (entry < 0 ? entry + depth : entry) == index[axis];
    result.elements[next++] = values.elements[isOn];
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(NonZeroOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  SmallVector<Shape> found;
  int64_t next = 0;
  forEachIndex(x.shape, [&](ArrayRef<int64_t> index) {
    if (x.asDouble(next++) != 0.0)
      found.emplace_back(index);
  });
  HostTensor result(DType::I64, {x.rank(), int64_t(found.size())});
  for (int64_t i = 0; i < x.rank(); ++i)
    for (auto [j, index] : llvm::enumerate(found))
      result.elements[i * found.size() + j] = scalarOf(index[i]);
  return Results{std::move(result)};
}

//===----------------------------------------------------------------------===//
// By position
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(SliceOp op, const Frame &frame) {
  FailureOr<Shape> starts = frame.evaluate(op, op.getStarts().getDims());
  FailureOr<Shape> sizes = frame.shapeOf(op.getResult());
  if (failed(starts) || failed(sizes))
    return failure();
  return orOutside(
      op, hostSlice(frame.get(op.getX()), *starts, op.getSteps(), *sizes));
}

FailureOr<Results> evaluate(ConcatOp op, const Frame &frame) {
  SmallVector<HostTensor> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(frame.get(input));
  return Results{hostConcat(inputs, op.getAxis())};
}

/// The source of position `i`, `low` after padding was put before `size`
/// entries; nothing for a constant.
static std::optional<int64_t> padSource(PadMode mode, int64_t i, int64_t low,
                                        int64_t size) {
  int64_t at = i - low;
  if (at >= 0 && at < size)
    return at;
  switch (mode) {
  case PadMode::Constant:
    return std::nullopt;
  case PadMode::Edge:
    return at < 0 ? 0 : size - 1;
  case PadMode::Wrap:
    return ((at % size) + size) % size;
  case PadMode::Reflect: {
    int64_t period = std::max<int64_t>(1, 2 * (size - 1));
    at = ((at % period) + period) % period;
    return at < size ? at : period - at;
  }
  }
  llvm_unreachable("all modes are listed");
}

FailureOr<Results> evaluate(PadOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  FailureOr<Shape> low = frame.evaluate(op, op.getLow().getDims());
  FailureOr<Shape> shape = frame.shapeOf(op.getResult());
  if (failed(low) || failed(shape))
    return failure();
  if (op.getMode() != PadMode::Constant && x.size() == 0)
    return op.emitError("extends a tensor without elements");
  HostTensor result(x.dtype, *shape);
  int64_t next = 0;
  forEachIndex(*shape, [&](ArrayRef<int64_t> index) {
    Shape source;
    for (int64_t i = 0; i < x.rank(); ++i)
      if (auto at = padSource(op.getMode(), index[i], (*low)[i], x.shape[i]))
        source.push_back(*at);
    bool isInside = int64_t(source.size()) == x.rank();
    if (isInside)
      result.elements[next] = x.elements[offsetOf(x.shape, source)];
    else if (const HostTensor *value = frame.find(op.getValue()))
      result.elements[next] = value->elements[0];
    ++next;
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(TransposeOp op, const Frame &frame) {
  return Results{hostTranspose(frame.get(op.getX()), op.getPermutation())};
}

FailureOr<Results> evaluate(ReshapeOp op, const Frame &frame) {
  FailureOr<Shape> shape = frame.shapeOf(op.getResult());
  if (failed(shape))
    return failure();
  return Results{hostReshape(frame.get(op.getX()), *shape)};
}

FailureOr<Results> evaluate(BroadcastOp op, const Frame &frame) {
  FailureOr<Shape> shape = frame.shapeOf(op.getResult());
  if (failed(shape))
    return failure();
  return Results{hostBroadcast(frame.get(op.getX()), *shape)};
}

FailureOr<Results> evaluate(TriluOp op, const Frame &frame) {
  HostTensor result = frame.get(op.getX());
  FailureOr<Shape> diagonal = frame.evaluate(op, op.getDiagonal().getDims());
  if (failed(diagonal))
    return failure();
  int64_t k = op.getNegateDiagonal() ? -diagonal->front() : diagonal->front();
  Scalar zero = HostTensor(result.dtype, {}).elements[0];
  int64_t next = 0;
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    int64_t distance = index.end()[-1] - index.end()[-2];
    if (op.getUpper() ? distance < k : distance > k)
      result.elements[next] = zero;
    ++next;
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(CacheAppendOp op, const Frame &frame) {
  const HostTensor &past = frame.get(op.getPast());
  const HostTensor &added = frame.get(op.getNewEntries());
  const HostTensor *lengths = frame.find(op.getLengths());
  int64_t axis = op.getAxis();
  if (!lengths || past.shape[0] == 0)
    return Results{hostConcat({past, added}, axis)};
  // Row by row; what the past has too much stands behind the new entries.
  SmallVector<HostTensor> rows;
  for (int64_t b = 0; b < past.shape[0]; ++b) {
    HostTensor row = takeRange(past, 0, {b, b + 1});
    int64_t length = lengths->elements[b].i;
    if (length < 0 || length > past.shape[axis])
      return op.emitError() << "has length " << length << " in row " << b
                            << " of a past of " << past.shape[axis];
    rows.push_back(hostConcat(
        {takeRange(row, axis, {0, length}), takeRange(added, 0, {b, b + 1}),
         takeRange(row, axis, {length, past.shape[axis]})},
        axis));
  }
  return Results{hostConcat(rows, 0)};
}

} // namespace moe::interp
