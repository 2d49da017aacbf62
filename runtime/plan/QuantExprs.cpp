//===- QuantExprs.cpp - Weights that come as codes ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/QuantExprs.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/Quantize.h"
#include "runtime/plan/Plan_generated.h"

#include <algorithm>

using namespace moe;
using plan::ParamExprT;

/// Larger dimensions are refused, so that rounding them up cannot overflow.
static constexpr int64_t kMaxDepth = int64_t(1) << 56;

const ParamExprT &QuantExprs::at(uint32_t expr) const {
  return *tables.param_exprs[expr];
}

const std::optional<QuantExpr> &QuantExprs::of(uint32_t expr) {
  // Operands come before their users.
  while (known.size() <= expr)
    known.push_back(analyse(at(static_cast<uint32_t>(known.size()))));
  return known[expr];
}

std::optional<QuantFormat> QuantExprs::formatOf(uint32_t expr) {
  const Result &quant = of(expr);
  const std::vector<int64_t> &dims = at(expr).dims;
  if (!quant || dims.size() != 2 || quant->axis != 0 || dims[0] > kMaxDepth)
    return std::nullopt;
  QuantFormat format;
  format.bits = std::max(quant->bits, 4);
  format.block = quantBlock(quant->block, dims[0]);
  format.scales = quant->scales;
  format.hasZeroPoints = quant->hasZeroPoints;
  if (format.block == 0 || !QuantPanel::of(format, dims[0]).isOk())
    return std::nullopt;
  return format;
}

std::optional<QuantExpr> QuantExprs::analyse(const ParamExprT &expr) const {
  if (!isPanelType(DType(expr.dtype)))
    return std::nullopt;
  if (expr.kind == plan::ParamExprKind_Dequantize)
    return dequantize(expr);
  if (expr.kind == plan::ParamExprKind_Quantize)
    return quantize(expr);
  if (expr.operands.empty() || !known[expr.operands[0]])
    return std::nullopt;
  QuantExpr from = *known[expr.operands[0]];
  switch (expr.kind) {
  case plan::ParamExprKind_Slice:
    return slice(expr, from);
  case plan::ParamExprKind_Transpose:
    from.axis = static_cast<int>(
        std::find(expr.ints.begin(), expr.ints.end(), from.axis) -
        expr.ints.begin());
    return from;
  case plan::ParamExprKind_Reshape:
    return reshape(expr, from);
  case plan::ParamExprKind_Concat:
  case plan::ParamExprKind_Stack:
    return join(expr, from);
  default:
    return std::nullopt;
  }
}

/// A block as large as its dimension is all of it.
static int64_t normalBlock(int64_t block, int64_t depth) {
  return block >= depth ? 0 : block;
}

std::optional<QuantExpr> QuantExprs::dequantize(const ParamExprT &expr) const {
  QuantExpr quant;
  quant.bits = static_cast<int>(expr.ints[0]);
  quant.axis = static_cast<int>(expr.dims.size()) - 1;
  quant.block = normalBlock(expr.ints[1], expr.dims.back());
  // Scales that were f16 are the same numbers in f32.
  const ParamExprT &given = at(expr.operands[1]);
  auto scales = DType(given.dtype);
  if (given.kind == plan::ParamExprKind_Cast && scales == DType::F32 &&
      DType(at(given.operands[0]).dtype) == DType::F16)
    scales = DType::F16;
  if (scales == DType::F64)
    return std::nullopt;
  quant.scales = scales == DType::F16 ? DType::F16 : DType::F32;
  quant.hasZeroPoints = expr.operands.size() == 3;
  return quant;
}

std::optional<QuantExpr> QuantExprs::quantize(const ParamExprT &expr) const {
  QuantExpr quant;
  quant.isRounded = true;
  quant.bits = static_cast<int>(expr.ints[0]);
  quant.axis = static_cast<int>(expr.dims.size()) - 2;
  quant.block = normalBlock(expr.ints[1], expr.dims[quant.axis]);
  quant.hasZeroPoints = expr.ints[2] != 0;
  return quant;
}

std::optional<QuantExpr> QuantExprs::slice(const ParamExprT &expr,
                                           QuantExpr from) const {
  auto axis = static_cast<size_t>(from.axis);
  int64_t start = expr.ints[axis], step = expr.ints[expr.dims.size() + axis];
  int64_t count = expr.dims[axis], size = at(expr.operands[0]).dims[axis];
  if (start == 0 && count == size && step == 1)
    return from;
  if (step != 1)
    return std::nullopt;
  bool begins = from.block == 0 || start % from.block == 0;
  bool ends = start + count == size ||
              (from.block != 0 && (start + count) % from.block == 0);
  // A rounded block depends on all of its numbers.
  if (!begins || (from.isRounded && (!ends || from.block == 0)))
    return std::nullopt;
  from.block = normalBlock(from.block, count);
  return from;
}

/// The dimension keeps its size and how many elements lie behind it.
std::optional<QuantExpr> QuantExprs::reshape(const ParamExprT &expr,
                                             QuantExpr from) const {
  const std::vector<int64_t> &dims = at(expr.operands[0]).dims;
  int64_t behind = 1;
  for (size_t i = from.axis + 1; i < dims.size(); ++i)
    behind *= dims[i];
  int64_t product = 1;
  for (size_t i = expr.dims.size(); i-- > 0;) {
    if (product == behind && expr.dims[i] == dims[from.axis]) {
      from.axis = static_cast<int>(i);
      return from;
    }
    product *= expr.dims[i];
  }
  return std::nullopt;
}

std::optional<QuantExpr> QuantExprs::join(const ParamExprT &expr,
                                          QuantExpr from) const {
  for (uint32_t operand : expr.operands)
    if (known[operand] != from)
      return std::nullopt;
  if (expr.kind == plan::ParamExprKind_Stack) {
    ++from.axis;
    return from;
  }
  // One behind the other along the blocks, the last one may end in a block.
  if (expr.ints[0] == from.axis && expr.operands.size() > 1) {
    for (size_t i = 0; i + 1 < expr.operands.size(); ++i)
      if (from.block == 0 ||
          at(expr.operands[i]).dims[from.axis] % from.block != 0)
        return std::nullopt;
  }
  return from;
}
