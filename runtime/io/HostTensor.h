//===- HostTensor.h - A named tensor that owns its memory -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What files of arrays are read into and written from.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_HOSTTENSOR_H
#define MOE_RUNTIME_IO_HOSTTENSOR_H

#include "runtime/support/DType.h"
#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// A dense row-major tensor of at most kMaxRank dimensions in memory aligned
/// to 64 bytes.
class HostTensor {
public:
  HostTensor() = default;
  /// Zeroed. Errors: a negative dimension or too many (IoError), more bytes
  /// than size_t holds or the machine gives (OutOfMemory).
  static StatusOr<HostTensor> create(std::string name, DType dtype,
                                     std::vector<int64_t> dims);

  const std::string &name() const { return theName; }
  void rename(std::string name) { theName = std::move(name); }
  DType dtype() const { return theDType; }
  const std::vector<int64_t> &dims() const { return theDims; }
  int64_t numElements() const;
  std::span<std::byte> bytes() { return {memory.get(), numBytes}; }
  std::span<const std::byte> bytes() const { return {memory.get(), numBytes}; }
  /// The elements; T must have the size of the element type.
  template <typename T> std::span<T> as() {
    return {reinterpret_cast<T *>(memory.get()), numBytes / sizeof(T)};
  }
  template <typename T> std::span<const T> as() const {
    return {reinterpret_cast<const T *>(memory.get()), numBytes / sizeof(T)};
  }
  /// The same memory as a view.
  TensorView view() const;

private:
  struct Free {
    void operator()(std::byte *memory) const;
  };
  std::string theName;
  DType theDType = DType::F32;
  std::vector<int64_t> theDims;
  std::unique_ptr<std::byte, Free> memory;
  size_t numBytes = 0;
};

/// "[2, 3]", or "[]" for a scalar.
std::string shapeText(std::span<const int64_t> dims);

/// Element `index` as a double; 64-bit integers may be rounded.
double elementAsDouble(const HostTensor &tensor, int64_t index);

/// A copy with elements of another type. Floats become floats and integers
/// (or bool) become integers that hold their values; everything else is an
/// error (IoError) that names the tensor. This is how bf16 and f16 tensors of
/// a model are given and checked as f32 arrays.
StatusOr<HostTensor> convertTensor(const HostTensor &tensor, DType dtype);

} // namespace moe

#endif // MOE_RUNTIME_IO_HOSTTENSOR_H
