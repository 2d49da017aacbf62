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

auto FunctionLowering::divisionsOf(Value value) -> Divisions {
  Divisions found;
  for (auto [axis, size] : llvm::enumerate(getDims(value)))
    for (const std::string &symbol : size.symbols()) {
      if (!localSymbols.count(symbol))
        continue;
      Operation *inside = func.front().getTerminator();
      bool isSlice = groupOfPart(inside, symbol) == CommGroup::Tp;
      Division &division = isSlice ? found.slices : found.rows;
      if (division.axis < 0)
        division = {static_cast<int64_t>(axis),
                    StringAttr::get(context, symbol)};
    }
  return found;
}

void FunctionLowering::checkDivisions(Value value, StringRef what) {
  unsigned count = 0;
  for (const DimExpr &size : getDims(value))
    count += llvm::count_if(size.symbols(), [&](const std::string &symbol) {
      return localSymbols.count(symbol) > 0;
    });
  Divisions divisions = divisionsOf(value);
  unsigned said = (divisions.rows.axis >= 0) + (divisions.slices.axis >= 0);
  bool areApart = divisions.rows.axis != divisions.slices.axis;
  if (count == said && (said < 2 || areApart))
    return;
  emitError(value.getLoc())
      << what << " of " << toString(getDims(value))
      << " is divided in more ways than a plan can say: by rows and by tensor "
         "slices, each along a dimension of its own";
  hasFailed = true;
}

void FunctionLowering::declareSymbol(NamedAttribute symbol, SymbolKind kind) {
  bool isPart = kind == SymbolKind::LocalPart;
  auto text = cast<StringAttr>(symbol.getValue());
  OpBuilder builder = plan.at(PlanBuilder::Symbols);
  auto op = plan_dialect::SymbolOp::create(
      builder, func.getLoc(), symbol.getName(),
      plan_dialect::SymbolKindAttr::get(context, kind), IntegerAttr(),
      IntegerAttr(), isPart ? text : StringAttr(),
      isPart ? StringAttr() : text);
  std::string name = symbol.getName().str();
  if (!isPart) {
    dataSymbols.insert(name);
    return;
  }
  op.setGroup(groupOfPart(func.front().getTerminator(), name));
  wholeOf[name] = plan_dialect::parseExpr(text.getValue());
  localSymbols.insert(name);
}

/// Symbols in the sizes of the function, and those that they are parts of or
/// bound by.
std::set<std::string> FunctionLowering::usedSymbols() {
  std::set<std::string> used;
  SmallVector<std::string> open;
  auto useAll = [&](const DimExpr &size) {
    for (const std::string &symbol : size.symbols())
      if (used.insert(symbol).second)
        open.push_back(symbol);
  };
  auto useSizes = [&](Value value) { llvm::for_each(getDims(value), useAll); };
  llvm::for_each(func.getArguments(), useSizes);
  for (Operation &op : func.front())
    if (!isInRoutedExperts.contains(&op)) // whose results are no buffers
      llvm::for_each(op.getResults(), useSizes);
  while (!open.empty()) {
    std::string symbol = open.pop_back_val();
    for (StringRef attribute : {kLocalSymbols, kDataSymbols})
      if (auto symbols = func->getAttrOfType<DictionaryAttr>(attribute))
        if (auto text = symbols.getAs<StringAttr>(symbol))
          useAll(plan_dialect::parseExpr(text.getValue()));
  }
  return used;
}

/// A part of another group's part is a part of what that divides.
LogicalResult FunctionLowering::resolveWholes() {
  auto hasParts = [&](const auto &entry) {
    return llvm::any_of(entry.second.symbols(), [&](const std::string &symbol) {
      return localSymbols.count(symbol) > 0;
    });
  };
  const std::map<std::string, DimExpr, std::less<>> direct = wholeOf;
  for (size_t i = 0; llvm::any_of(wholeOf, hasParts); ++i) {
    if (i == direct.size())
      return func.emitError("local symbols are parts of each other");
    for (auto &[name, whole] : wholeOf)
      whole = whole.substitute(direct);
  }
  return success();
}

/// Where an argument shows their value.
void FunctionLowering::declareInputSymbols() {
  std::set<std::string> declared;
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

LogicalResult FunctionLowering::declareSymbols() {
  std::set<std::string> used = usedSymbols();
  for (auto [attribute, kind] :
       {std::pair(kLocalSymbols, SymbolKind::LocalPart),
        std::pair(kDataSymbols, SymbolKind::Data)})
    if (auto symbols = func->getAttrOfType<DictionaryAttr>(attribute))
      for (NamedAttribute symbol : symbols)
        if (used.count(symbol.getName().str()))
          declareSymbol(symbol, kind);
  if (failed(resolveWholes()))
    return failure();
  declareInputSymbols();
  return success();
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
  auto [rows, slices] = divisionsOf(argument);
  OpBuilder builder = plan.at(PlanBuilder::States);
  Type type = getTensorType(argument).getElementType();
  plan_dialect::StateOp::create(
      builder, append.getLoc(), name.getValue(), type,
      DimsAttr::get(context, wholeDims(append.getResult())), append.getAxis(),
      wholeDims(argument)[append.getAxis()].toString(),
      static_cast<uint64_t>(rows.axis), rows.part,
      static_cast<uint64_t>(argument.getArgNumber()),
      static_cast<uint64_t>(output), static_cast<uint64_t>(slices.axis),
      slices.part);
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
    checkDivisions(argument, "input '" + name + "'");
    auto [rows, slices] = divisionsOf(argument);
    OpBuilder builder = plan.at(PlanBuilder::Inputs);
    plan_dialect::InputOp::create(builder, argument.getLoc(), name, type,
                                  DimsAttr::get(context, wholeDims(argument)),
                                  buffer, static_cast<uint64_t>(rows.axis),
                                  rows.part, static_cast<uint64_t>(state),
                                  static_cast<uint64_t>(slices.axis),
                                  slices.part);
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
    bool isWrittenByStep = producer && !isa<ConstantOp>(producer) &&
                           !isWeight(root) && !buffers.count(root);
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
    checkDivisions(value, "output '" + name + "'");
    auto [rows, slices] = divisionsOf(value);
    OpBuilder builder = plan.at(PlanBuilder::Outputs);
    plan_dialect::OutputOp::create(builder, terminator->getLoc(), name,
                                   getTensorType(value).getElementType(),
                                   DimsAttr::get(context, wholeDims(value)),
                                   buffer, static_cast<uint64_t>(rows.axis),
                                   rows.part, static_cast<uint64_t>(state),
                                   static_cast<uint64_t>(slices.axis),
                                   slices.part);
  }
}
