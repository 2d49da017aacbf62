//===- EvalCompute.cpp - Meaning of reductions, products, norms -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/WeightStorage.h"

#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

/// Calls `body` with the offsets of the elements of each line along `axis`.
static void forEachLine(ArrayRef<int64_t> shape, int64_t axis,
                        function_ref<void(ArrayRef<int64_t>)> body) {
  Shape outer(shape);
  outer[axis] = 1;
  if (shape[axis] == 0)
    return;
  SmallVector<int64_t> offsets(shape[axis]);
  forEachIndex(outer, [&](ArrayRef<int64_t> index) {
    Shape at(index);
    for (int64_t i = 0; i < shape[axis]; ++i) {
      at[axis] = i;
      offsets[i] = offsetOf(shape, at);
    }
    body(offsets);
  });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(ReduceOp op, const Frame &frame) {
  return Results{hostReduce(op.getKind(), frame.get(op.getX()), op.getAxes(),
                            op.getKeepdims())};
}

FailureOr<Results> evaluate(ArgReduceOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  int64_t axis = op.getAxis();
  if (x.shape[axis] == 0)
    return op.emitError("looks for an element among none");
  FailureOr<Shape> shape = frame.shapeOf(op.getResult());
  if (failed(shape))
    return failure();
  CompareKind better =
      op.getKind() == ArgReduceKind::Max ? CompareKind::Gt : CompareKind::Lt;
  HostTensor result(DType::I64, *shape);
  int64_t next = 0;
  forEachLine(x.shape, axis, [&](ArrayRef<int64_t> line) {
    int64_t best = 0;
    for (int64_t i = 1; i < int64_t(line.size()); ++i) {
      Scalar a = x.elements[line[i]], b = x.elements[line[best]];
      if (evaluateCompare(better, a, b, x.dtype) ||
          (op.getSelectLast() &&
           evaluateCompare(CompareKind::Eq, a, b, x.dtype)))
        best = i;
    }
    result.elements[next++] = scalarOf(best);
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(CumsumOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  HostTensor result(x.dtype, x.shape);
  DType wide = x.isFloat() ? DType::F64 : x.dtype;
  forEachLine(x.shape, op.getAxis(), [&](ArrayRef<int64_t> line) {
    Scalar sum = HostTensor(wide, {}).elements[0];
    for (size_t i = 0; i < line.size(); ++i) {
      int64_t at = line[op.getReverse() ? line.size() - 1 - i : i];
      Scalar before = sum;
      sum = *evaluateBinary(BinaryKind::Add, sum, wide, x.elements[at], wide);
      result.elements[at] = op.getExclusive() ? before : sum;
    }
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(TopKOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  int64_t axis = op.getAxis();
  int64_t count = 0;
  if (const HostTensor *k = frame.find(op.getK())) {
    count = k->asInt(0);
  } else {
    FailureOr<Shape> shape = frame.shapeOf(op.getValues());
    if (failed(shape))
      return failure();
    count = (*shape)[axis];
  }
  if (count < 0 || count > x.shape[axis])
    return op.emitError() << "takes " << count << " of " << x.shape[axis]
                          << " elements";
  Shape shape = x.shape;
  shape[axis] = count;
  HostTensor values(x.dtype, shape), indices(DType::I64, shape);
  SmallVector<SmallVector<int64_t>> targets;
  forEachLine(shape, axis,
              [&](ArrayRef<int64_t> line) { targets.emplace_back(line); });
  int64_t next = 0;
  CompareKind better = op.getLargest() ? CompareKind::Gt : CompareKind::Lt;
  forEachLine(x.shape, axis, [&](ArrayRef<int64_t> line) {
    if (count == 0)
      return;
    SmallVector<int64_t> order(line.size());
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order, [&](int64_t a, int64_t b) {
      return evaluateCompare(better, x.elements[line[a]], x.elements[line[b]],
                             x.dtype);
    });
    for (auto [i, target] : llvm::enumerate(targets[next++])) {
      values.elements[target] = x.elements[line[order[i]]];
      indices.elements[target] = scalarOf(order[i]);
    }
  });
  return Results{std::move(values), std::move(indices)};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

int64_t int8BlockOf(Value weight, bool isTransposed, const Frame &frame) {
  auto shard = weight.getDefiningOp<ShardOp>();
  auto source = (shard ? shard.getX() : weight).getDefiningOp<ParamOp>();
  if (!source)
    return 0;
  ParamAttr value = source.getValue();
  int64_t rank = value.getType().getRank(), axis = rank - 2;
  if (isTransposed) {
    auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(permutation[rank - 1], permutation[rank - 2]);
    value = param::transpose(value, permutation);
  }
  std::optional<QuantFormat> format = codeFormat(value);
  if (!format || format->block % 32 != 0)
    return 0;
  if (!shard || int64_t(shard.getAxis()) != (isTransposed ? rank - 1 : axis))
    return format->block;
  int64_t depth = value.getType().getDimSize(axis);
  FailureOr<Part> part = frame.partOf(shard.getPart(), depth);
  bool holdsWhole =
      succeeded(part) && part->range.begin % format->block == 0 &&
      (part->range.end % format->block == 0 || part->range.end == depth);
  return holdsWhole ? format->block : 0;
}

/// Rows as a product reads them.
static HostTensor rowsRead(MatmulOp op, const Frame &frame) {
  HostTensor rows = frame.get(op.getLhs());
  bool isRounded = op.getArithmetic() == Arithmetic::Int8 &&
                   int8BlockOf(op.getRhs(), op.getTransposeRhs(), frame) != 0;
  int64_t width = rows.shape.back();
  SmallVector<double> row(width);
  for (int64_t begin = 0; isRounded && begin < rows.size(); begin += width) {
    for (int64_t i = 0; i < width; ++i)
      row[i] = rows.elements[begin + i].f;
    roundRow(row);
    for (int64_t i = 0; i < width; ++i)
      rows.elements[begin + i].f = row[i];
  }
  return rows;
}

FailureOr<Results> evaluate(MatmulOp op, const Frame &frame) {
  const HostTensor &rhs = frame.get(op.getRhs());
  HostTensor lhs = rowsRead(op, frame);
  const HostTensor *bias = frame.find(op.getBias());
  bool isTransposed = op.getTransposeRhs();
  int64_t m = lhs.shape.end()[-2], k = lhs.shape.back();
  int64_t n = isTransposed ? rhs.shape.end()[-2] : rhs.shape.back();
  ArrayRef<int64_t> lhsBatch = ArrayRef(lhs.shape).drop_back(2);
  ArrayRef<int64_t> rhsBatch = ArrayRef(rhs.shape).drop_back(2);
  Shape batch = broadcastShapes(lhsBatch, rhsBatch);
  Shape shape = batch;
  shape.append({m, n});
  HostTensor result(lhs.dtype, shape);
  DType wide = lhs.isFloat() ? DType::F64 : lhs.dtype;
  auto combine = [&](BinaryKind kind, Scalar a, Scalar b) {
    return *evaluateBinary(kind, a, wide, b, wide);
  };
  int64_t next = 0;
  forEachIndex(batch, [&](ArrayRef<int64_t> index) {
    int64_t a = offsetOf(lhsBatch, index) * m * k;
    int64_t b = offsetOf(rhsBatch, index) * k * n;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        Scalar sum = HostTensor(wide, {}).elements[0];
        for (int64_t p = 0; p < k; ++p)
          sum = combine(
              BinaryKind::Add, sum,
              combine(
                  BinaryKind::Mul, lhs.elements[a + i * k + p],
                  rhs.elements[b + (isTransposed ? j * k + p : p * n + j)]));
        if (bias)
          sum = combine(BinaryKind::Add, sum, bias->elements[j]);
        result.elements[next++] = sum;
      }
  });
  return Results{std::move(result)};
}

//===----------------------------------------------------------------------===//
// Normalizations
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(SoftmaxOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  HostTensor result(x.dtype, x.shape);
  forEachLine(x.shape, op.getAxis(), [&](ArrayRef<int64_t> line) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0.0;
    for (int64_t at : line)
      largest = std::fmax(largest, x.elements[at].f);
    for (int64_t at : line)
      sum += std::exp(x.elements[at].f - largest);
    for (int64_t at : line) {
      double shifted = x.elements[at].f - largest;
      result.elements[at] = scalarOf(op.getLog() ? shifted - std::log(sum)
                                                 : std::exp(shifted) / sum);
    }
  });
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(NormOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  ArrayRef<int64_t> shape = x.shape;
  ArrayRef<int64_t> inner = shape.drop_front(op.getAxis());
  auto operand = [&](Value value, double otherwise) {
    HostTensor fill(DType::F64, {});
    fill.elements[0] = scalarOf(otherwise);
    return hostBroadcast(value ? frame.get(value) : fill, inner);
  };
  HostTensor scale = operand(op.getScale(), 1.0);
  HostTensor bias = operand(op.getBias(), 0.0);
  double epsilon = op.getEpsilon().convertToDouble();
  HostTensor result(x.dtype, shape);
  int64_t count = scale.size();
  for (int64_t begin = 0; count > 0 && begin < x.size(); begin += count) {
    double mean = 0.0, square = 0.0;
    if (op.getKind() == NormKind::Layer)
      for (int64_t i = 0; i < count; ++i)
        mean += x.elements[begin + i].f / count;
    for (int64_t i = 0; i < count; ++i) {
      double centered = x.elements[begin + i].f - mean;
      square += centered * centered / count;
    }
    for (int64_t i = 0; i < count; ++i)
      result.elements[begin + i] =
          scalarOf((x.elements[begin + i].f - mean) /
                       std::sqrt(square + epsilon) * scale.elements[i].f +
                   bias.elements[i].f);
  }
  return Results{std::move(result)};
}

} // namespace moe::interp
