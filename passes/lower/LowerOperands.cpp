//===- LowerOperands.cpp - Buffers, views and weights of steps ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/FunctionLowering.h"
#include "passes/lower/LayerInfo.h"
#include "passes/lower/ParamBlocks.h"
#include "runtime/params/Layouts.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using plan_dialect::BufferKind;

static std::string nodeName(Operation *op) {
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  return names.empty() ? "" : names.back().str();
}

bool FunctionLowering::hasDataSymbols(Value value) const {
  for (const DimExpr &size : getDims(value))
    for (const std::string &symbol : size.symbols())
      if (dataSymbols.count(symbol))
        return true;
  return false;
}

/// The runtime lays out states, with room for entries to come.
bool FunctionLowering::isState(Value value) const {
  auto buffer = buffers.lookup(value);
  auto op = buffer ? buffer.getDefiningOp<plan_dialect::BufferOp>() : nullptr;
  return op && op.getKind() == BufferKind::State;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value FunctionLowering::bufferOf(Value value) {
  if (Value known = buffers.lookup(value))
    return known;
  if (auto constant = value.getDefiningOp<ConstantOp>())
    return plan.constant(constant);
  if (auto param = value.getDefiningOp<ParamOp>())
    return plan.param({param.getName().value_or("").str(),
                       {param.getValue()},
                       std::string(kRowLayout)});
  return plan.none();
}

ViewLayout FunctionLowering::layoutOf(Value value) const {
  auto it = layouts.find(value);
  return it == layouts.end() ? rowMajorLayout(getDims(value)) : it->second;
}

/// A copy of `value` without gaps, if it is not one; made once.
Value FunctionLowering::contiguousOf(Value value) {
  bool isPlain = !isState(value) && isRowMajor(layoutOf(value), getDims(value));
  if (isPlain)
    return bufferOf(value);
  Value &copy = copies[value];
  if (copy)
    return copy;
  Operation *op = value.getDefiningOp();
  copy = plan.buffer({BufferKind::Arena, -1, op ? nodeName(op) : ""},
                     getTensorType(value).getElementType(), getDims(value));
  addStep(op ? op : func.getOperation(), "copy", {bufferOf(value)}, {copy}, {});
  return copy;
}

Value FunctionLowering::resultBuffer(Value result) {
  if (Value known = buffers.lookup(result))
    return known;
  Operation *op = result.getDefiningOp();
  Type type = getTensorType(result).getElementType();
  BufferSpec spec{BufferKind::Arena, -1, nodeName(op)};
  // A result that is only transposed is written where the transposed one is.
  auto transpose = result.hasOneUse()
                       ? dyn_cast<TransposeOp>(*result.user_begin())
                       : nullptr;
  if (transpose && writesStrides(op) && !hasDataSymbols(result)) {
    Value target = buffers.lookup(transpose.getResult());
    if (!target)
      target = plan.buffer(spec, type, getDims(transpose.getResult()));
    buffers[transpose.getResult()] = target;
    isWritten.insert(transpose.getResult());
    ViewLayout layout = layoutUnderTranspose(transpose);
    layouts[result] = layout;
    return buffers[result] = plan.view(target, getDims(result), layout.offset,
                                       layout.strides);
  }
  return buffers[result] = plan.buffer(spec, type, getDims(result));
}

bool FunctionLowering::lowerToView(Operation *op) {
  if (!isa<ReshapeOp, TransposeOp, SliceOp, BroadcastOp>(op))
    return false;
  Value source = op->getOperand(0), result = op->getResult(0);
  if (isWritten.count(result))
    return true;
  // An output that a step has to write.
  if (buffers.count(result))
    return false;
  ViewLayout layout = layoutOf(source);
  bool isPlain = !isState(source) && isRowMajor(layout, getDims(source));
  std::optional<ViewLayout> view;
  if (!isPlain || !isa<ReshapeOp>(op))
    view = layoutOfResult(op, layout);
  bool isKnown =
      !isState(source) && !hasDataSymbols(source) && !hasDataSymbols(result);
  if (!view || !isKnown) {
    if (!isa<ReshapeOp>(op))
      return false;
    buffers[result] = plan.view(contiguousOf(source), getDims(result));
    return true;
  }
  Value base = memory.lookup(source);
  if (!base)
    base = bufferOf(source);
  memory[result] = base;
  layouts[result] = *view;
  buffers[result] =
      plan.view(base, getDims(result), view->offset, view->strides);
  return true;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// A weight of `op` in the layout that its kernel reads: matrices of f32 in
/// panels, the rest row by row; of experts, a block for each.
Value FunctionLowering::weightOf(Operation *op, ParamOp param,
                                 bool isTransposed) {
  ParamSpec spec;
  spec.name = param.getName().value_or("").str();
  ParamAttr value = param.getValue();
  if (isa<ExpertsOp>(op)) {
    spec.experts = value.getType().getDimSize(0);
    spec.layer = layerOf.lookup(op);
    for (int64_t expert = 0; expert < spec.experts; ++expert)
      spec.blocks.push_back(elementOfParam(value, expert));
  } else {
    spec.blocks.push_back(isTransposed ? transposeParam(value) : value);
  }
  RankedTensorType block = spec.blocks[0].getType();
  bool isPacked = block.getRank() == 2 && block.getElementType().isF32();
  spec.layout = isPacked ? kPanel16Layout : kRowLayout;
  return plan.param(spec);
}

/// The slots of an operation's weights, from this one on.
static std::optional<unsigned> firstWeightSlot(Operation *op) {
  if (isa<ExpertsOp>(op))
    return 2;
  if (isa<FfnOp>(op))
    return 1;
  return std::nullopt;
}

Value FunctionLowering::operandOf(Operation *op, unsigned slot, Value value,
                                  DictionaryAttr &settings) {
  if (!value)
    return plan.none();
  auto param = value.getDefiningOp<ParamOp>();
  if (param && firstWeightSlot(op) && slot >= *firstWeightSlot(op))
    return weightOf(op, param, /*isTransposed=*/false);
  // A matrix [N, K] is packed as [K, N], so the product needs no transpose.
  auto matmul = dyn_cast<MatmulOp>(op);
  bool isMatrix = getTensorType(value).getRank() == 2 &&
                  getTensorType(value).getElementType().isF32();
  if (param && matmul && slot == 1 && isMatrix) {
    NamedAttrList list(settings);
    list.set("transpose_rhs", Builder(context).getI64IntegerAttr(0));
    settings = list.getDictionary(context);
    return weightOf(op, param, matmul.getTransposeRhs());
  }
  return readsStrides(op, slot) ? bufferOf(value) : contiguousOf(value);
}
