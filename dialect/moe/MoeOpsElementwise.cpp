//===- MoeOpsElementwise.cpp - Elementwise operations ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

/// The result of broadcasting all `values`, or an error.
static FailureOr<Dims> inferBroadcast(const Inference &check,
                                      ValueRange values) {
  Dims dims;
  for (Value value : values) {
    Dims other = getDims(value);
    FailureOr<Dims> joined = broadcastDims(dims, other);
    if (failed(joined))
      return check.error("has operands of " + toString(dims) + " and " +
                         toString(other) + ", which do not broadcast");
    dims = std::move(*joined);
  }
  return dims;
}

static bool takesNumbers(UnaryKind kind) {
  return kind == UnaryKind::Neg || kind == UnaryKind::Abs ||
         kind == UnaryKind::Sign || kind == UnaryKind::Square ||
         kind == UnaryKind::Relu;
}

LogicalResult UnaryOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location> location,
                                        Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  UnaryKind kind = adaptor.getKind();
  // C1: not takes i1.
  if (kind == UnaryKind::Not) {
    if (failed(check.expectInteger("x", x, 1)))
      return failure();
  } else if (takesNumbers(kind)) {
    // C2: neg, abs, sign, square and relu take numbers.
    if (failed(check.expectNumber("x", x)))
      return failure();
  } else if (failed(check.expectFloat("x", x))) {
    // C3: all others take floats.
    return failure();
  }
  RankedTensorType type = getTensorType(x);
  types.push_back(givesTruth(kind)
                      ? withElementType(type, IntegerType::get(context, 1))
                      : type);
  return success();
}

LogicalResult BinaryOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  BinaryKind kind = adaptor.getKind();
  Type type = elementTypeOf(adaptor.getLhs());
  // C1: the element types are equal.
  if (kind != BinaryKind::Pow &&
      failed(check.expectSameElementType("rhs", adaptor.getRhs(), type)))
    return failure();
  // C2: and, or, xor take i1 or integers, the others numbers.
  bool isBitwise = kind == BinaryKind::And || kind == BinaryKind::Or ||
                   kind == BinaryKind::Xor;
  for (Value operand : adaptor.getOperands()) {
    if (isBitwise ? failed(check.expect(!isFloat(operand),
                                        "has an operand of floats, expected "
                                        "integers or i1"))
                  : failed(check.expectNumber("an operand", operand)))
      return failure();
  }
  // C3: the dimensions broadcast.
  FailureOr<Dims> dims = inferBroadcast(check, adaptor.getOperands());
  if (failed(dims))
    return failure();
  types.push_back(getTensorType(type, *dims));
  return success();
}

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  CompareKind kind = adaptor.getKind();
  // C1: the element types are equal.
  if (failed(check.expectSameElementType("rhs", adaptor.getRhs(),
                                         elementTypeOf(adaptor.getLhs()))))
    return failure();
  // C2: only eq and ne take i1.
  if (kind != CompareKind::Eq && kind != CompareKind::Ne &&
      failed(check.expectNumber("lhs", adaptor.getLhs())))
    return failure();
  // C3: the dimensions broadcast.
  FailureOr<Dims> dims = inferBroadcast(check, adaptor.getOperands());
  if (failed(dims))
    return failure();
  types.push_back(getTensorType(IntegerType::get(context, 1), *dims));
  return success();
}

LogicalResult SelectOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Type type = elementTypeOf(adaptor.getOnTrue());
  // C1: the condition is i1.
  if (failed(check.expectInteger("a condition", adaptor.getCondition(), 1)))
    return failure();
  // C2: the other element types are equal.
  if (failed(
          check.expectSameElementType("onFalse", adaptor.getOnFalse(), type)))
    return failure();
  // C3: the dimensions broadcast.
  FailureOr<Dims> dims = inferBroadcast(check, adaptor.getOperands());
  if (failed(dims))
    return failure();
  types.push_back(getTensorType(type, *dims));
  return success();
}

LogicalResult CastOp::verify() {
  // C1: the dimensions stay.
  return Inference(*this).expectDims("a result", getResult(), getDims(getX()));
}

//===----------------------------------------------------------------------===//
// ElementwiseOp
//===----------------------------------------------------------------------===//

/// True for an operation that the program of one element may hold.
static bool isScalarOperation(Operation &op) {
  auto isScalar = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == 0;
  };
  return isa<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, ConstantOp,
             YieldOp>(op) &&
         llvm::all_of(op.getOperandTypes(), isScalar) &&
         llvm::all_of(op.getResultTypes(), isScalar);
}

static LogicalResult verifyProgram(ElementwiseOp op, const Inference &check) {
  Block &body = op.getBody().front();
  // C1: a block argument of rank 0 for each input.
  if (body.getNumArguments() != op.getInputs().size())
    return check.error("has " + Twine(op.getInputs().size()) + " inputs and " +
                       Twine(body.getNumArguments()) + " block arguments");
  for (auto [input, argument] :
       llvm::zip_equal(op.getInputs(), body.getArguments()))
    if (argument.getType() != RankedTensorType::get({}, elementTypeOf(input)))
      return check.error("has a block argument of " +
                         toString(argument.getType()) + " for an input of " +
                         toString(elementTypeOf(input)));
  // C2: only scalar operations.
  for (Operation &inner : body)
    if (!isScalarOperation(inner))
      return (op.emitOpError() << "holds an operation that is not of one "
                                  "element")
                 .attachNote(inner.getLoc())
             << "this one";
  // C3: one yielded value for each result, of its element type.
  auto yield = dyn_cast<YieldOp>(body.back());
  if (!yield || yield.getValues().size() != op.getNumResults())
    return check.error("does not yield one value for each of its " +
                       Twine(op.getNumResults()) + " results");
  for (auto [value, result] :
       llvm::zip_equal(yield.getValues(), op.getResults()))
    if (failed(check.expectSameElementType("a yielded value", value,
                                           elementTypeOf(result))))
      return failure();
  return success();
}

LogicalResult ElementwiseOp::verify() {
  Inference check(*this);
  if (failed(verifyProgram(*this, check)))
    return failure();
  // C4: the results have the dimensions to which the inputs broadcast.
  if (getNumResults() == 0)
    return check.error("has no result");
  FailureOr<Dims> dims = inferBroadcast(check, getInputs());
  if (failed(dims))
    return failure();
  for (Value result : getResults())
    if (failed(check.expectDims("a result", result, *dims)))
      return failure();
  return success();
}
