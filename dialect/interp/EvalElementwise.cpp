//===- EvalElementwise.cpp - Meaning of leaves and elementwise operations -===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(ParamOp op, const Frame &frame) {
  FailureOr<HostTensor> value =
      evaluateParam(op, op.getValue(), *frame.weights);
  if (failed(value))
    return failure();
  return Results{std::move(*value)};
}

FailureOr<Results> evaluate(ConstantOp op, const Frame &frame) {
  std::optional<HostTensor> value = readConstant(op.getValue());
  if (!value)
    return op.emitError("is not a dense constant");
  return Results{std::move(*value)};
}

FailureOr<Results> evaluate(ShapeOp op, const Frame &frame) {
  FailureOr<Shape> sizes = frame.evaluate(op, op.getDims().getDims());
  if (failed(sizes))
    return failure();
  HostTensor result(dtypeOf(op.getResult()), op.getType().getShape());
  for (auto [i, size] : llvm::enumerate(*sizes))
    result.elements[i] = scalarOf(size);
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(IotaOp op, const Frame &frame) {
  FailureOr<Shape> start = frame.evaluate(op, op.getStart().getDims());
  FailureOr<Shape> shape = frame.shapeOf(op.getResult());
  if (failed(start) || failed(shape))
    return failure();
  HostTensor result(dtypeOf(op.getResult()), *shape);
  for (int64_t i = 0; i < result.size(); ++i)
    result.elements[i] =
        castScalar(scalarOf(start->front() + i * int64_t(op.getStep())),
                   DType::I64, result.dtype);
  return Results{std::move(result)};
}

FailureOr<Results> evaluate(RangeOp op, const Frame &frame) {
  const HostTensor &start = frame.get(op.getStart());
  double first = start.asDouble(0),
         limit = frame.get(op.getLimit()).asDouble(0),
         delta = frame.get(op.getDelta()).asDouble(0);
  double count = std::ceil((limit - first) / delta);
  if (!(count <= double(1 << 28)))
    return op.emitError("has a length that is no number or too large");
  HostTensor result(start.dtype, {std::max<int64_t>(0, count)});
  for (int64_t i = 0; i < result.size(); ++i)
    result.elements[i] =
        castScalar(scalarOf(first + i * delta), DType::F64, start.dtype);
  return Results{std::move(result)};
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(UnaryOp op, const Frame &frame) {
  return Results{hostUnary(op.getKind(), frame.get(op.getX()))};
}

FailureOr<Results> evaluate(BinaryOp op, const Frame &frame) {
  std::optional<HostTensor> result =
      hostBinary(op.getKind(), frame.get(op.getLhs()), frame.get(op.getRhs()));
  if (!result)
    return op.emitError("divides an integer by zero");
  return Results{std::move(*result)};
}

FailureOr<Results> evaluate(CompareOp op, const Frame &frame) {
  return Results{hostCompare(op.getKind(), frame.get(op.getLhs()),
                             frame.get(op.getRhs()))};
}

FailureOr<Results> evaluate(SelectOp op, const Frame &frame) {
  return Results{hostSelect(frame.get(op.getCondition()),
                            frame.get(op.getOnTrue()),
                            frame.get(op.getOnFalse()))};
}

FailureOr<Results> evaluate(CastOp op, const Frame &frame) {
  return Results{hostCast(frame.get(op.getX()), dtypeOf(op.getResult()))};
}

/// Evaluates an operation of an elementwise program; it acts on whole tensors
/// here, which gives the same elements.
static FailureOr<Results> evaluateInner(Operation &op, const Frame &frame) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return evaluate(unary, frame);
  if (auto binary = dyn_cast<BinaryOp>(op))
    return evaluate(binary, frame);
  if (auto compare = dyn_cast<CompareOp>(op))
    return evaluate(compare, frame);
  if (auto select = dyn_cast<SelectOp>(op))
    return evaluate(select, frame);
  if (auto cast = dyn_cast<CastOp>(op))
    return evaluate(cast, frame);
  return evaluate(llvm::cast<ConstantOp>(op), frame);
}

FailureOr<Results> evaluate(ElementwiseOp op, const Frame &frame) {
  FailureOr<Shape> shape = frame.shapeOf(op.getResult(0));
  if (failed(shape))
    return failure();
  Frame inner;
  inner.weights = frame.weights;
  Block &body = op.getBody().front();
  for (auto [argument, input] :
       llvm::zip_equal(body.getArguments(), op.getInputs()))
    inner.values[argument] = frame.get(input);
  for (Operation &step : body.without_terminator()) {
    FailureOr<Results> results = evaluateInner(step, inner);
    if (failed(results))
      return failure();
    roundElements(results->front());
    inner.values[step.getResult(0)] = std::move(results->front());
  }
  Results results;
  for (Value value : body.getTerminator()->getOperands())
    results.push_back(hostBroadcast(inner.get(value), *shape));
  return results;
}

} // namespace moe::interp
