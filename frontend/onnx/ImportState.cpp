//===- ImportState.cpp - What an import knows -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ImportState.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/Shapes.h"
#include "dialect/moe/SizeBounds.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

void ImportState::error(StatusCode errorCode, std::string message) {
  if (code == StatusCode::Ok || code == StatusCode::Unsupported)
    code = errorCode;
  errors.push_back(std::move(message));
}

DimExpr ImportState::newDataSymbol(const DimExpr &bound) {
  std::string name = "d" + std::to_string(dataSymbols.size());
  std::map<std::string, DimExpr, std::less<>> known(dataSymbols.begin(),
                                                    dataSymbols.end());
  dataSymbols.emplace_back(name, dialect::upperBoundOf(bound, known));
  return DimExpr::symbol(name);
}

DenseElementsAttr constantOf(const ImportValue &value) {
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(value.leaf))
    return dense;
  if (value.ir)
    if (auto op = value.ir.getDefiningOp<ConstantOp>())
      return dyn_cast<DenseElementsAttr>(op.getValue());
  return {};
}

int64_t numFollowedElements(RankedTensorType type) {
  if (!type.hasStaticShape())
    return -1;
  std::optional<int64_t> count = numElementsOf(type.getShape());
  return count && *count <= kMaxFollowedElements ? *count : -1;
}

std::optional<SizeElements> knownElements(const ImportValue &value) {
  if (value.elements)
    return value.elements;
  if (!value.type || !isa<IntegerType>(value.type.getElementType()) ||
      numFollowedElements(value.type) < 0)
    return std::nullopt;
  SizeElements elements;
  if (DenseElementsAttr dense = constantOf(value)) {
    bool isUnsigned = value.type.getElementType().isUnsignedInteger() ||
                      value.type.getElementType().isInteger(1);
    for (const APInt &element : dense.getValues<APInt>())
      elements.push_back(DimExpr(
          isUnsigned ? static_cast<int64_t>(element.getLimitedValue(INT64_MAX))
                     : element.getSExtValue()));
    return elements;
  }
  if (auto op = value.ir ? value.ir.getDefiningOp<ShapeOp>() : ShapeOp()) {
    for (const DimExpr &dim : op.getDims().getDims())
      elements.push_back(dim);
    return elements;
  }
  return std::nullopt;
}

} // namespace moe::onnx_import
