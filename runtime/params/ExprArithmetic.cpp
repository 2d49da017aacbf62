//===- ExprArithmetic.cpp - Windows of weights that are computed ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Elements.h"
#include "runtime/params/ExprWindows.h"
#include "runtime/params/Quantize.h"
#include "runtime/params/StreamPacked.h"

#include <algorithm>

using namespace moe;
using plan::ParamExprT;

using Bytes = ExprWindows::Bytes;

/// The window of an operand that is broadcast to the dimensions of its user.
StatusOr<Bytes> ExprWindows::broadcast(uint32_t operand,
                                       const Window &window) const {
  const ParamExprT &expr = at(operand);
  int rank = static_cast<int>(expr.dims.size());
  int missing = window.rank - rank;
  Window inner;
  inner.rank = rank;
  bool isWhole = missing == 0;
  for (int i = 0; i < rank; ++i) {
    bool grows = expr.dims[i] == 1;
    inner.starts[i] = grows ? 0 : window.starts[missing + i];
    inner.sizes[i] = grows ? 1 : window.sizes[missing + i];
    isWhole &= inner.sizes[i] == window.sizes[missing + i];
  }
  MOE_ASSIGN_OR_RETURN(Bytes bytes, evaluate(operand, inner));
  if (isWhole)
    return bytes;
  Extents innerStrides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(rank)});
  Extents strides = {};
  for (int i = 0; i < rank; ++i)
    strides[missing + i] = inner.sizes[i] == 1 ? 0 : innerStrides[i];
  Bytes out(window.numElements() * elementBytes(expr));
  copyStrided(window.rank, window.sizes, bytes.data(), strides, out.data(),
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return out;
}

Status ExprWindows::combine(const ParamExprT &expr, const Window &window,
                            std::byte *out) const {
  MOE_ASSIGN_OR_RETURN(Bytes a, broadcast(expr.operands[0], window));
  MOE_ASSIGN_OR_RETURN(Bytes b, broadcast(expr.operands[1], window));
  combineElements(
      expr.kind == plan::ParamExprKind_Add ? ElementOp::Add : ElementOp::Mul,
      DType(expr.dtype), a.data(), b.data(), out, window.numElements());
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

template <unsigned kBits>
static void unpackRow(const std::byte *packed, uint64_t first, int64_t count,
                      std::byte mask, std::byte *out) {
  constexpr uint64_t kPerByte = 8 / kBits;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t at = first + static_cast<uint64_t>(i);
    out[i] = packed[at / kPerByte] >> (at % kPerByte * kBits) & mask;
  }
}

/// Codes of an operand that has `count` of them in a row, a byte each.
Status ExprWindows::unpack(uint32_t operand, int64_t bits, int64_t count,
                           const Window &window, std::byte *out) const {
  int last = window.rank - 1;
  bool isPacked = at(operand).dims[last] != count;
  int64_t perByte = isPacked ? 8 / bits : 1;
  int64_t first = window.starts[last], size = window.sizes[last];
  Window inner = window;
  inner.starts[last] = first / perByte;
  inner.sizes[last] = (first + size - 1) / perByte - first / perByte + 1;
  MOE_ASSIGN_OR_RETURN(Bytes bytes, evaluate(operand, inner));
  auto mask = static_cast<std::byte>((1 << bits) - 1);
  auto unpackAs = perByte == 1   ? unpackRow<8>
                  : perByte == 2 ? unpackRow<4>
                                 : unpackRow<2>;
  int64_t numRows = window.numElements() / size;
  for (int64_t row = 0; row < numRows; ++row)
    unpackAs(bytes.data() + row * inner.sizes[last], first % perByte, size,
             mask, out + row * size);
  return Status::ok();
}

Status ExprWindows::dequantize(const ParamExprT &expr, const Window &window,
                               std::byte *out) const {
  int64_t bits = expr.ints[0];
  int last = window.rank - 1;
  int64_t block = expr.ints[1] == 0 ? expr.dims[last] : expr.ints[1];
  int64_t first = window.starts[last], size = window.sizes[last];
  int64_t firstBlock = first / block;
  Window blocks = window;
  blocks.starts[last] = firstBlock;
  blocks.sizes[last] = (first + size - 1) / block - firstBlock + 1;
  int64_t numBlocks = blocks.sizes[last];

  Bytes codes(window.numElements());
  MOE_RETURN_IF_ERROR(
      unpack(expr.operands[0], bits, expr.dims[last], window, codes.data()));
  MOE_ASSIGN_OR_RETURN(Bytes scaleBytes, evaluate(expr.operands[1], blocks));
  std::vector<float> scales(blocks.numElements());
  convertElements(DType(at(expr.operands[1]).dtype), scaleBytes.data(),
                  DType::F32, reinterpret_cast<std::byte *>(scales.data()),
                  scales.size());
  Bytes zeros(scales.size(), static_cast<std::byte>(1 << (bits - 1)));
  if (expr.operands.size() == 3)
    MOE_RETURN_IF_ERROR(unpack(expr.operands[2], bits,
                               at(expr.operands[1]).dims[last], blocks,
                               zeros.data()));

  std::vector<float> row(size);
  int64_t numRows = window.numElements() / size;
  for (int64_t r = 0; r < numRows; ++r) {
    for (int64_t i = 0; i < size; ++i) {
      int64_t at = r * numBlocks + (first + i) / block - firstBlock;
      row[i] = dequantized(static_cast<uint8_t>(codes[r * size + i]),
                           {scales[at], static_cast<int>(zeros[at])});
    }
    convertElements(DType::F32, reinterpret_cast<std::byte *>(row.data()),
                    DType(expr.dtype), out + r * size * elementBytes(expr),
                    size);
  }
  return Status::ok();
}

Status ExprWindows::readFloats(uint32_t index, const Window &window,
                               std::byte *out) const {
  MOE_ASSIGN_OR_RETURN(Bytes bytes, evaluate(index, window));
  convertElements(DType(at(index).dtype), bytes.data(), DType::F32, out,
                  window.numElements());
  return Status::ok();
}

/// Matrix after matrix; each window of codes covers whole blocks of numbers.
Status ExprWindows::quantize(const ParamExprT &expr, const Window &window,
                             std::byte *out) const {
  int rows = window.rank - 2;
  int64_t depth = expr.dims[rows];
  QuantFormat format;
  format.bits = static_cast<int>(expr.ints[0]);
  format.block = quantBlock(expr.ints[1], depth);
  format.hasZeroPoints = expr.ints[2] != 0;
  Window matrix = window;
  WindowSource numbers = [&](std::span<const int64_t> starts,
                             std::span<const int64_t> sizes,
                             std::span<std::byte> to) {
    Window inner = matrix;
    std::copy_n(starts.begin(), 2, inner.starts.begin() + rows);
    std::copy_n(sizes.begin(), 2, inner.sizes.begin() + rows);
    return readFloats(expr.operands[0], inner, to.data());
  };
  WindowSource values = dequantizedWindows(roundedCodes(format, depth, numbers),
                                           DType(expr.dtype));
  std::span<const int64_t> starts(window.starts.data() + rows, 2);
  std::span<const int64_t> sizes(window.sizes.data() + rows, 2);
  size_t bytes = sizes[0] * sizes[1] * elementBytes(expr);
  std::fill_n(matrix.sizes.begin(), rows, 1);
  Extents done = {};
  for (;; out += bytes) {
    for (int i = 0; i < rows; ++i)
      matrix.starts[i] = window.starts[i] + done[i];
    MOE_RETURN_IF_ERROR(values(starts, sizes, {out, bytes}));
    int i = rows;
    while (i-- > 0 && ++done[i] == window.sizes[i])
      done[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}
