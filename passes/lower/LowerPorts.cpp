//===- LowerPorts.cpp - Symbols, layers, inputs, outputs and states -------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/FunctionLowering.h"
#include "passes/lower/LayerInfo.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using plan_dialect::BufferKind;
using plan_dialect::SymbolKind;

//===----------------------------------------------------------------------===//
// Symbols and layers
//===----------------------------------------------------------------------===//

Dims FunctionLowering::wholeDims(Value value) const {
  Dims dims = getDims(value);
  for (DimExpr &size : dims)
    size = size.substitute(wholeOf);
  return dims;
}

std::pair<int64_t, StringAttr> FunctionLowering::division(Value value) const {
  for (auto [axis, size] : llvm::enumerate(getDims(value)))
    for (const std::string &symbol : size.symbols())
      if (wholeOf.count(symbol))
        return {axis, StringAttr::get(context, symbol)};
  return {-1, StringAttr()};
}

void FunctionLowering::declareSymbol(StringRef attribute, SymbolKind kind,
                                     const std::set<std::string> &used) {
  auto symbols = func->getAttrOfType<DictionaryAttr>(attribute);
  if (!symbols)
    return;
  bool isPart = kind == SymbolKind::LocalPart;
  for (NamedAttribute symbol : symbols) {
    std::string name = symbol.getName().str();
    if (!used.count(name))
      continue;
    OpBuilder builder = plan.at(PlanBuilder::Symbols);
    auto text = cast<StringAttr>(symbol.getValue());
    plan_dialect::SymbolOp::create(
        builder, func.getLoc(), symbol.getName(),
        plan_dialect::SymbolKindAttr::get(context, kind), IntegerAttr(),
        IntegerAttr(), isPart ? text : StringAttr(),
        isPart ? StringAttr() : text);
    if (isPart)
      wholeOf[name] = plan_dialect::parseExpr(text.getValue());
    else
      dataSymbols.insert(name);
  }
}

/// Input symbols where an argument shows their value; local and data symbols
/// that some size uses.
void FunctionLowering::declareSymbols() {
  std::set<std::string> used, declared;
  auto use = [&](Value value) {
    for (const DimExpr &size : getDims(value))
      for (const std::string &symbol : size.symbols())
        used.insert(symbol);
  };
  llvm::for_each(func.getArguments(), use);
  for (Operation &op : func.front())
    llvm::for_each(op.getResults(), use);
  declareSymbol(kLocalSymbols, SymbolKind::LocalPart, used);
  declareSymbol(kDataSymbols, SymbolKind::Data, used);

  for (BlockArgument argument : func.getArguments())
    for (auto [axis, size] : llvm::enumerate(wholeDims(argument))) {
      std::optional<std::string> symbol = size.symbolName();
      if (!symbol || !declared.insert(*symbol).second)
        continue;
      OpBuilder builder = plan.at(PlanBuilder::Symbols);
      plan_dialect::SymbolOp::create(
          builder, argument.getLoc(), builder.getStringAttr(*symbol),
          plan_dialect::SymbolKindAttr::get(context, SymbolKind::Input),
          builder.getI64IntegerAttr(argument.getArgNumber()),
          builder.getI64IntegerAttr(axis), StringAttr(), StringAttr());
    }
}

/// What the importer relied on; see kConstraints.
void FunctionLowering::declareConstraints() {
  auto constraints = func->getAttrOfType<ArrayAttr>(kConstraints);
  if (!constraints)
    return;
  OpBuilder builder = plan.at(PlanBuilder::Constraints);
  for (auto constraint : constraints.getAsRange<ArrayAttr>())
    plan_dialect::ConstraintOp::create(
        builder, func.getLoc(), cast<StringAttr>(constraint[0]),
        cast<StringAttr>(constraint[1]), cast<StringAttr>(constraint[2]));
}

void FunctionLowering::declareLayers() {
  for (auto [index, layer] : llvm::enumerate(collectLayers(func))) {
    llvm::SetVector<StringAttr> names;
    for (Operation *op : layer.operations) {
      layerOf[op] = index;
      collectNodeNames(op->getLoc(), names);
    }
    OpBuilder builder = plan.at(PlanBuilder::Layers);
    SmallVector<Attribute> nodes(names.begin(), names.end());
    plan_dialect::LayerOp::create(
        builder, layer.experts.getLoc(), layer.numExperts, layer.k,
        layer.router, layer.capacity, layer.residual, layer.shared,
        layer.experts.getPlacementAttr(), builder.getArrayAttr(nodes));
  }
}

//===----------------------------------------------------------------------===//
// Inputs and states
//===----------------------------------------------------------------------===//

static std::string portName(StringAttr attr, StringRef what, size_t index) {
  return attr ? attr.str() : (what + Twine(index)).str();
}

/// The append whose past is `argument`, if the argument is a state.
CacheAppendOp FunctionLowering::findAppend(BlockArgument argument) {
  if (!func.getArgAttr(argument.getArgNumber(), kState))
    return {};
  for (Operation *user : argument.getUsers())
    if (auto append = dyn_cast<CacheAppendOp>(user))
      if (append.getPast() == argument)
        return append;
  mlir::remark::missed(
      func.getLoc(),
      mlir::remark::RemarkOpts::name("state").category("moe-lower-to-plan"))
      << "argument " + std::to_string(argument.getArgNumber()) +
             " is no past of a moe.cache_append: copied as any input";
  return {};
}

void FunctionLowering::bindState(BlockArgument argument, CacheAppendOp append) {
  int64_t index = plan.size(PlanBuilder::States);
  int64_t output = -1;
  auto name =
      func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kState);
  for (OpOperand &use : append.getResult().getUses())
    if (isa<func::ReturnOp>(use.getOwner()) &&
        func.getResultAttrOfType<StringAttr>(use.getOperandNumber(), kState) ==
            name)
      output = use.getOperandNumber();
  auto [partAxis, part] = division(argument);
  OpBuilder builder = plan.at(PlanBuilder::States);
  Type type = getTensorType(argument).getElementType();
  plan_dialect::StateOp::create(
      builder, append.getLoc(), name.getValue(), type,
      DimsAttr::get(context, wholeDims(append.getResult())), append.getAxis(),
      wholeDims(argument)[append.getAxis()].toString(),
      static_cast<uint64_t>(partAxis), part,
      static_cast<uint64_t>(argument.getArgNumber()),
      static_cast<uint64_t>(output), static_cast<uint64_t>(-1), StringAttr());
  stateOf[append] = index;
  BufferSpec spec{BufferKind::State, index, name.str()};
  buffers[argument] = plan.buffer(spec, type, getDims(argument));
  buffers[append.getResult()] =
      plan.buffer(spec, type, getDims(append.getResult()));
}

void FunctionLowering::bindInputs() {
  for (BlockArgument argument : func.getArguments()) {
    unsigned index = argument.getArgNumber();
    std::string name = portName(func.getArgAttrOfType<StringAttr>(index, kName),
                                "input", index);
    Type type = getTensorType(argument).getElementType();
    Value buffer;
    int64_t state = -1;
    if (CacheAppendOp append = findAppend(argument)) {
      bindState(argument, append);
      state = stateOf.lookup(append);
    } else if (!argument.use_empty()) {
      buffer = plan.buffer({BufferKind::Input, index, name}, type,
                           getDims(argument));
      buffers[argument] = buffer;
    }
    auto [partAxis, part] = division(argument);
    OpBuilder builder = plan.at(PlanBuilder::Inputs);
    plan_dialect::InputOp::create(builder, argument.getLoc(), name, type,
                                  DimsAttr::get(context, wholeDims(argument)),
                                  buffer, static_cast<uint64_t>(partAxis), part,
                                  static_cast<uint64_t>(state),
                                  static_cast<uint64_t>(-1), StringAttr());
  }
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

std::string FunctionLowering::outputName(unsigned index) {
  return portName(func.getResultAttrOfType<StringAttr>(index, kName), "output",
                  index);
}

/// The value of which `value` is a view by reshapes.
static Value viewedValue(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return value;
}

/// A step that computes what the function returns writes it where it goes.
void FunctionLowering::reserveOutputs() {
  Operation *terminator = func.front().getTerminator();
  for (OpOperand &returned : terminator->getOpOperands()) {
    Value root = viewedValue(returned.get());
    Operation *producer = root.getDefiningOp();
    bool isWrittenByStep =
        producer && !isa<ParamOp, ConstantOp>(producer) && !buffers.count(root);
    if (!isWrittenByStep)
      continue;
    unsigned index = returned.getOperandNumber();
    Value buffer = plan.buffer({BufferKind::Output, index, outputName(index)},
                               getTensorType(root).getElementType(),
                               getDims(returned.get()));
    buffers[returned.get()] = buffer;
    // The root and the reshapes between them are views of it.
    for (Value value = returned.get(); value != root;) {
      isWritten.insert(value);
      value = value.getDefiningOp<ReshapeOp>().getX();
      if (!buffers.count(value))
        buffers[value] = plan.view(buffer, getDims(value));
    }
  }
}

/// The buffer of an output: the one that its step wrote, or a copy of what
/// `returned` is.
Value FunctionLowering::outputBuffer(OpOperand &returned, StringRef name) {
  Value value = returned.get();
  unsigned index = returned.getOperandNumber();
  Value computed = bufferOf(value);
  auto of = computed.getDefiningOp<plan_dialect::BufferOp>();
  if (of && of.getKind() == BufferKind::Output && !of.getBase() &&
      static_cast<int64_t>(of.getIndex()) == index)
    return computed;
  Value copy =
      plan.buffer({BufferKind::Output, index, name.str()},
                  getTensorType(value).getElementType(), getDims(value));
  addStep(returned.getOwner(), "copy", {computed}, {copy}, {});
  return copy;
}

void FunctionLowering::bindOutputs() {
  Operation *terminator = func.front().getTerminator();
  for (OpOperand &returned : terminator->getOpOperands()) {
    unsigned index = returned.getOperandNumber();
    Value value = returned.get();
    std::string name = outputName(index);
    auto append = value.getDefiningOp<CacheAppendOp>();
    bool isOfState =
        append && stateOf.count(append) && func.getResultAttr(index, kState);
    int64_t state = isOfState ? stateOf.lookup(append) : -1;
    Value buffer = isOfState ? Value() : outputBuffer(returned, name);
    auto [partAxis, part] = division(value);
    OpBuilder builder = plan.at(PlanBuilder::Outputs);
    plan_dialect::OutputOp::create(builder, terminator->getLoc(), name,
                                   getTensorType(value).getElementType(),
                                   DimsAttr::get(context, wholeDims(value)),
                                   buffer, static_cast<uint64_t>(partAxis),
                                   part, static_cast<uint64_t>(state),
                                   static_cast<uint64_t>(-1), StringAttr());
  }
}
