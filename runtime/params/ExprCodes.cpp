//===- ExprCodes.cpp - Codes, scales and zero points of weights -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ExprCodes.h"
#include "runtime/params/Elements.h"
#include "runtime/params/ExprWindows.h"
#include "runtime/params/StreamPacked.h"

#include <algorithm>
#include <map>

using namespace moe;
using plan::ParamExprT;

namespace {

/// What of each block or number an expression gives.
enum class Plane { Codes, Scales, Zeros, Numbers };

/// The expressions that stand for the planes of one.
class PlaneBuilder {
public:
  PlaneBuilder(const plan::ProgramT &tables, QuantExprs &quants,
               ExprWindows::Exprs &made)
      : tables(tables), quants(quants), made(made) {}

  uint32_t planeOf(uint32_t expr, Plane plane);
  /// Of a matrix [K, N], as [N, K].
  uint32_t columnsOf(uint32_t expr, Plane plane);

private:
  const ParamExprT &at(uint32_t expr) const {
    size_t count = tables.param_exprs.size();
    return expr < count ? *tables.param_exprs[expr] : made[expr - count];
  }
  uint32_t add(ParamExprT expr) {
    made.push_back(std::move(expr));
    return static_cast<uint32_t>(tables.param_exprs.size() + made.size() - 1);
  }
  uint32_t unpacked(uint32_t operand, int64_t bits, std::vector<int64_t> dims);
  uint32_t moved(uint32_t expr, Plane plane);

  const plan::ProgramT &tables;
  QuantExprs &quants;
  ExprWindows::Exprs &made;
  std::map<std::pair<uint32_t, Plane>, uint32_t> known;
};

} // namespace

uint32_t PlaneBuilder::unpacked(uint32_t operand, int64_t bits,
                                std::vector<int64_t> dims) {
  ParamExprT expr;
  expr.kind = kUnpackCodes;
  expr.operands = {operand};
  expr.ints = {bits};
  expr.dtype = static_cast<uint8_t>(DType::U8);
  expr.dims = std::move(dims);
  return add(std::move(expr));
}

uint32_t PlaneBuilder::planeOf(uint32_t index, Plane plane) {
  auto [slot, isNew] = known.try_emplace({index, plane});
  if (!isNew)
    return slot->second;
  const ParamExprT &expr = at(index);
  uint32_t result;
  if (expr.kind == plan::ParamExprKind_Quantize) {
    result = expr.operands[0];
  } else if (expr.kind != plan::ParamExprKind_Dequantize) {
    result = moved(index, plane);
  } else if (plane == Plane::Scales) {
    result = expr.operands[1];
  } else if (plane == Plane::Codes) {
    result = unpacked(expr.operands[0], expr.ints[0], expr.dims);
  } else {
    result =
        unpacked(expr.operands[2], expr.ints[0], at(expr.operands[1]).dims);
  }
  return slot->second = result;
}

/// The same movement of a plane of the operands.
uint32_t PlaneBuilder::moved(uint32_t index, Plane plane) {
  const QuantExpr quant = *quants.of(index);
  ParamExprT expr = at(index);
  const ParamExprT &from = at(expr.operands[0]);
  bool isSlice = expr.kind == plan::ParamExprKind_Slice;
  if (plane == Plane::Scales || plane == Plane::Zeros) {
    int64_t &size = expr.dims[quant.axis];
    int64_t block = quants.of(expr.operands[0])->block;
    if (isSlice)
      expr.ints[quant.axis] = block == 0 ? 0 : expr.ints[quant.axis] / block;
    size = block == 0 ? std::min<int64_t>(size, 1)
                      : size / block + (size % block != 0);
  }
  if (isSlice && from.kind == plan::ParamExprKind_Stack && expr.dims[0] == 1) {
    // Of one entry of many only this one is needed.
    uint32_t entry = planeOf(from.operands[expr.ints[0]], plane);
    ParamExprT stack;
    stack.kind = plan::ParamExprKind_Stack;
    stack.operands = {entry};
    const ParamExprT &part = at(entry);
    stack.dtype = part.dtype;
    stack.dims = part.dims;
    stack.dims.insert(stack.dims.begin(), 1);
    expr.ints[0] = 0;
    expr.operands = {add(std::move(stack))};
  } else {
    for (uint32_t &operand : expr.operands)
      operand = planeOf(operand, plane);
  }
  expr.dtype = at(expr.operands[0]).dtype;
  return add(std::move(expr));
}

uint32_t PlaneBuilder::columnsOf(uint32_t index, Plane plane) {
  const ParamExprT &expr = at(index);
  if (expr.kind == plan::ParamExprKind_Transpose && expr.ints[0] == 1)
    return planeOf(expr.operands[0], plane);
  uint32_t rows = planeOf(index, plane);
  const ParamExprT &from = at(rows);
  ParamExprT transpose;
  transpose.kind = plan::ParamExprKind_Transpose;
  transpose.operands = {rows};
  transpose.ints = {1, 0};
  transpose.dtype = from.dtype;
  transpose.dims = {from.dims[1], from.dims[0]};
  return add(std::move(transpose));
}

namespace {
/// The codes of a file.
struct FileCodes {
  ExprWindows::Exprs made;
  ExprWindows windows;
  QuantFormat format;
  /// Added to each code, so that codes of 2 bits count from 8.
  uint8_t shift = 0;
  uint32_t codes = 0, scales = 0;
  std::optional<uint32_t> zeros;

  FileCodes(const plan::ProgramT &tables, WeightFiles &files,
            const QuantFormat &format)
      : windows(tables, files, &made), format(format) {}
  Status read(const QuantWindow &window, QuantPiece &piece) const;
};
} // namespace

Status FileCodes::read(const QuantWindow &window, QuantPiece &piece) const {
  piece.reset(window, format.block);
  Window inner;
  inner.rank = 2;
  inner.starts = {window.firstColumn, window.firstRow};
  inner.sizes = {window.numColumns, window.numRows};
  MOE_RETURN_IF_ERROR(windows.evaluate(
      codes, inner, reinterpret_cast<std::byte *>(piece.codes.data())));
  if (shift != 0)
    for (uint8_t &code : piece.codes)
      code += shift;
  inner.starts[1] = piece.firstBlock();
  inner.sizes[1] = piece.numBlocks;
  MOE_RETURN_IF_ERROR(windows.readFloats(
      scales, inner, reinterpret_cast<std::byte *>(piece.scales.data())));
  std::fill(piece.zeros.begin(), piece.zeros.end(),
            static_cast<uint8_t>(format.zero()));
  if (!zeros)
    return Status::ok();
  return windows.evaluate(*zeros, inner,
                          reinterpret_cast<std::byte *>(piece.zeros.data()));
}

QuantSource moe::codesOfExpr(const plan::ProgramT &tables, WeightFiles &files,
                             QuantExprs &quants, uint32_t expr,
                             const QuantFormat &format) {
  const QuantExpr quant = *quants.of(expr);
  auto from = std::make_shared<FileCodes>(tables, files, format);
  PlaneBuilder builder(tables, quants, from->made);
  if (quant.isRounded) {
    uint32_t numbers = builder.planeOf(expr, Plane::Numbers);
    int64_t depth = tables.param_exprs[expr]->dims[0];
    return roundedCodes(format, depth,
                        [from, numbers](std::span<const int64_t> starts,
                                        std::span<const int64_t> sizes,
                                        std::span<std::byte> out) {
                          Window window;
                          window.rank = 2;
                          std::copy_n(starts.begin(), 2, window.starts.begin());
                          std::copy_n(sizes.begin(), 2, window.sizes.begin());
                          return from->windows.readFloats(numbers, window,
                                                          out.data());
                        });
  }
  from->codes = builder.columnsOf(expr, Plane::Codes);
  from->scales = builder.columnsOf(expr, Plane::Scales);
  if (quant.hasZeroPoints)
    from->zeros = builder.columnsOf(expr, Plane::Zeros);
  else
    from->shift = static_cast<uint8_t>(format.zero() - (1 << (quant.bits - 1)));
  return [from](const QuantWindow &window, QuantPiece &piece) {
    return from->read(window, piece);
  };
}
