//===- StreamPacked.cpp - Weights piece by piece into a layout ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/params/Window.h"

#include <algorithm>

using namespace moe;

static constexpr int64_t kPieceBytes = 8 << 20;

namespace {
/// What all pieces of one tensor share.
struct Stream {
  const WindowSource &source;
  DType dtype;
  std::string_view layout;
  const BytesSink &sink;
  std::vector<std::byte> rows = {};
  std::vector<std::byte> packed = {};

  int64_t bytesOf(const Window &window) const {
    return window.numElements() * static_cast<int64_t>(dtypeSize(dtype));
  }
  Status read(const Window &window) {
    rows.resize(bytesOf(window));
    auto rank = static_cast<size_t>(window.rank);
    return source({window.starts.data(), rank}, {window.sizes.data(), rank},
                  rows);
  }
  Status sendRows(const Window &window);
  Status sendPanels(const Window &window);
};
} // namespace

/// Cuts the window along its first long dimension until a part is small.
Status Stream::sendRows(const Window &window) {
  int dim = window.firstLongDim();
  if (bytesOf(window) <= kPieceBytes || dim == window.rank) {
    MOE_RETURN_IF_ERROR(read(window));
    return sink(rows);
  }
  Window part = window;
  part.sizes[dim] = 1;
  int64_t step = std::max<int64_t>(kPieceBytes / bytesOf(part), 1);
  for (int64_t i = 0; i < window.sizes[dim]; i += step) {
    part.starts[dim] = window.starts[dim] + i;
    part.sizes[dim] = std::min(step, window.sizes[dim] - i);
    MOE_RETURN_IF_ERROR(sendRows(part));
  }
  return Status::ok();
}

/// Some panels whole; if one is already too large, its rows in parts, which
/// follow each other in the layout.
Status Stream::sendPanels(const Window &window) {
  int64_t numRows = window.sizes[0];
  int64_t rowBytes = kPanelWidth * static_cast<int64_t>(dtypeSize(dtype));
  int64_t maxRows = kPieceBytes / rowBytes;
  int64_t numPanels = std::max<int64_t>(maxRows / numRows, 1);
  int64_t width = numPanels * kPanelWidth;
  Window part = window;
  for (int64_t n = 0; n < window.sizes[1]; n += width) {
    part.starts[1] = n;
    part.sizes[1] = std::min(width, window.sizes[1] - n);
    for (int64_t k = 0; k < numRows; k += maxRows) {
      part.starts[0] = k;
      part.sizes[0] = std::min(maxRows, numRows - k);
      MOE_RETURN_IF_ERROR(read(part));
      std::span<const int64_t> sizes(part.sizes.data(), 2);
      MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, sizes));
      packed.resize(bytes);
      MOE_RETURN_IF_ERROR(packLayout(layout, dtype, sizes, rows, packed));
      MOE_RETURN_IF_ERROR(sink(packed));
    }
  }
  return Status::ok();
}

Status moe::streamPacked(const WindowSource &source, DType dtype,
                         std::span<const int64_t> dims, std::string_view layout,
                         const BytesSink &sink) {
  MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, dims));
  if (bytes == 0)
    return Status::ok();
  Stream stream{source, dtype, layout, sink};
  if (layout == kRowLayout)
    return stream.sendRows(wholeWindow(dims));
  return stream.sendPanels(wholeWindow(dims));
}

Status moe::streamPacked(const ParamEvaluator &evaluator, uint32_t expr,
                         std::string_view layout, const BytesSink &sink) {
  WindowSource source = [&](std::span<const int64_t> starts,
                            std::span<const int64_t> sizes,
                            std::span<std::byte> out) {
    return evaluator.evaluate(expr, starts, sizes, out);
  };
  return streamPacked(source, evaluator.dtype(expr), evaluator.dims(expr),
                      layout, sink);
}
