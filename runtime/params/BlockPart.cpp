//===- BlockPart.cpp - Parts of packed weights ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/BlockPart.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/Window.h"

#include <algorithm>
#include <cstring>

using namespace moe;

static int64_t productOf(std::span<const int64_t> dims) {
  int64_t product = 1;
  for (int64_t dim : dims)
    product *= dim;
  return product;
}

std::optional<Interval> moe::contiguousPart(std::string_view layout,
                                            DType dtype,
                                            std::span<const int64_t> dims,
                                            const HeldBlock &part) {
  auto width = static_cast<int64_t>(dtypeSize(dtype));
  auto axis = static_cast<size_t>(part.axis);
  Interval range = part.part;
  if (layout == kRowLayout) {
    if (productOf(dims.first(axis)) != 1)
      return std::nullopt;
    int64_t entryBytes = productOf(dims.subspan(axis + 1)) * width;
    return Interval{range.begin * entryBytes, range.end * entryBytes};
  }
  // A panel that is cut would have foreign columns where zeros belong.
  bool endsPanel = range.end % kPanelWidth == 0 || range.end == dims[1];
  if (axis != 1 || range.begin % kPanelWidth != 0 || !endsPanel)
    return std::nullopt;
  int64_t panelBytes = dims[0] * kPanelWidth * width;
  if (std::optional<QuantFormat> format = parseQuantLayout(layout))
    panelBytes = QuantPanel::of(*format, dims[0])->bytes;
  int64_t endPanel = (range.end + kPanelWidth - 1) / kPanelWidth;
  return Interval{range.begin / kPanelWidth * panelBytes,
                  endPanel * panelBytes};
}

/// Columns of each panel, of `width` bytes an element, to their places in the
/// rows.
static void readPanelWindow(int64_t width, std::span<const int64_t> dims,
                            const std::byte *block, const Window &window,
                            std::byte *out) {
  int64_t first = window.starts[1], end = first + window.sizes[1];
  for (int64_t column = first; column < end;) {
    int64_t panel = column / kPanelWidth;
    int64_t last = std::min(end, (panel + 1) * kPanelWidth);
    size_t bytes = static_cast<size_t>((last - column) * width);
    int64_t from = (panel * dims[0] + window.starts[0]) * kPanelWidth +
                   column % kPanelWidth;
    for (int64_t row = 0; row < window.sizes[0]; ++row)
      std::memcpy(out + (row * window.sizes[1] + column - first) * width,
                  block + (from + row * kPanelWidth) * width, bytes);
    column = last;
  }
}

void moe::readBlockWindow(std::string_view layout, DType dtype,
                          std::span<const int64_t> dims,
                          std::span<const std::byte> block,
                          std::span<const int64_t> starts,
                          std::span<const int64_t> sizes,
                          std::span<std::byte> out) {
  if (out.empty())
    return;
  Window window;
  window.rank = static_cast<int>(dims.size());
  std::copy(starts.begin(), starts.end(), window.starts.begin());
  std::copy(sizes.begin(), sizes.end(), window.sizes.begin());
  if (layout == kPanel16Layout)
    return readPanelWindow(static_cast<int64_t>(dtypeSize(dtype)), dims,
                           block.data(), window, out.data());
  Extents strides = rowMajor(dims);
  int64_t offset = 0;
  for (int i = 0; i < window.rank; ++i)
    offset += window.starts[i] * strides[i];
  size_t width = dtypeSize(dtype);
  copyStrided(window.rank, window.sizes,
              block.data() + static_cast<size_t>(offset) * width, strides,
              out.data(), rowMajor(sizes), width);
}
