//===- WeightStorage.cpp - What weights are kept as -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/WeightStorage.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/Shapes.h"
#include "runtime/params/Quantize.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/QuantExprs.h"

#include <cmath>

using namespace mlir;

namespace moe::dialect {

static ParamAttr operandOf(ParamAttr x, unsigned i = 0) {
  return llvm::cast<ParamAttr>(x.getOperands()[i]);
}

static bool isKind(ParamAttr x, StringRef kind) {
  return x.getKind().getValue() == kind;
}

static bool isTwoBytes(Type type) { return type.isF16() || type.isBF16(); }

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

namespace {
/// An expression as rows of a plan's table, as far as its form goes: files and
/// values are left out.
struct ExprRows {
  plan::ProgramT tables;
  DenseMap<Attribute, uint32_t> known;

  uint32_t add(ParamAttr param);
};
} // namespace

uint32_t ExprRows::add(ParamAttr param) {
  if (auto it = known.find(param); it != known.end())
    return it->second;
  auto row = std::make_unique<plan::ParamExprT>();
  for (plan::ParamExprKind kind : plan::EnumValuesParamExprKind())
    if (param.getKind().getValue().equals_insensitive(
            plan::EnumNameParamExprKind(kind)))
      row->kind = kind;
  for (Attribute operand : param.getOperands())
    row->operands.push_back(add(llvm::cast<ParamAttr>(operand)));
  row->ints.assign(param.getInts().begin(), param.getInts().end());
  RankedTensorType type = param.getType();
  row->dtype = static_cast<uint8_t>(*toDType(type.getElementType()));
  row->dims.assign(type.getShape().begin(), type.getShape().end());
  tables.param_exprs.push_back(std::move(row));
  return known[param] = tables.param_exprs.size() - 1;
}

/// The first of the matrices [.., K, N].
static ParamAttr firstMatrix(ParamAttr weight) {
  SmallVector<int64_t> sizes(weight.getType().getShape());
  SmallVector<int64_t> starts(sizes.size(), 0), steps(sizes.size(), 1);
  for (int64_t &size : MutableArrayRef(sizes).drop_back(2))
    size = 1;
  return param::reshape(param::slice(weight, starts, steps, sizes),
                        ArrayRef(sizes).take_back(2));
}

std::optional<QuantFormat> codeFormat(ParamAttr weight) {
  RankedTensorType type = weight.getType();
  if (type.getRank() < 2 || type.getNumElements() == 0)
    return std::nullopt;
  ExprRows rows;
  uint32_t all = rows.add(weight), first = rows.add(firstMatrix(weight));
  QuantExprs quants(rows.tables);
  // Joined matrices may differ.
  return quants.of(all) ? quants.formatOf(first) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Two bytes
//===----------------------------------------------------------------------===//

ParamAttr narrowed(ParamAttr weight) {
  ArrayRef<int64_t> ints = weight.getInts();
  ArrayRef<int64_t> shape = weight.getType().getShape();
  if (isKind(weight, "cast")) {
    bool isWide = weight.getType().getElementType().isF32();
    Type from = operandOf(weight).getType().getElementType();
    return isWide && isTwoBytes(from) ? operandOf(weight) : ParamAttr();
  }
  bool isMove = isKind(weight, "transpose") || isKind(weight, "reshape") ||
                isKind(weight, "slice") || isKind(weight, "stack") ||
                isKind(weight, "concat");
  if (!isMove)
    return {};
  SmallVector<ParamAttr> operands;
  for (Attribute operand : weight.getOperands()) {
    ParamAttr each = narrowed(llvm::cast<ParamAttr>(operand));
    if (!each ||
        (!operands.empty() && each.getType().getElementType() !=
                                  operands.front().getType().getElementType()))
      return {};
    operands.push_back(each);
  }
  if (isKind(weight, "transpose"))
    return param::transpose(operands[0], ints);
  if (isKind(weight, "reshape"))
    return param::reshape(operands[0], shape);
  if (isKind(weight, "slice"))
    return param::slice(operands[0], ints.take_front(shape.size()),
                        ints.drop_front(shape.size()), shape);
  return isKind(weight, "stack") ? param::stack(operands)
                                 : param::concat(operands, ints[0]);
}

ParamAttr beforeRounding(ParamAttr weight) {
  if (isKind(weight, "quantize"))
    return operandOf(weight);
  if (ParamAttr narrow = narrowed(weight); narrow && isKind(narrow, "cast")) {
    ParamAttr source = operandOf(narrow);
    if (source.getType() == weight.getType())
      return source;
  }
  return weight;
}

//===----------------------------------------------------------------------===//
// Words and bytes
//===----------------------------------------------------------------------===//

std::string describeStorage(ParamAttr weight) {
  if (std::optional<QuantFormat> format = codeFormat(weight)) {
    int64_t depth = weight.getType().getShape().take_back(2)[0];
    bool isWhole = format->block >= depth && format->block > 32;
    std::string text = "int" + std::to_string(format->bits);
    text += isWhole ? " by column"
                    : " in blocks of " + std::to_string(format->block);
    return text + (format->hasZeroPoints ? " with zero points" : "");
  }
  ParamAttr narrow = narrowed(weight);
  Type type = (narrow ? narrow : weight).getType().getElementType();
  return std::string(dtypeName(*toDType(type)));
}

double storedBytes(ParamAttr weight) {
  auto elements = [](ParamAttr x) {
    return static_cast<double>(
        numElementsOf(x.getType().getShape()).value_or(0));
  };
  if (std::optional<QuantFormat> format = codeFormat(weight)) {
    int64_t depth = weight.getType().getShape().take_back(2)[0];
    double blocks =
        depth > 0
            ? elements(weight) / static_cast<double>(depth) *
                  static_cast<double>(llvm::divideCeil(depth, format->block))
            : 0;
    double ofBlock = static_cast<double>(dtypeSize(format->scales)) +
                     (format->hasZeroPoints ? 1 : 0);
    return elements(weight) * format->bits / 8 + blocks * ofBlock;
  }
  ParamAttr narrow = narrowed(weight);
  ParamAttr stored = narrow ? narrow : weight;
  return elements(stored) * static_cast<double>(dtypeSize(
                                *toDType(stored.getType().getElementType())));
}

/// Columns of a panel.
static constexpr int64_t kPanelColumns = 16;

int64_t rowUnit(ParamAttr weight, int64_t numParts) {
  std::optional<QuantFormat> format = codeFormat(weight);
  if (!format)
    return kPanelColumns;
  int64_t depth = weight.getType().getShape().take_back(2)[0];
  int64_t numBlocks = llvm::divideCeil(depth, format->block);
  return numBlocks >= numParts ? format->block : kPanelColumns;
}

int64_t sliceUnit(ExpertsOp op) {
  std::optional<PlacementAttr> placement = op.getPlacement();
  auto w2 = op.getW2().getDefiningOp<ParamOp>();
  if (!w2 || !placement || !placement->hasSlices())
    return kPanelColumns;
  return rowUnit(w2.getValue(), *llvm::max_element(placement->getSlices()));
}

void roundRow(MutableArrayRef<double> row) {
  constexpr size_t kBlock = 32;
  for (size_t begin = 0; begin < row.size(); begin += kBlock) {
    auto block = row.slice(begin, std::min(kBlock, row.size() - begin));
    float largest = 0;
    for (double x : block)
      largest = std::max(largest, std::abs(static_cast<float>(x)));
    float scale = largest / 127;
    for (double &x : block)
      x = scale == 0 ? 0.0
                     : std::nearbyint(static_cast<float>(x) / scale) *
                           static_cast<double>(scale);
  }
}

} // namespace moe::dialect
