//===- ExprMoves.cpp - Windows of weights that are moved ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ExprWindows.h"

#include <algorithm>

using namespace moe;
using plan::ParamExprT;

using Bytes = ExprWindows::Bytes;

Status ExprWindows::slice(const ParamExprT &expr, const Window &window,
                          std::byte *out) const {
  // Steps up to this are read with the elements between them.
  constexpr int64_t kSmallStep = 16;
  const int64_t *starts = expr.ints.data(), *steps = starts + window.rank;
  Window inner = window;
  int stepped = -1;
  bool needsSplit = false;
  for (int i = 0; i < window.rank; ++i) {
    inner.starts[i] = starts[i] + window.starts[i] * steps[i];
    if (window.sizes[i] == 1 || steps[i] == 1)
      continue;
    needsSplit |= stepped != -1 || std::abs(steps[i]) > kSmallStep;
    stepped = i;
  }
  if (stepped == -1)
    return evaluate(expr.operands[0], inner, out);
  if (needsSplit) {
    Window part = window;
    int dim = window.firstLongDim();
    part.sizes[dim] = 1;
    size_t partBytes = part.numElements() * elementBytes(expr);
    for (int64_t i = 0; i < window.sizes[dim]; ++i, out += partBytes) {
      part.starts[dim] = window.starts[dim] + i;
      MOE_RETURN_IF_ERROR(slice(expr, part, out));
    }
    return Status::ok();
  }

  int64_t step = steps[stepped];
  int64_t reach = (window.sizes[stepped] - 1) * step;
  inner.starts[stepped] += std::min<int64_t>(reach, 0);
  inner.sizes[stepped] = std::abs(reach) + 1;
  MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], inner));
  Extents strides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(inner.rank)});
  const std::byte *first = from.data();
  if (step < 0)
    first -= reach * strides[stepped] * elementBytes(expr);
  strides[stepped] *= step;
  copyStrided(window.rank, window.sizes, first, strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

Status ExprWindows::transpose(const ParamExprT &expr, const Window &window,
                              std::byte *out) const {
  Window inner = window;
  for (int i = 0; i < window.rank; ++i) {
    inner.starts[expr.ints[i]] = window.starts[i];
    inner.sizes[expr.ints[i]] = window.sizes[i];
  }
  MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], inner));
  Extents innerStrides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(inner.rank)});
  Extents strides = {};
  for (int i = 0; i < window.rank; ++i)
    strides[i] = innerStrides[expr.ints[i]];
  copyStrided(window.rank, window.sizes, from.data(), strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

/// Calls function(window) for windows of the first `rank` dimensions of `dims`
/// that together are the elements [begin, begin + count) in row-major order.
/// Dimensions before `level` are already fixed in `window`.
template <typename Function>
static Status forEachBox(std::span<const int64_t> dims, int level, int rank,
                         int64_t begin, int64_t count, Window &window,
                         Function function) {
  if (level == rank)
    return function(window);
  int64_t inner = 1;
  for (int i = level + 1; i < rank; ++i)
    inner *= dims[i];
  while (count > 0) {
    window.starts[level] = begin / inner;
    int64_t offset = begin % inner;
    int64_t taken;
    if (offset == 0 && count >= inner) {
      window.sizes[level] = count / inner;
      taken = window.sizes[level] * inner;
      for (int i = level + 1; i < rank; ++i) {
        window.starts[i] = 0;
        window.sizes[i] = dims[i];
      }
      MOE_RETURN_IF_ERROR(function(window));
    } else {
      window.sizes[level] = 1;
      taken = std::min(count, inner - offset);
      MOE_RETURN_IF_ERROR(
          forEachBox(dims, level + 1, rank, offset, taken, window, function));
    }
    begin += taken;
    count -= taken;
  }
  return Status::ok();
}

/// Last dimensions that are equal keep their part of the window; those in
/// front are walked in row-major order.
Status ExprWindows::reshape(const ParamExprT &expr, const Window &window,
                            std::byte *out) const {
  const std::vector<int64_t> &from = at(expr.operands[0]).dims;
  int rank = window.rank, fromRank = static_cast<int>(from.size());
  int common = 0;
  while (common < std::min(rank, fromRank) &&
         from[fromRank - 1 - common] == expr.dims[rank - 1 - common])
    ++common;
  int front = rank - common, fromFront = fromRank - common;

  Window inner;
  inner.rank = fromRank;
  for (int i = 0; i < common; ++i) {
    inner.starts[fromFront + i] = window.starts[front + i];
    inner.sizes[fromFront + i] = window.sizes[front + i];
  }
  // Dimensions [run, front) of the window are one run in row-major order.
  int run = front;
  int64_t runSize = 1;
  while (run > 0) {
    --run;
    runSize *= window.sizes[run];
    if (window.sizes[run] != expr.dims[run])
      break;
  }
  Extents strides = rowMajor({expr.dims.data(), static_cast<size_t>(front)});
  Extents at = {};
  for (;;) {
    int64_t begin = 0;
    for (int i = 0; i < front; ++i)
      begin += (window.starts[i] + at[i]) * strides[i];
    MOE_RETURN_IF_ERROR(forEachBox(
        from, 0, fromFront, begin, runSize, inner, [&](const Window &box) {
          Status status = evaluate(expr.operands[0], box, out);
          out += box.numElements() * elementBytes(expr);
          return status;
        }));
    int i = run;
    while (i-- > 0 && ++at[i] == window.sizes[i])
      at[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}

Status ExprWindows::concat(const ParamExprT &expr, const Window &window,
                           std::byte *out) const {
  auto axis = static_cast<int>(expr.ints[0]);
  int64_t begin = window.starts[axis], end = begin + window.sizes[axis];
  Extents strides =
      rowMajor({window.sizes.data(), static_cast<size_t>(window.rank)});
  int64_t position = 0;
  for (uint32_t operand : expr.operands) {
    int64_t size = at(operand).dims[axis];
    int64_t first = std::max(begin, position);
    int64_t last = std::min(end, position + size);
    if (first < last) {
      Window part = window;
      part.starts[axis] = first - position;
      part.sizes[axis] = last - first;
      std::byte *to =
          out + (first - begin) * strides[axis] * elementBytes(expr);
      if (window.firstLongDim() >= axis) {
        MOE_RETURN_IF_ERROR(evaluate(operand, part, to));
      } else {
        MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(operand, part));
        copyStrided(part.rank, part.sizes, from.data(),
                    rowMajor({part.sizes.data(), size_t(part.rank)}), to,
                    strides, elementBytes(expr));
      }
    }
    position += size;
  }
  return Status::ok();
}

Status ExprWindows::stack(const ParamExprT &expr, const Window &window,
                          std::byte *out) const {
  Window part;
  part.rank = window.rank - 1;
  for (int i = 0; i < part.rank; ++i) {
    part.starts[i] = window.starts[i + 1];
    part.sizes[i] = window.sizes[i + 1];
  }
  size_t partBytes = part.numElements() * elementBytes(expr);
  for (int64_t i = 0; i < window.sizes[0]; ++i)
    MOE_RETURN_IF_ERROR(evaluate(expr.operands[window.starts[0] + i], part,
                                 out + i * partBytes));
  return Status::ok();
}

/// All that lies between the first and the last entry is read.
Status ExprWindows::take(const ParamExprT &expr, const Window &window,
                         std::byte *out) const {
  auto axis = static_cast<int>(expr.ints[0]);
  auto entries =
      std::span(expr.ints).subspan(1 + window.starts[axis], window.sizes[axis]);
  auto [least, most] = std::minmax_element(entries.begin(), entries.end());
  Window inner = window;
  inner.starts[axis] = *least;
  inner.sizes[axis] = *most - *least + 1;
  MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], inner));
  size_t entryBytes = elementBytes(expr);
  for (int i = axis + 1; i < window.rank; ++i)
    entryBytes *= window.sizes[i];
  const std::byte *end = from.data() + from.size();
  for (const std::byte *row = from.data(); row < end;
       row += inner.sizes[axis] * entryBytes)
    for (int64_t entry : entries)
      out = std::copy_n(row + (entry - *least) * entryBytes, entryBytes, out);
  return Status::ok();
}
