//===- LowerOperands.cpp - Buffers, views and weights of steps ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/WeightStorage.h"
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
// Weights and their parts
//===----------------------------------------------------------------------===//

ParamOp FunctionLowering::weightBehind(Value value) {
  auto shard = value ? value.getDefiningOp<ShardOp>() : ShardOp();
  if (shard)
    value = shard.getX();
  return value ? value.getDefiningOp<ParamOp>() : ParamOp();
}

bool FunctionLowering::isWeight(Value value) {
  return weightBehind(value) != nullptr;
}

ParamSpec FunctionLowering::specOf(Value value) {
  ParamSpec spec;
  spec.name = weightBehind(value).getName().value_or("").str();
  if (auto shard = value.getDefiningOp<ShardOp>()) {
    spec.partAxis = shard.getAxis();
    spec.part = shard.getPartAttr();
    spec.localDims = getDims(value);
  }
  return spec;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value FunctionLowering::bufferOf(Value value) {
  if (Value known = buffers.lookup(value))
    return known;
  if (auto constant = value.getDefiningOp<ConstantOp>())
    return plan.constant(constant);
  if (isWeight(value)) {
    ParamSpec spec = specOf(value);
    spec.blocks.push_back(weightBehind(value).getValue());
    spec.layout = kRowLayout;
    return plan.param(spec);
  }
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

/// Of a layer whose experts are sliced, the dimension of a block of the weight
/// at `slot` that the slices divide, -1 for none, and the elements that stay
/// together: columns of the intermediate dimension.
static std::pair<int64_t, int64_t> sliceOfExpert(ExpertsOp op, unsigned slot) {
  if (!op.getPlacement() || !op.getPlacement()->hasSlices())
    return {-1, 1};
  int64_t unit = sliceUnit(op);
  // Gate and linear part of a column stand side by side.
  int64_t unitOfFirst = op.getGating() == Gating::Interleaved ? 2 * unit : unit;
  switch (slot) {
  case 2: // w1 [M, F]
    return {1, unitOfFirst};
  case 3: // b1 [F]
    return {0, unitOfFirst};
  case 4: // w2 [I, N]
    return {0, unit};
  case 6: // w3 [M, I]
    return {1, unit};
  case 7: // b3 [I]
    return {0, unit};
  default: // b2 [N] belongs to the first slice
    return {-1, 1};
  }
}

/// Whether kernels read a weight of this type in panels.
static bool hasPanels(RankedTensorType type) {
  Type element = type.getElementType();
  return type.getRank() == 2 &&
         (element.isF32() || element.isF16() || element.isBF16());
}

/// Decides how the blocks of a weight are stored: matrices of floats in panels,
/// those of codes or of two bytes as they are, the rest row by row.
static void chooseStorage(ParamSpec &spec) {
  spec.layout = kRowLayout;
  if (!hasPanels(spec.blocks[0].getType()))
    return;
  spec.layout = kPanel16Layout;
  std::optional<QuantFormat> format = codeFormat(spec.blocks[0]);
  bool haveCodes = format && llvm::all_of(spec.blocks, [&](ParamAttr block) {
                     return codeFormat(block) == format;
                   });
  if (haveCodes) {
    spec.layout = quantLayoutName(*format);
    return;
  }
  SmallVector<ParamAttr> narrow;
  for (ParamAttr block : spec.blocks) {
    ParamAttr each = narrowed(block);
    if (!each || (!narrow.empty() && each.getType() != narrow[0].getType()))
      return;
    narrow.push_back(each);
  }
  spec.blocks = std::move(narrow);
}

/// A weight of `op` in the layout that its kernel reads; of experts, a block
/// for each.
Value FunctionLowering::weightOf(Operation *op, unsigned slot, Value weight,
                                 bool isTransposed) {
  ParamSpec spec = specOf(weight);
  ParamAttr value = weightBehind(weight).getValue();
  if (auto experts = dyn_cast<ExpertsOp>(op)) {
    spec.experts = value.getType().getDimSize(0);
    spec.layer = layerOf.lookup(op);
    std::tie(spec.partAxis, spec.partUnit) = sliceOfExpert(experts, slot);
    for (int64_t expert = 0; expert < spec.experts; ++expert)
      spec.blocks.push_back(elementOfParam(value, expert));
  } else {
    spec.blocks.push_back(isTransposed ? transposeParam(value) : value);
    if (isTransposed && spec.part) {
      spec.partAxis = 1 - spec.partAxis;
      std::swap(spec.localDims[0], spec.localDims[1]);
    }
  }
  chooseStorage(spec);
  return plan.param(spec);
}

/// The slots of an operation's weights, from this one on.
static std::optional<unsigned> firstWeightSlot(Operation *op) {
  if (isa<ExpertsOp>(op))
    return kFirstExpertWeight;
  if (isa<FfnOp>(op))
    return 1;
  return std::nullopt;
}

Value FunctionLowering::operandOf(Operation *op, unsigned slot, Value value,
                                  DictionaryAttr &settings) {
  if (!value)
    return plan.none();
  bool isParam = isWeight(value);
  if (isParam && isa<ExpertsOp>(op) && value.getDefiningOp<ShardOp>()) {
    op->emitOpError("has weights in parts, which only its placement may say");
    hasFailed = true;
  }
  if (isParam && firstWeightSlot(op) && slot >= *firstWeightSlot(op))
    return weightOf(op, slot, value, /*isTransposed=*/false);
  // A matrix [N, K] is packed as [K, N], so the product needs no transpose.
  auto matmul = dyn_cast<MatmulOp>(op);
  if (isParam && matmul && slot == 1 && hasPanels(getTensorType(value))) {
    NamedAttrList list(settings);
    list.set("transpose_rhs", Builder(context).getI64IntegerAttr(0));
    settings = list.getDictionary(context);
    return weightOf(op, slot, value, matmul.getTransposeRhs());
  }
  return readsStrides(op, slot) ? bufferOf(value) : contiguousOf(value);
}
