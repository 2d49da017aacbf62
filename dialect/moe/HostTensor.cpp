//===- HostTensor.cpp - Tensors with values -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/HostTensor.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/Shapes.h"

using namespace mlir;

namespace moe::dialect {

HostTensor::HostTensor(DType dtype, ArrayRef<int64_t> shape)
    : dtype(dtype), shape(shape) {
  Scalar zero = moe::isFloat(dtype) ? scalarOf(0.0) : scalarOf(int64_t(0));
  elements.assign(numElementsOf(shape).value_or(0), zero);
}

double HostTensor::asDouble(int64_t i) const {
  return castScalar(elements[i], dtype, DType::F64).f;
}

int64_t HostTensor::asInt(int64_t i) const {
  return castScalar(elements[i], dtype, DType::I64).i;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

std::optional<HostTensor> readConstant(Attribute value) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(value);
  if (!elements)
    return std::nullopt;
  Type type = elements.getElementType();
  std::optional<DType> dtype = toDType(type);
  std::optional<int64_t> count = numElementsOf(elements.getType().getShape());
  if (!dtype || !count ||
      *count > kMaxConstantBytes / static_cast<int64_t>(dtypeSize(*dtype)))
    return std::nullopt;
  HostTensor tensor(*dtype, elements.getType().getShape());
  if (isa<FloatType>(type)) {
    for (auto [i, element] : llvm::enumerate(elements.getValues<APFloat>())) {
      bool losesInfo;
      APFloat wide = element;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                   &losesInfo);
      tensor.elements[i] = scalarOf(wide.convertToDouble());
    }
    return tensor;
  }
  bool zeroExtends = type.isUnsignedInteger() || type.isInteger(1);
  for (auto [i, element] : llvm::enumerate(elements.getValues<APInt>()))
    tensor.elements[i] = scalarOf(static_cast<int64_t>(
        zeroExtends ? element.getZExtValue() : element.getSExtValue()));
  return tensor;
}

Attribute writeConstant(MLIRContext *context, const HostTensor &tensor) {
  int64_t width = dtypeSize(tensor.dtype);
  if (tensor.size() > kMaxConstantBytes / width)
    return {};
  Type elementType = fromDType(context, tensor.dtype);
  auto type = RankedTensorType::get(tensor.shape, elementType);
  if (auto floatType = dyn_cast<FloatType>(elementType)) {
    SmallVector<APFloat> values;
    for (Scalar element : tensor.elements) {
      bool losesInfo;
      APFloat &value = values.emplace_back(element.f);
      value.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
    }
    return DenseElementsAttr::get(type, values);
  }
  SmallVector<APInt> values;
  for (Scalar element : tensor.elements)
    values.push_back(APInt(elementType.getIntOrFloatBitWidth(), element.i,
                           /*isSigned=*/true, /*implicitTrunc=*/true));
  return DenseElementsAttr::get(type, values);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

void forEachIndex(ArrayRef<int64_t> shape,
                  function_ref<void(ArrayRef<int64_t>)> body) {
  if (llvm::is_contained(shape, 0))
    return;
  Shape index(shape.size(), 0);
  while (true) {
    body(index);
    size_t i = shape.size();
    while (i > 0 && ++index[i - 1] == shape[i - 1])
      index[--i] = 0;
    if (i == 0)
      return;
  }
}

int64_t offsetOf(ArrayRef<int64_t> shape, ArrayRef<int64_t> index) {
  int64_t offset = 0;
  ArrayRef<int64_t> tail = index.take_back(shape.size());
  for (auto [size, i] : llvm::zip_equal(shape, tail))
    offset = offset * size + (size == 1 ? 0 : i);
  return offset;
}

Shape broadcastShapes(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Shape result(a);
  for (auto [out, size] :
       llvm::zip_equal(MutableArrayRef(result).take_back(b.size()), b))
    if (out == 1)
      out = size;
  return result;
}

//===----------------------------------------------------------------------===//
// Moving
//===----------------------------------------------------------------------===//

HostTensor hostReshape(const HostTensor &x, ArrayRef<int64_t> shape) {
  HostTensor result = x;
  result.shape = Shape(shape);
  return result;
}

HostTensor hostBroadcast(const HostTensor &x, ArrayRef<int64_t> shape) {
  HostTensor result(x.dtype, shape);
  int64_t next = 0;
  forEachIndex(shape, [&](ArrayRef<int64_t> index) {
    result.elements[next++] = x.elements[offsetOf(x.shape, index)];
  });
  return result;
}

HostTensor hostTranspose(const HostTensor &x, ArrayRef<int64_t> permutation) {
  Shape shape;
  for (int64_t i : permutation)
    shape.push_back(x.shape[i]);
  HostTensor result(x.dtype, shape);
  Shape source(x.rank());
  int64_t next = 0;
  forEachIndex(shape, [&](ArrayRef<int64_t> index) {
    for (auto [i, from] : llvm::enumerate(permutation))
      source[from] = index[i];
    result.elements[next++] = x.elements[offsetOf(x.shape, source)];
  });
  return result;
}

std::optional<HostTensor> hostSlice(const HostTensor &x,
                                    ArrayRef<int64_t> starts,
                                    ArrayRef<int64_t> steps,
                                    ArrayRef<int64_t> sizes) {
  for (int64_t i = 0; i < x.rank(); ++i)
    if (!isValidSlice(x.shape[i], starts[i], steps[i], sizes[i]))
      return std::nullopt;
  HostTensor result(x.dtype, sizes);
  Shape source(x.rank());
  int64_t next = 0;
  forEachIndex(sizes, [&](ArrayRef<int64_t> index) {
    for (int64_t i = 0; i < x.rank(); ++i)
      source[i] = starts[i] + index[i] * steps[i];
    result.elements[next++] = x.elements[offsetOf(x.shape, source)];
  });
  return result;
}

HostTensor hostConcat(ArrayRef<HostTensor> inputs, int64_t axis) {
  Shape shape = inputs.front().shape;
  shape[axis] = 0;
  for (const HostTensor &input : inputs)
    shape[axis] += input.shape[axis];
  HostTensor result(inputs.front().dtype, shape);
  int64_t begin = 0;
  for (const HostTensor &input : inputs) {
    int64_t next = 0;
    forEachIndex(input.shape, [&](ArrayRef<int64_t> index) {
      Shape target(index);
      target[axis] += begin;
      result.elements[offsetOf(shape, target)] = input.elements[next++];
    });
    begin += input.shape[axis];
  }
  return result;
}

std::optional<HostTensor> hostGather(const HostTensor &data,
                                     const HostTensor &indices, int64_t axis,
                                     int64_t batchDims) {
  Shape shape(ArrayRef(data.shape).take_front(axis));
  llvm::append_range(shape, ArrayRef(indices.shape).drop_front(batchDims));
  llvm::append_range(shape, ArrayRef(data.shape).drop_front(axis + 1));
  HostTensor result(data.dtype, shape);
  int64_t numIndexDims = indices.rank() - batchDims, next = 0;
  bool isInside = true;
  forEachIndex(shape, [&](ArrayRef<int64_t> index) {
    Shape at(index.take_front(batchDims));
    llvm::append_range(at, index.slice(axis, numIndexDims));
    int64_t entry = indices.elements[offsetOf(indices.shape, at)].i;
    if (entry < 0)
      entry += data.shape[axis];
    Shape source(index.take_front(axis));
    source.push_back(entry);
    llvm::append_range(source, index.drop_front(axis + numIndexDims));
    if (entry < 0 || entry >= data.shape[axis])
      isInside = false;
    else
      result.elements[next] = data.elements[offsetOf(data.shape, source)];
    ++next;
  });
  if (!isInside)
    return std::nullopt;
  return result;
}

} // namespace moe::dialect
