//===- MoeOps.cpp - Operations of the moe dialect: what all share, leaves -===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeOps.h"

#include "dialect/moe/Inference.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/Shapes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

#define GET_OP_CLASSES
#include "dialect/moe/MoeOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What all operations share
//===----------------------------------------------------------------------===//

LogicalResult moe::dialect::verifySizedTensors(Operation *op) {
  auto verifyType = [&](Type type) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return success();
    if (!toDType(tensor.getElementType()))
      return op->emitOpError() << "has element type " << tensor.getElementType()
                               << ", which no buffer can have";
    if (!isSized(tensor))
      return op->emitOpError() << "has type " << tensor
                               << ", expected '?' exactly with #moe.dims";
    return success();
  };
  for (Type type : op->getOperandTypes())
    if (failed(verifyType(type)))
      return failure();
  for (Type type : op->getResultTypes())
    if (failed(verifyType(type)))
      return failure();
  return success();
}

std::optional<DimExpr> moe::dialect::lookUpSymbol(Operation *op,
                                                  StringRef attribute,
                                                  StringRef symbol) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  if (!function)
    return std::nullopt;
  auto symbols = function->getAttrOfType<DictionaryAttr>(attribute);
  auto text = symbols ? symbols.getAs<StringAttr>(symbol) : StringAttr();
  if (!text)
    return std::nullopt;
  StatusOr<DimExpr> expr = DimExpr::parse(text.getValue().str());
  return expr.isOk() ? std::optional(*expr) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

Type moe::dialect::elementTypeOf(Value value) {
  return getTensorType(value).getElementType();
}

int64_t moe::dialect::rankOf(Value value) {
  return getTensorType(value).getRank();
}

bool moe::dialect::isFloat(Value value) {
  return isa<FloatType>(elementTypeOf(value));
}

std::string moe::dialect::toString(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

LogicalResult Inference::error(const Twine &message) const {
  if (location)
    emitError(*location) << "'" << opName << "' op " << message;
  return failure();
}

LogicalResult Inference::expectAxis(int64_t axis, int64_t rank) const {
  return expect(axis >= 0 && axis < rank, "has axis " + Twine(axis) +
                                              " of a tensor of rank " +
                                              Twine(rank));
}

LogicalResult Inference::expectDims(StringRef what, Value value,
                                    ArrayRef<DimExpr> expected) const {
  Dims dims = getDims(value);
  return expect(ArrayRef<DimExpr>(dims) == expected,
                "has " + what + " of " + toString(ArrayRef<DimExpr>(dims)) +
                    ", expected " + toString(expected));
}

LogicalResult Inference::expectRank(StringRef what, Value value,
                                    int64_t rank) const {
  return expect(rankOf(value) == rank, "has " + what + " of rank " +
                                           Twine(rankOf(value)) +
                                           ", expected " + Twine(rank));
}

LogicalResult Inference::expectFloat(StringRef what, Value value) const {
  return expect(isFloat(value), "has " + what + " of " +
                                    toString(elementTypeOf(value)) +
                                    ", expected floats");
}

LogicalResult Inference::expectInteger(StringRef what, Value value) const {
  return expect(isInteger(elementTypeOf(value)),
                "has " + what + " of " + toString(elementTypeOf(value)) +
                    ", expected integers");
}

LogicalResult Inference::expectInteger(StringRef what, Value value,
                                       unsigned width) const {
  return expect(elementTypeOf(value).isSignlessInteger(width),
                "has " + what + " of " + toString(elementTypeOf(value)) +
                    ", expected i" + Twine(width));
}

LogicalResult Inference::expectSameElementType(StringRef what, Value value,
                                               Type expected) const {
  return expect(elementTypeOf(value) == expected,
                "has " + what + " of " + toString(elementTypeOf(value)) +
                    ", expected " + toString(expected));
}

LogicalResult Inference::expectNumber(StringRef what, Value value) const {
  return expect(!elementTypeOf(value).isInteger(1),
                "has " + what + " of i1, expected numbers");
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

void ParamOp::build(OpBuilder &builder, OperationState &state, ParamAttr value,
                    StringAttr name) {
  build(builder, state, value.getType(), value, name);
}

LogicalResult ParamOp::verify() {
  // C1: the result has the type of the value.
  if (getType() != getValue().getType())
    return emitOpError() << "has type " << getType() << ", its value "
                         << getValue().getType();
  return success();
}

void ConstantOp::build(OpBuilder &builder, OperationState &state,
                       ElementsAttr value) {
  build(builder, state, value.getType(), value);
}

LogicalResult ConstantOp::verify() {
  // C1: the result has the type of the value.
  if (getType() != getValue().getType())
    return emitOpError() << "has type " << getType() << ", its value "
                         << getValue().getType();
  // C2: at most 1 KiB.
  std::optional<int64_t> count = numElementsOf(getType().getShape());
  int64_t width = dtypeSize(*toDType(getType().getElementType()));
  if (!count || *count > kMaxConstantBytes / width)
    return emitOpError() << "has more than " << kMaxConstantBytes << " bytes";
  return success();
}

LogicalResult ShapeOp::verify() {
  Inference check(*this);
  // C1: integers.
  if (failed(check.expectInteger("a result", getResult())))
    return failure();
  // C2: one element for each entry, or rank 0 and one entry.
  size_t size = getDims().size();
  if (rankOf(getResult()) == 0)
    return check.expect(size == 1,
                        "has " + Twine(size) + " entries for a scalar");
  return check.expectDims("a result", getResult(), {DimExpr(size)});
}

LogicalResult IotaOp::verify() {
  Inference check(*this);
  // C1: start has one entry.
  if (getStart().size() != 1)
    return emitOpError() << "has " << getStart().size()
                         << " entries in start, expected 1";
  // C2: rank 1, not i1.
  if (failed(check.expectRank("a result", getResult(), 1)))
    return failure();
  return check.expectNumber("a result", getResult());
}

LogicalResult RangeOp::verify() {
  Inference check(*this);
  // C1: operands of one element and one type.
  Type type = elementTypeOf(getStart());
  for (Value operand : getOperands()) {
    if (product(moe::dialect::getDims(operand)) != DimExpr(1))
      return emitOpError() << "has an operand of "
                           << toString(moe::dialect::getDims(operand))
                           << ", expected one element";
    if (failed(check.expectSameElementType("an operand", operand, type)))
      return failure();
  }
  // C2: a result of rank 1 and their type, not i1.
  if (failed(check.expectRank("a result", getResult(), 1)) ||
      failed(check.expectNumber("a result", getResult())))
    return failure();
  return check.expectSameElementType("a result", getResult(), type);
}

CommGroup moe::dialect::groupOfPart(Operation *op, StringRef part) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  auto groups = function
                    ? function->getAttrOfType<DictionaryAttr>(kSymbolGroups)
                    : DictionaryAttr();
  auto keyword = groups ? groups.getAs<StringAttr>(part) : StringAttr();
  if (!keyword)
    return CommGroup::Rows;
  return symbolizeCommGroup(keyword.getValue()).value_or(CommGroup::Rows);
}
