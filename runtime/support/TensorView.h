//===- TensorView.h - A tensor in somebody's memory -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_TENSORVIEW_H
#define MOE_RUNTIME_SUPPORT_TENSORVIEW_H

#include "runtime/support/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moe {

inline constexpr int kMaxRank = 8;

/// One weight block as a kernel sees it: the bytes of one (parameter, expert)
/// in a layout that the kernel registered ("row", "panel16", ...).
struct BlockView {
  const std::byte *data = nullptr;
  size_t bytes = 0;
  /// Elements of the block along the dimension that ranks divide (Param's
  /// part_axis), or -1: this rank holds the whole block.
  int64_t sliceSize = -1;
};

/// Shape, strides and memory of a tensor. Strides count elements and may be 0
/// (broadcast). A view owns nothing. An absent optional operand has rank -1.
struct TensorView {
  void *data = nullptr;
  DType dtype = DType::F32;
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};
  /// Parameters only. A dense parameter has one block. A parameter of experts
  /// has one block for each expert that this rank holds, in the order of its
  /// placement; `dims` are then those of one whole expert, also where a block
  /// is only a slice of it.
  std::span<const BlockView> blocks;
  /// Layout of the blocks.
  std::string_view layout = "row";

  bool present() const { return rank >= 0; }
  int64_t numElements() const {
    int64_t count = 1;
    for (int i = 0; i < rank; ++i)
      count *= dims[i];
    return count;
  }
  /// Row major without holes (dimensions of size 1 have no say).
  bool isContiguous() const {
    int64_t expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (dims[i] != 1 && strides[i] != expected)
        return false;
      expected *= dims[i];
    }
    return true;
  }
  /// Sets row-major strides from `dims`.
  void setContiguous() {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; --i) {
      strides[i] = stride;
      stride *= dims[i];
    }
  }
  template <typename T> T *as() const { return static_cast<T *>(data); }
};

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_TENSORVIEW_H
