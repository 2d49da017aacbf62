//===- Codes.cpp - Weights of integers in the forms of files --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Codes.h"

#include "dialect/moe/ParamCodes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

int64_t countOf(ArrayRef<int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

ParamAttr asFill(ParamAttr x) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(x.getValue());
  if (!elements || !elements.isSplat())
    return x;
  return param::fill(x.getType(), elements.getSplatValue<TypedAttr>());
}

static ParamAttr addNumber(ParamAttr bytes, int64_t number) {
  RankedTensorType type = bytes.getType();
  SmallVector<int64_t> ones(type.getRank(), 1);
  auto one = RankedTensorType::get(ones, type.getElementType());
  return param::add(
      bytes, param::fill(one, IntegerAttr::get(type.getElementType(), number)));
}

ParamAttr Codes::asBytes() const {
  Type u8 = IntegerType::get(data.getContext(), 8, IntegerType::Unsigned);
  ParamAttr bytes = data;
  if (bits == 8) {
    bytes = param::reshape(param::cast(data, u8), dims);
  } else {
    SmallVector<int64_t> packed(dims);
    int64_t rowBits = dims.empty() ? 0 : dims.back() * bits;
    if (rowBits > 0 && rowBits % 8 == 0) {
      packed.back() = rowBits / 8;
      bytes = param::unpack(param::reshape(data, packed), dims.back(), bits);
    } else {
      // Rows begin within bytes.
      int64_t count = countOf(dims), numBytes = data.getType().getNumElements();
      bytes = param::unpack(param::reshape(data, {1, numBytes}), count, bits);
      bytes = param::reshape(bytes, dims);
    }
  }
  return isSigned ? addNumber(bytes, int64_t(1) << (bits - 1)) : bytes;
}

ParamAttr Codes::asRows() const {
  int64_t rowBits = dims.back() * bits;
  if (isSigned || bits == 8 || rowBits % 8 != 0)
    return asBytes();
  SmallVector<int64_t> packed(dims);
  packed.back() = rowBits / 8;
  return param::reshape(data, packed);
}

bool Codes::isMiddle() const {
  auto byte = dyn_cast_or_null<IntegerAttr>(asFill(data).getValue());
  // 0, or a byte full of codes 2^(bits - 1).
  unsigned middle = isSigned ? 0 : bits == 8 ? 0x80 : bits == 4 ? 0x88 : 0xaa;
  return byte && byte.getValue().getZExtValue() == middle;
}

std::optional<Codes> codesOf(NodeContext &n, unsigned i) {
  if (const std::optional<PackedTensor> &packed = n.input(i).packed)
    return Codes{packed->bytes, packed->dims, packed->bits, packed->isSigned};
  auto type = dyn_cast<IntegerType>(n.elementType(i));
  if (!type || type.getWidth() != 8)
    return std::nullopt;
  ParamAttr data = n.asParam(n.value(i));
  if (!data)
    return std::nullopt;
  return Codes{asFill(data), SmallVector<int64_t>(data.getType().getShape()), 8,
               !type.isUnsigned()};
}

ParamAttr zeroBytes(RankedTensorType scales) {
  Type u8 = IntegerType::get(scales.getContext(), 8, IntegerType::Unsigned);
  return param::fill(RankedTensorType::get(scales.getShape(), u8),
                     IntegerAttr::get(u8, 0));
}

} // namespace moe::onnx_import
