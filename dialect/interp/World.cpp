//===- World.cpp - The values of all ranks --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

#include "dialect/moe/Shapes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

/// No tensor of a test is larger; a wrong symbol value is an error, not an
/// attempt to allocate.
static constexpr int64_t kMaxElements = int64_t(1) << 28;

FailureOr<Shape> Frame::evaluate(Operation *op, ArrayRef<DimExpr> dims) const {
  Shape shape;
  for (const DimExpr &dim : dims) {
    StatusOr<int64_t> value = dim.evaluate(symbols);
    if (!value.isOk())
      return op->emitError() << value.status().message();
    shape.push_back(*value);
  }
  return shape;
}

FailureOr<Shape> Frame::shapeOf(Value result) const {
  Operation *op = result.getDefiningOp();
  FailureOr<Shape> shape = evaluate(op, getDims(result));
  if (failed(shape))
    return failure();
  std::optional<int64_t> count = numElementsOf(*shape);
  if (!count || *count > kMaxElements)
    return op->emitError("has a result that is too large to evaluate");
  return shape;
}

/// What is declared about a data symbol holds for its value.
static LogicalResult checkBound(Operation *op, StringRef symbol, int64_t value,
                                const SymbolValues &symbols) {
  std::optional<DimExpr> bound = lookUpSymbol(op, kDataSymbols, symbol);
  if (!bound)
    return success();
  StatusOr<int64_t> most = bound->evaluate(symbols);
  if (!most.isOk())
    return op->emitError() << most.status().message();
  if (value > *most)
    return op->emitError() << "gives '" << symbol << "' the value " << value
                           << ", its bound " << bound->toString() << " is "
                           << *most;
  return success();
}

LogicalResult Frame::store(OpResult result, HostTensor value) {
  Operation *op = result.getOwner();
  RankedTensorType type = getTensorType(Value(result));
  Dims dims = getDims(type);
  if (value.dtype != *toDType(type.getElementType()) ||
      value.rank() != type.getRank())
    return op->emitError("evaluates to another type than it has");
  for (auto [dim, size] : llvm::zip_equal(dims, value.shape)) {
    if (std::optional<std::string> symbol = dim.symbolName())
      if (symbols.try_emplace(*symbol, size).second &&
          failed(checkBound(op, *symbol, size, symbols)))
        return failure();
    StatusOr<int64_t> expected = dim.evaluate(symbols);
    if (!expected.isOk())
      return op->emitError() << expected.status().message();
    if (*expected != size)
      return op->emitError()
             << "evaluates to " << size << " entries where its "
             << "type has " << dim.toString() << " = " << *expected;
  }
  values[result] = std::move(value);
  return success();
}

LogicalResult Frame::skip(Operation *op) {
  for (Value result : op->getResults()) {
    RankedTensorType type = getTensorType(result);
    for (const DimExpr &dim : getDims(type))
      if (std::optional<std::string> symbol = dim.symbolName())
        symbols.try_emplace(*symbol, 0);
    FailureOr<Shape> shape = shapeOf(result);
    if (failed(shape))
      return failure();
    if (llvm::is_contained(*shape, 0))
      values[result] = HostTensor(dtypeOf(result), *shape);
  }
  return success();
}

FailureOr<Part> Frame::partOf(StringRef part, int64_t size) const {
  FailureOr<Part> found = locals->partOf(part, grid, rank, symbols);
  if (failed(found))
    return failure();
  int64_t factor = found->whole == 0 ? 0 : size / found->whole;
  return Part{size, {found->range.begin * factor, found->range.end * factor}};
}

DType dtypeOf(Value value) {
  return *toDType(getTensorType(value).getElementType());
}

void roundElements(HostTensor &tensor) {
  if (tensor.dtype != DType::F16 && tensor.dtype != DType::BF16)
    return;
  for (Scalar &element : tensor.elements)
    element = castScalar(element, DType::F64, tensor.dtype);
}

HostTensor takeRange(const HostTensor &x, int64_t axis, Range range) {
  Shape starts(x.rank(), 0), steps(x.rank(), 1), sizes(x.shape);
  starts[axis] = range.begin;
  sizes[axis] = range.end - range.begin;
  return *hostSlice(x, starts, steps, sizes);
}

} // namespace moe::interp
