//===- ExpertLayer.cpp - The operations around moe.experts ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ExpertLayer.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/SizeBounds.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

/// The operand of an elementwise operation that has as many rows as its result.
static Value sameRows(Operation *op) {
  DimExpr rows = getDim(op->getResult(0), 0);
  for (Value operand : op->getOperands())
    if (getTensorType(operand).getRank() == 2 && getDim(operand, 0) == rows)
      return operand;
  return {};
}

DispatchOp moe::pass::findDispatch(ExpertsOp experts) {
  Value rows = experts.getRows();
  while (rows) {
    Operation *op = rows.getDefiningOp();
    if (auto dispatch = dyn_cast_or_null<DispatchOp>(op))
      return dispatch;
    if (auto exchange = dyn_cast_or_null<AllToAllOp>(op))
      rows = exchange.getRows();
    else if (isa_and_nonnull<UnaryOp, BinaryOp, SelectOp, CastOp,
                             ElementwiseOp>(op))
      rows = sameRows(op);
    else
      break;
  }
  return {};
}

bool moe::pass::hasDistinctChoices(DispatchOp dispatch) {
  Operation *op = dispatch.getExperts().getDefiningOp();
  while (isa_and_nonnull<ShardOp, AllGatherOp, SliceOp>(op))
    op = op->getOperand(0).getDefiningOp();
  return isa_and_nonnull<GateOp>(op);
}

/// Null if the function has none.
static DictionaryAttr dataSymbolsOf(Operation *op) {
  return op->getParentOfType<func::FuncOp>()->getAttrOfType<DictionaryAttr>(
      kDataSymbols);
}

DimExpr moe::pass::boundOf(Operation *op, const DimExpr &size) {
  std::map<std::string, DimExpr, std::less<>> bounds;
  if (DictionaryAttr symbols = dataSymbolsOf(op))
    for (NamedAttribute symbol : symbols)
      if (auto bound = lookUpSymbol(op, kDataSymbols, symbol.getName()))
        bounds.emplace(symbol.getName().str(), *bound);
  return upperBoundOf(size, bounds);
}

bool moe::pass::hasDataSymbol(Operation *op, const DimExpr &size) {
  DictionaryAttr symbols = dataSymbolsOf(op);
  return symbols && llvm::any_of(size.symbols(), [&](const std::string &name) {
           return symbols.contains(name);
         });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

bool moe::pass::canSlice(ExpertsOp op) {
  auto isParam = [](Value weight) {
    return !weight || weight.getDefiningOp<ParamOp>();
  };
  return llvm::all_of(ArrayRef<Value>{op.getW1(), op.getB1(), op.getW2(),
                                      op.getW3(), op.getB3()},
                      isParam);
}

/// Half 0 or 1 of the last dimension of a weight.
static Value takeHalf(OpBuilder &builder, Value weight, int64_t half) {
  auto param = weight.getDefiningOp<ParamOp>();
  SmallVector<int64_t> sizes(getTensorType(weight).getShape());
  SmallVector<int64_t> starts(sizes.size(), 0), steps(sizes.size(), 1);
  sizes.back() /= 2;
  starts.back() = half * sizes.back();
  return ParamOp::create(builder, param.getLoc(),
                         param::slice(param.getValue(), starts, steps, sizes),
                         param.getNameAttr());
}

void moe::pass::splitGating(ExpertsOp op) {
  if (op.getGating() != Gating::Concatenated)
    return;
  OpBuilder builder(op);
  Value w1 = op.getW1(), b1 = op.getB1();
  op.getW1Mutable().assign(takeHalf(builder, w1, 0));
  op.getW3Mutable().assign(takeHalf(builder, w1, 1));
  if (b1) {
    op.getB1Mutable().assign(takeHalf(builder, b1, 0));
    op.getB3Mutable().assign(takeHalf(builder, b1, 1));
  }
  op.setGating(Gating::Split);
}
