//===- Indices.cpp - Index operands of gather and scatter -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Indices.h"

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

IndexReader::IndexReader(const TensorView &indices)
    : dtype(indices.dtype), data(blockData(indices)),
      count(indices.numElements()) {}

static Status outOfRange(const std::string &step, int64_t index,
                         int64_t position, int64_t size) {
  return Status(StatusCode::BadModel,
                step + ": index " + std::to_string(index) + " at position " +
                    std::to_string(position) +
                    " is out of range for a dimension of size " +
                    std::to_string(size));
}

Status IndexReader::checkAll(int64_t size, const std::string &step) const {
  for (int64_t i = 0; i < count; ++i) {
    int64_t index = integerAt(dtype, data, i);
    if (index < -size || index >= size)
      return outOfRange(step, index, i, size);
  }
  return Status::ok();
}

int64_t IndexReader::at(int64_t i, int64_t size) const {
  int64_t index = integerAt(dtype, data, i);
  return index < 0 ? index + size : index;
}

StatusOr<TupleReader> TupleReader::create(const TensorView &data, int first,
                                          const TensorView &indices,
                                          const std::string &step) {
  TupleReader reader(indices, step);
  reader.length = indices.rank > 0 ? indices.dims[indices.rank - 1] : 0;
  if (indices.rank < 1 || reader.length > data.rank - first)
    return Status(StatusCode::BadPlan,
                  step + ": indices of shape " + shapeText(indices) +
                      " do not fit data of shape " + shapeText(data));
  int64_t stride = 1;
  for (int i = data.rank - 1; i >= first; --i) {
    int64_t position = i - first;
    if (position == reader.length - 1)
      reader.slice = stride;
    if (position < reader.length) {
      reader.dims[position] = data.dims[i];
      reader.strides[position] = stride;
    }
    stride *= data.dims[i];
  }
  if (reader.length == 0)
    reader.slice = stride;
  return reader;
}

Status TupleReader::checkAll(int64_t tuples) const {
  for (int64_t i = 0; i < tuples; ++i)
    for (int64_t d = 0; d < length; ++d) {
      int64_t index = reader.at(i * length + d, dims[d]);
      if (index < 0 || index >= dims[d])
        return outOfRange(step, index < 0 ? index - dims[d] : index,
                          i * length + d, dims[d]);
    }
  return Status::ok();
}

int64_t TupleReader::offset(int64_t i) const {
  int64_t result = 0;
  for (int64_t d = 0; d < length; ++d)
    result += reader.at(i * length + d, dims[d]) * strides[d];
  return result;
}

} // namespace moe::cpu
