//===- BuildReduce.cpp - Reductions, running sums, softmax ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// The axes to reduce, an input or (in older opsets) an attribute; none given
/// means all, or none with noop_with_empty_axes.
static FailureOr<SmallVector<int64_t>> reducedAxes(NodeContext &n) {
  bool isNoop = n.intAttr("noop_with_empty_axes", 0) != 0;
  SmallVector<int64_t> axes;
  if (std::optional<SmallVector<int64_t>> given = n.intsAttr("axes")) {
    axes = *given;
  } else if (n.has(1)) {
    FailureOr<SmallVector<int64_t>> values = n.constantInts(1, "input 'axes'");
    if (failed(values))
      return failure();
    axes = *values;
  }
  if (axes.empty() && !isNoop)
    return llvm::to_vector(llvm::seq<int64_t>(0, n.rank(0)));
  return n.axesIn(axes, n.rank(0));
}

/// A reduction of known sizes to one, such as their product.
static bool foldReduce(NodeContext &n, ReduceKind kind, bool keepDims) {
  std::optional<SizeElements> elements = knownElements(n.input(0));
  if (!elements || n.rank(0) != 1 || elements->empty() ||
      (kind != ReduceKind::Sum && kind != ReduceKind::Prod))
    return false;
  DimExpr result(kind == ReduceKind::Sum ? 0 : 1);
  for (const SizeElement &element : *elements) {
    if (!element.isKnown())
      return false;
    result =
        kind == ReduceKind::Sum ? result + element.expr : result * element.expr;
  }
  Dims dims(keepDims ? 1 : 0, DimExpr(1));
  n.setElements(0, getTensorType(n.elementType(0), dims), {result});
  return true;
}

LogicalResult buildReduce(NodeContext &n) {
  ReduceKind kind = llvm::StringSwitch<ReduceKind>(n.opType())
                        .Case("ReduceMax", ReduceKind::Max)
                        .Case("ReduceMean", ReduceKind::Mean)
                        .Case("ReduceMin", ReduceKind::Min)
                        .Case("ReduceProd", ReduceKind::Prod)
                        .Default(ReduceKind::Sum);
  bool keepDims = n.intAttr("keepdims", 1) != 0;
  FailureOr<SmallVector<int64_t>> axes = reducedAxes(n);
  if (failed(axes))
    return failure();
  bool isPlain = n.opType() != "ReduceL1" && n.opType() != "ReduceL2" &&
                 n.opType() != "ReduceSumSquare";
  if (isPlain && axes->size() == 1 && foldReduce(n, kind, keepDims))
    return success();
  Value x = n.value(0);
  if (n.opType() == "ReduceL1")
    x = n.unary(UnaryKind::Abs, x);
  else if (!isPlain)
    x = n.binary(BinaryKind::Mul, x, x);
  if (!axes->empty())
    x = n.reduce(kind, x, *axes, keepDims);
  if (n.opType() == "ReduceL2")
    x = n.unary(UnaryKind::Sqrt, x);
  n.set(0, x);
  return success();
}

LogicalResult buildArgReduce(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", 0), n.rank(0));
  bool keepDims = n.intAttr("keepdims", 1) != 0;
  bool selectLast = n.intAttr("select_last_index", 0) != 0;
  if (failed(axis))
    return failure();
  ArgReduceKind kind =
      n.opType() == "ArgMax" ? ArgReduceKind::Max : ArgReduceKind::Min;
  n.set(0,
        n.create<ArgReduceOp>(kind, n.value(0), *axis, keepDims, selectLast));
  return success();
}

LogicalResult buildCumSum(NodeContext &n) {
  bool exclusive = n.intAttr("exclusive", 0) != 0;
  bool reverse = n.intAttr("reverse", 0) != 0;
  FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "input 'axis'");
  if (failed(given) || given->size() != 1)
    return n.unsupported("input 'axis' is not one constant");
  FailureOr<int64_t> axis = n.axisIn(given->front(), n.rank(0));
  if (failed(axis))
    return failure();
  // PyTorch exports sums of booleans as they are, and means numbers.
  Value x = n.value(0);
  if (n.elementType(0).isInteger(1))
    x = n.cast(x, n.i64());
  n.set(0, n.create<CumsumOp>(x, *axis, exclusive, reverse));
  return success();
}

LogicalResult buildSoftmax(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0));
  if (failed(axis))
    return failure();
  n.set(0, n.softmax(n.value(0), *axis, n.opType() == "LogSoftmax"));
  return success();
}

} // namespace moe::onnx_import
