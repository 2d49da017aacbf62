//===- MoeTypes.cpp - Tensor types with symbolic dimensions ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeTypes.h"

#include "dialect/moe/MoeAttrs.h"

using namespace mlir;

namespace moe::dialect {

RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

RankedTensorType getTensorType(Type elementType, ArrayRef<DimExpr> dims) {
  SmallVector<int64_t> shape;
  bool isStatic = true;
  for (const DimExpr &dim : dims) {
    std::optional<int64_t> value = dim.constantValue();
    // A negative size is an error that the verifier of the encoding reports.
    if (value && *value < 0)
      value = std::nullopt;
    isStatic &= value.has_value();
    shape.push_back(value.value_or(ShapedType::kDynamic));
  }
  if (isStatic)
    return RankedTensorType::get(shape, elementType);
  Attribute encoding = DimsAttr::get(elementType.getContext(), dims);
  return RankedTensorType::get(shape, elementType, encoding);
}

RankedTensorType withElementType(RankedTensorType type, Type elementType) {
  return RankedTensorType::get(type.getShape(), elementType,
                               type.getEncoding());
}

bool isSized(RankedTensorType type) {
  if (type.hasStaticShape())
    return !type.getEncoding();
  auto dims = dyn_cast_or_null<DimsAttr>(type.getEncoding());
  return dims && static_cast<int64_t>(dims.size()) == type.getRank();
}

DimExpr getDim(RankedTensorType type, unsigned i) {
  if (!type.isDynamicDim(i))
    return DimExpr(type.getDimSize(i));
  auto dims = dyn_cast_or_null<DimsAttr>(type.getEncoding());
  if (!dims || i >= dims.size())
    return DimExpr::symbol("unsized");
  return dims.getDim(i);
}

DimExpr getDim(Value value, unsigned i) {
  return getDim(getTensorType(value), i);
}

Dims getDims(RankedTensorType type) {
  Dims dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    dims.push_back(getDim(type, i));
  return dims;
}

Dims getDims(Value value) { return getDims(getTensorType(value)); }

DimExpr product(ArrayRef<DimExpr> dims) {
  DimExpr result(1);
  for (const DimExpr &dim : dims)
    result = result * dim;
  return result;
}

std::optional<SmallVector<int64_t>> constantDims(ArrayRef<DimExpr> dims) {
  SmallVector<int64_t> values;
  for (const DimExpr &dim : dims) {
    std::optional<int64_t> value = dim.constantValue();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::string toString(ArrayRef<DimExpr> dims) {
  std::string text = "[";
  for (const auto &[i, dim] : llvm::enumerate(dims))
    text += (i ? ", " : "") + dim.toString();
  return text + "]";
}

FailureOr<Dims> broadcastDims(ArrayRef<DimExpr> a, ArrayRef<DimExpr> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Dims result(a.begin(), a.end());
  size_t leading = a.size() - b.size();
  for (const auto &[i, dim] : llvm::enumerate(b)) {
    DimExpr &out = result[leading + i];
    if (out == dim || dim == DimExpr(1))
      continue;
    if (out != DimExpr(1))
      return failure();
    out = dim;
  }
  return result;
}

bool broadcastsTo(ArrayRef<DimExpr> from, ArrayRef<DimExpr> to) {
  if (from.size() > to.size())
    return false;
  ArrayRef<DimExpr> tail = to.take_back(from.size());
  return llvm::all_of(llvm::zip_equal(from, tail), [](const auto &pair) {
    const auto &[dim, target] = pair;
    return dim == DimExpr(1) || dim == target;
  });
}

std::optional<DType> toDType(Type type) {
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.isSigned())
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return isUnsigned ? std::nullopt : std::optional(DType::Bool);
  case 8:
    return isUnsigned ? DType::U8 : DType::I8;
  case 16:
    return isUnsigned ? DType::U16 : DType::I16;
  case 32:
    return isUnsigned ? DType::U32 : DType::I32;
  case 64:
    return isUnsigned ? DType::U64 : DType::I64;
  }
  return std::nullopt;
}

Type fromDType(MLIRContext *context, DType dtype) {
  auto integer = [&](unsigned width, bool isUnsigned) -> Type {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned
                                       : IntegerType::Signless);
  };
  switch (dtype) {
  case DType::F32:
    return Float32Type::get(context);
  case DType::F64:
    return Float64Type::get(context);
  case DType::F16:
    return Float16Type::get(context);
  case DType::BF16:
    return BFloat16Type::get(context);
  case DType::Bool:
    return integer(1, false);
  case DType::I8:
  case DType::U8:
    return integer(8, dtype == DType::U8);
  case DType::I16:
  case DType::U16:
    return integer(16, dtype == DType::U16);
  case DType::I32:
  case DType::U32:
    return integer(32, dtype == DType::U32);
  case DType::I64:
  case DType::U64:
    return integer(64, dtype == DType::U64);
  }
  llvm_unreachable("all element types are listed");
}

bool isInteger(Type type) {
  return isa<IntegerType>(type) && !type.isInteger(1);
}

} // namespace moe::dialect
