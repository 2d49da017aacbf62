//===- HostTensor.cpp - A named tensor that owns its memory ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/HostTensor.h"

#include "runtime/support/CheckedMath.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

using namespace moe;

namespace {

/// Calls f with a value of the type that holds one element; halves, which C++
/// lacks, come as uint16_t.
template <typename F> auto withElementType(DType dtype, F &&f) {
  switch (dtype) {
  case DType::F32:
    return f(float{});
  case DType::F64:
    return f(double{});
  case DType::I8:
    return f(int8_t{});
  case DType::I16:
    return f(int16_t{});
  case DType::I32:
    return f(int32_t{});
  case DType::I64:
    return f(int64_t{});
  case DType::U8:
  case DType::Bool:
    return f(uint8_t{});
  case DType::F16:
  case DType::BF16:
  case DType::U16:
    return f(uint16_t{});
  case DType::U32:
    return f(uint32_t{});
  case DType::U64:
    return f(uint64_t{});
  }
  return f(uint8_t{});
}

template <typename T> T loadElement(const HostTensor &tensor, int64_t index) {
  T value;
  std::memcpy(&value, tensor.bytes().data() + index * sizeof(T), sizeof(T));
  return value;
}

void storeFloat(HostTensor &tensor, int64_t index, double value) {
  switch (tensor.dtype()) {
  case DType::F64:
    tensor.as<double>()[index] = value;
    return;
  case DType::F16:
    tensor.as<uint16_t>()[index] = floatToHalf(static_cast<float>(value));
    return;
  case DType::BF16:
    tensor.as<uint16_t>()[index] = floatToBfloat16(static_cast<float>(value));
    return;
  default:
    tensor.as<float>()[index] = static_cast<float>(value);
  }
}

/// Stores an integer; false if the type of `to` does not hold it.
template <typename From>
bool storeInteger(HostTensor &to, int64_t index, From value) {
  if (to.dtype() == DType::Bool) {
    to.as<uint8_t>()[index] = static_cast<uint8_t>(value != 0);
    return value == 0 || value == 1;
  }
  return withElementType(to.dtype(), [&](auto example) {
    using To = decltype(example);
    if constexpr (std::is_floating_point_v<To> ||
                  std::is_floating_point_v<From>) {
      return false;
    } else {
      to.as<To>()[index] = static_cast<To>(value);
      return std::in_range<To>(value);
    }
  });
}

} // namespace

void HostTensor::Free::operator()(std::byte *memory) const {
  std::free(memory);
}

StatusOr<HostTensor> HostTensor::create(std::string name, DType dtype,
                                        std::vector<int64_t> dims) {
  if (dims.size() > static_cast<size_t>(kMaxRank))
    return Status(StatusCode::IoError,
                  "array '" + name + "' has " + std::to_string(dims.size()) +
                      " dimensions, at most " + std::to_string(kMaxRank) +
                      " are supported");
  for (int64_t dim : dims)
    if (dim < 0)
      return Status(StatusCode::IoError, "array '" + name +
                                             "' has the negative dimension " +
                                             std::to_string(dim));
  std::optional<uint64_t> size = checkedProduct(dims, dtypeSize(dtype));
  HostTensor tensor;
  tensor.theName = std::move(name);
  tensor.theDType = dtype;
  tensor.theDims = std::move(dims);
  if (size && *size <= std::numeric_limits<int64_t>::max()) {
    // aligned_alloc wants a multiple of the alignment; a byte more gives empty
    // tensors a pointer too.
    std::optional<uint64_t> rounded = checkedAlignUp(*size + 1);
    if (rounded)
      tensor.memory.reset(
          static_cast<std::byte *>(std::aligned_alloc(kAlignment, *rounded)));
  }
  if (!tensor.memory)
    return Status(StatusCode::OutOfMemory, "no memory for array '" +
                                               tensor.theName + "' of " +
                                               std::string(dtypeName(dtype)) +
                                               " " + shapeText(tensor.theDims));
  tensor.numBytes = *size;
  std::memset(tensor.memory.get(), 0, *size);
  return tensor;
}

int64_t HostTensor::numElements() const {
  return static_cast<int64_t>(numBytes / dtypeSize(theDType));
}

TensorView HostTensor::view() const {
  TensorView view;
  view.data = memory.get();
  view.dtype = theDType;
  view.rank = static_cast<int>(theDims.size());
  for (int i = 0; i < view.rank; ++i)
    view.dims[i] = theDims[i];
  view.setContiguous();
  return view;
}

std::string moe::shapeText(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

double moe::elementAsDouble(const HostTensor &tensor, int64_t index) {
  if (tensor.dtype() == DType::F16)
    return halfToFloat(loadElement<uint16_t>(tensor, index));
  if (tensor.dtype() == DType::BF16)
    return bfloat16ToFloat(loadElement<uint16_t>(tensor, index));
  return withElementType(tensor.dtype(), [&](auto example) {
    return static_cast<double>(loadElement<decltype(example)>(tensor, index));
  });
}

StatusOr<HostTensor> moe::convertTensor(const HostTensor &tensor, DType dtype) {
  auto describe = [&] {
    return "array '" + tensor.name() + "' of " +
           std::string(dtypeName(tensor.dtype()));
  };
  if (isFloat(tensor.dtype()) != isFloat(dtype))
    return Status(StatusCode::IoError,
                  describe() + ", expected " + std::string(dtypeName(dtype)));
  MOE_ASSIGN_OR_RETURN(HostTensor result,
                       HostTensor::create(tensor.name(), dtype, tensor.dims()));
  int64_t count = tensor.numElements();
  if (tensor.dtype() == dtype) {
    std::memcpy(result.bytes().data(), tensor.bytes().data(),
                tensor.bytes().size());
    return result;
  }
  if (isFloat(dtype)) {
    for (int64_t i = 0; i < count; ++i)
      storeFloat(result, i, elementAsDouble(tensor, i));
    return result;
  }
  for (int64_t i = 0; i < count; ++i) {
    bool fits = withElementType(tensor.dtype(), [&](auto example) {
      return storeInteger(result, i, loadElement<decltype(example)>(tensor, i));
    });
    if (!fits)
      return Status(StatusCode::IoError,
                    describe() + ": element " + std::to_string(i) +
                        " does not fit into " + std::string(dtypeName(dtype)));
  }
  return result;
}
