//===- Layouts.cpp - How weights lie in memory ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

using namespace moe;

static Status layoutError(std::string_view layout, const std::string &what) {
  return Status(StatusCode::BadPlan,
                "layout '" + std::string(layout) + "' " + what);
}

StatusOr<uint64_t> moe::layoutBytes(std::string_view layout, DType dtype,
                                    std::span<const int64_t> dims) {
  std::optional<uint64_t> bytes;
  if (layout == kRowLayout) {
    bytes = checkedProduct(dims, dtypeSize(dtype));
  } else if (layout == kPanel16Layout) {
    if (!isPanelType(dtype) || dims.size() != 2)
      return layoutError(layout, "holds matrices of f32, f16 or bf16, not " +
                                     std::string(dtypeName(dtype)) +
                                     " tensors of rank " +
                                     std::to_string(dims.size()));
    if (dims[1] <= INT64_MAX - kPanelWidth) {
      int64_t numPanels = (dims[1] + kPanelWidth - 1) / kPanelWidth;
      bytes = checkedProduct(
          std::array{dims[0], dims[1] < 0 ? -1 : numPanels, kPanelWidth},
          dtypeSize(dtype));
    }
  } else {
    return layoutError(layout, "is not known");
  }
  if (!bytes)
    return layoutError(layout, "has a size that is negative or overflows");
  return *bytes;
}

/// Checks both sizes and gives the bytes of the packed block.
static Status checkSizes(std::string_view layout, DType dtype,
                         std::span<const int64_t> dims, size_t rowBytes,
                         size_t packedBytes) {
  MOE_ASSIGN_OR_RETURN(uint64_t row, layoutBytes(kRowLayout, dtype, dims));
  MOE_ASSIGN_OR_RETURN(uint64_t packed, layoutBytes(layout, dtype, dims));
  if (row != rowBytes || packed != packedBytes)
    return layoutError(layout, "has " + std::to_string(rowBytes) + " and " +
                                   std::to_string(packedBytes) +
                                   " bytes, expected " + std::to_string(row) +
                                   " and " + std::to_string(packed));
  return Status::ok();
}

Status moe::packLayout(std::string_view layout, DType dtype,
                       std::span<const int64_t> dims,
                       std::span<const std::byte> from,
                       std::span<std::byte> to) {
  MOE_RETURN_IF_ERROR(checkSizes(layout, dtype, dims, from.size(), to.size()));
  if (from.empty())
    return Status::ok();
  if (layout == kRowLayout) {
    std::memcpy(to.data(), from.data(), from.size());
    return Status::ok();
  }
  size_t size = dtypeSize(dtype), width = kPanelWidth * size;
  std::byte *out = to.data();
  for (int64_t first = 0; first < dims[1]; first += kPanelWidth) {
    size_t used = std::min(kPanelWidth, dims[1] - first) * size;
    const std::byte *in = from.data() + first * size;
    for (int64_t k = 0; k < dims[0]; ++k) {
      std::memcpy(out, in, used);
      std::memset(out + used, 0, width - used);
      out += width;
      in += dims[1] * size;
    }
  }
  return Status::ok();
}

Status moe::unpackLayout(std::string_view layout, DType dtype,
                         std::span<const int64_t> dims,
                         std::span<const std::byte> from,
                         std::span<std::byte> to) {
  MOE_RETURN_IF_ERROR(checkSizes(layout, dtype, dims, to.size(), from.size()));
  if (to.empty())
    return Status::ok();
  if (layout == kRowLayout) {
    std::memcpy(to.data(), from.data(), from.size());
    return Status::ok();
  }
  size_t size = dtypeSize(dtype);
  const std::byte *in = from.data();
  for (int64_t first = 0; first < dims[1]; first += kPanelWidth) {
    size_t used = std::min(kPanelWidth, dims[1] - first) * size;
    std::byte *out = to.data() + first * size;
    for (int64_t k = 0; k < dims[0]; ++k) {
      std::memcpy(out, in, used);
      in += kPanelWidth * size;
      out += dims[1] * size;
    }
  }
  return Status::ok();
}
