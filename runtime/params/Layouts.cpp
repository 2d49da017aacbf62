//===- Layouts.cpp - How weights lie in memory ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"
#include "runtime/params/StreamPacked.h"
#include "runtime/params/Window.h"
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

/// Bytes of panels of `panelBytes` each for a matrix with these columns.
static std::optional<uint64_t> panelsBytes(int64_t columns,
                                           uint64_t panelBytes) {
  if (columns > INT64_MAX - kPanelWidth)
    return std::nullopt;
  int64_t numPanels = (columns + kPanelWidth - 1) / kPanelWidth;
  return checkedProduct(std::array{columns < 0 ? -1 : numPanels}, panelBytes);
}

StatusOr<uint64_t> moe::layoutBytes(std::string_view layout, DType dtype,
                                    std::span<const int64_t> dims) {
  std::optional<QuantFormat> quant = parseQuantLayout(layout);
  if (!quant && layout != kRowLayout && layout != kPanel16Layout)
    return layoutError(layout, "is not known");
  std::optional<uint64_t> bytes;
  if (layout == kRowLayout) {
    bytes = checkedProduct(dims, dtypeSize(dtype));
  } else if (!isPanelType(dtype) || dims.size() != 2) {
    return layoutError(layout, "holds matrices of f32, f16 or bf16, not " +
                                   std::string(dtypeName(dtype)) +
                                   " tensors of rank " +
                                   std::to_string(dims.size()));
  } else if (quant) {
    MOE_ASSIGN_OR_RETURN(QuantPanel panel, QuantPanel::of(*quant, dims[0]));
    bytes = panelsBytes(dims[1], panel.bytes);
  } else if (auto panelBytes = checkedProduct(std::array{dims[0], kPanelWidth},
                                              dtypeSize(dtype))) {
    bytes = panelsBytes(dims[1], *panelBytes);
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
  if (parseQuantLayout(layout))
    return layoutError(layout,
                       "is one of codes: floats do not say their scale");
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
  if (std::optional<QuantFormat> format = parseQuantLayout(layout))
    return dequantizedWindows(packedCodes(*format, dims, from),
                              dtype)(std::array<int64_t, 2>{}, dims, to);
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

Status moe::packRounded(const QuantFormat &format,
                        std::span<const int64_t> dims,
                        std::span<const float> from, std::span<std::byte> to) {
  std::string layout = quantLayoutName(format);
  MOE_RETURN_IF_ERROR(
      checkSizes(layout, DType::F32, dims, from.size_bytes(), to.size()));
  WindowSource numbers = [&](std::span<const int64_t> starts,
                             std::span<const int64_t> sizes,
                             std::span<std::byte> window) {
    copyStrided(
        2, {sizes[0], sizes[1]},
        std::as_bytes(from.subspan(starts[0] * dims[1] + starts[1])).data(),
        rowMajor(dims), window.data(), rowMajor(sizes), sizeof(float));
    return Status::ok();
  };
  std::byte *out = to.data();
  return streamPacked(roundedCodes(format, dims[0], numbers), format, dims,
                      [&](std::span<const std::byte> piece) {
                        out = std::copy(piece.begin(), piece.end(), out);
                        return Status::ok();
                      });
}
