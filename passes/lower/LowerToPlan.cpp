//===- LowerToPlan.cpp - From values to buffers, operations to steps ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every operation becomes one step with its name, and every result one buffer.
// The exceptions:
//
//   reshape        a view of its operand's buffer: no step
//   param          a weight in the layout of the kernel that reads it
//   constant       bytes in the plan
//   cache_append   a step that writes new entries into a state in place, if
//                  past is an argument with `moe.state`; else a concat
//   result         a step writes into the buffer of the output; what no step
//                  writes (an argument, a weight) is copied
//
// Before: one function behind moe-fuse-elementwise. After: the module holds one
// plan.program and no function; arena buffers have no lifetimes yet.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "passes/distribute/Sharding.h"
#include "passes/lower/LayerInfo.h"
#include "passes/lower/ParamBlocks.h"
#include "passes/lower/PlanBuilder.h"
#include "passes/lower/StepParts.h"
#include "runtime/params/Layouts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

#include <map>
#include <set>
#include <string>

namespace moe::pass {
#define GEN_PASS_DEF_LOWERTOPLANPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using plan_dialect::BufferKind;

namespace {

class FunctionLowering {
public:
  explicit FunctionLowering(func::FuncOp func)
      : func(func), context(func.getContext()), plan(func.getLoc()) {}

  LogicalResult run(int64_t numRanks);

private:
  // Tables.
  void declareSymbols();
  void declareSymbol(StringRef attribute, plan_dialect::SymbolKind kind,
                     const std::set<std::string> &used);
  void declareLayers();
  void bindInputs();
  void bindState(BlockArgument argument, CacheAppendOp append);
  CacheAppendOp findAppend(BlockArgument argument);
  void reserveOutputs();
  void bindOutputs();

  // Steps.
  void lower(Operation &op);
  void lowerAppend(CacheAppendOp op);
  void addStep(Operation *op, StringRef kernel, ArrayRef<Value> inputs,
               ArrayRef<Value> outputs, DictionaryAttr settings,
               ElementwiseProgram program = {});
  void addCopy(Location loc, Value from, Value to);
  Value operandOf(Operation *op, unsigned slot, Value value,
                  DictionaryAttr &settings);
  Value weightOf(Operation *op, ParamOp param, bool isTransposed);
  Value bufferOf(Value value);
  Value resultBuffer(Value result);

  // Sizes.
  Dims wholeDims(Value value) const;
  std::pair<int64_t, StringAttr> division(Value value) const;
  std::string nodeName(Operation *op) const;

  func::FuncOp func;
  MLIRContext *context;
  PlanBuilder plan;
  DenseMap<Value, Value> buffers;
  DenseMap<Operation *, int64_t> layerOf;
  /// Index of the state that an append writes.
  DenseMap<Operation *, int64_t> stateOf;
  std::map<std::string, DimExpr, std::less<>> wholeOf;
};

struct LowerToPlan : moe::pass::impl::LowerToPlanPassBase<LowerToPlan> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1) {
      getOperation().emitError()
          << "expected one function, found " << functions.size();
      return signalPassFailure();
    }
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
    int64_t numRanks = mesh ? mesh.getDp() * mesh.getEp() * mesh.getTp() : 1;
    if (failed(FunctionLowering(functions[0]).run(numRanks)))
      return signalPassFailure();
    functions[0].erase();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Sizes and symbols
//===----------------------------------------------------------------------===//

/// The sizes of the tensor of which ranks have parts.
Dims FunctionLowering::wholeDims(Value value) const {
  Dims dims = getDims(value);
  for (DimExpr &size : dims)
    size = size.substitute(wholeOf);
  return dims;
}

/// The dimension that ranks divide and its local symbol, or -1.
std::pair<int64_t, StringAttr> FunctionLowering::division(Value value) const {
  for (auto [axis, size] : llvm::enumerate(getDims(value)))
    for (const std::string &symbol : size.symbols())
      if (wholeOf.count(symbol))
        return {axis, StringAttr::get(context, symbol)};
  return {-1, StringAttr()};
}

std::string FunctionLowering::nodeName(Operation *op) const {
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  return names.empty() ? "" : names.back().str();
}

void FunctionLowering::declareSymbol(StringRef attribute,
                                     plan_dialect::SymbolKind kind,
                                     const std::set<std::string> &used) {
  auto symbols = func->getAttrOfType<DictionaryAttr>(attribute);
  if (!symbols)
    return;
  bool isPart = kind == plan_dialect::SymbolKind::LocalPart;
  for (NamedAttribute symbol : symbols) {
    if (!used.count(symbol.getName().str()))
      continue;
    OpBuilder builder = plan.at(PlanBuilder::Symbols);
    auto text = cast<StringAttr>(symbol.getValue());
    plan_dialect::SymbolOp::create(
        builder, func.getLoc(), symbol.getName(),
        plan_dialect::SymbolKindAttr::get(context, kind), IntegerAttr(),
        IntegerAttr(), isPart ? text : StringAttr(),
        isPart ? StringAttr() : text);
    if (isPart)
      wholeOf[symbol.getName().str()] =
          plan_dialect::parseExpr(text.getValue());
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
  for (BlockArgument argument : func.getArguments())
    use(argument);
  for (Operation &op : func.front())
    for (Value result : op.getResults())
      use(result);
  declareSymbol(kLocalSymbols, plan_dialect::SymbolKind::LocalPart, used);
  declareSymbol(kDataSymbols, plan_dialect::SymbolKind::Data, used);

  for (BlockArgument argument : func.getArguments())
    for (auto [axis, size] : llvm::enumerate(wholeDims(argument))) {
      std::optional<std::string> symbol = size.symbolName();
      if (!symbol || !declared.insert(*symbol).second)
        continue;
      OpBuilder builder = plan.at(PlanBuilder::Symbols);
      plan_dialect::SymbolOp::create(
          builder, argument.getLoc(), builder.getStringAttr(*symbol),
          plan_dialect::SymbolKindAttr::get(context,
                                            plan_dialect::SymbolKind::Input),
          builder.getI64IntegerAttr(argument.getArgNumber()),
          builder.getI64IntegerAttr(axis), StringAttr(), StringAttr());
    }
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
// Inputs, outputs and states
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
      static_cast<uint64_t>(output));
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
                                  static_cast<uint64_t>(state));
  }
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
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value root = viewedValue(operand.get());
    Operation *producer = root.getDefiningOp();
    bool isWrittenByStep =
        producer && !isa<ParamOp, ConstantOp>(producer) && !buffers.count(root);
    if (!isWrittenByStep)
      continue;
    unsigned index = operand.getOperandNumber();
    std::string name = portName(
        func.getResultAttrOfType<StringAttr>(index, kName), "output", index);
    Value buffer = plan.buffer({BufferKind::Output, index, name},
                               getTensorType(root).getElementType(),
                               getDims(operand.get()));
    buffers[operand.get()] = buffer;
    if (root != operand.get())
      buffers[root] = plan.view(buffer, getDims(root));
  }
}

void FunctionLowering::bindOutputs() {
  Operation *terminator = func.front().getTerminator();
  for (OpOperand &operand : terminator->getOpOperands()) {
    unsigned index = operand.getOperandNumber();
    Value value = operand.get();
    std::string name = portName(
        func.getResultAttrOfType<StringAttr>(index, kName), "output", index);
    Type type = getTensorType(value).getElementType();
    Value buffer;
    int64_t state = -1;
    auto append = value.getDefiningOp<CacheAppendOp>();
    if (append && stateOf.count(append) && func.getResultAttr(index, kState)) {
      state = stateOf.lookup(append);
    } else {
      Value computed = bufferOf(value);
      auto of = computed.getDefiningOp<plan_dialect::BufferOp>();
      buffer = computed;
      if (of.getKind() != BufferKind::Output ||
          of.getIndex() != static_cast<uint64_t>(index)) {
        buffer = plan.buffer({BufferKind::Output, index, name}, type,
                             getDims(value));
        addCopy(terminator->getLoc(), computed, buffer);
      }
    }
    auto [partAxis, part] = division(value);
    OpBuilder builder = plan.at(PlanBuilder::Outputs);
    plan_dialect::OutputOp::create(builder, terminator->getLoc(), name, type,
                                   DimsAttr::get(context, wholeDims(value)),
                                   buffer, static_cast<uint64_t>(partAxis),
                                   part, static_cast<uint64_t>(state));
  }
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Value FunctionLowering::bufferOf(Value value) {
  if (Value known = buffers.lookup(value))
    return known;
  if (auto constant = value.getDefiningOp<dialect::ConstantOp>())
    return plan.constant(constant);
  if (auto param = value.getDefiningOp<dialect::ParamOp>())
    return plan.param({param.getName().value_or("").str(),
                       {param.getValue()},
                       std::string(kRowLayout)});
  return plan.none();
}

Value FunctionLowering::resultBuffer(Value result) {
  Value &known = buffers[result];
  if (!known)
    known =
        plan.buffer({BufferKind::Arena, -1, nodeName(result.getDefiningOp())},
                    getTensorType(result).getElementType(), getDims(result));
  return known;
}

/// A weight of `op` in the layout that its kernel reads: matrices of f32 in
/// panels, the rest row by row; of experts, a block for each.
Value FunctionLowering::weightOf(Operation *op, dialect::ParamOp param,
                                 bool isTransposed) {
  ParamSpec spec;
  spec.name = param.getName().value_or("").str();
  dialect::ParamAttr value = param.getValue();
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

/// The slots of an operation's weights, from `first` on.
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
  auto param = value.getDefiningOp<dialect::ParamOp>();
  if (param && firstWeightSlot(op) && slot >= *firstWeightSlot(op))
    return weightOf(op, param, /*isTransposed=*/false);
  auto matmul = dyn_cast<MatmulOp>(op);
  if (!param || !matmul || slot != 1)
    return bufferOf(value);
  // A matrix [N, K] is packed as [K, N], so the product needs no transpose.
  bool isPacked = getTensorType(value).getRank() == 2 &&
                  getTensorType(value).getElementType().isF32();
  if (!isPacked)
    return bufferOf(value);
  NamedAttrList list(settings);
  list.set("transpose_rhs", Builder(context).getI64IntegerAttr(0));
  settings = list.getDictionary(context);
  return weightOf(op, param, matmul.getTransposeRhs());
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

void FunctionLowering::addStep(Operation *op, StringRef kernel,
                               ArrayRef<Value> inputs, ArrayRef<Value> outputs,
                               DictionaryAttr settings,
                               ElementwiseProgram program) {
  OpBuilder builder = plan.at(PlanBuilder::Steps);
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  SmallVector<Attribute> nodes(names.begin(), names.end());
  auto layer = layerOf.find(op);
  plan_dialect::StepOp::create(
      builder, op->getLoc(), builder.getStringAttr(kernel), inputs, outputs,
      settings && !settings.empty() ? settings : DictionaryAttr(),
      program.instructions, program.registers, IntegerAttr(),
      DenseI64ArrayAttr(), IntegerAttr(),
      layer == layerOf.end() ? IntegerAttr()
                             : builder.getI64IntegerAttr(layer->second),
      nodes.empty() ? ArrayAttr() : builder.getArrayAttr(nodes));
}

/// A program without instructions whose result is its input.
void FunctionLowering::addCopy(Location loc, Value from, Value to) {
  OpBuilder builder = plan.at(PlanBuilder::Steps);
  plan_dialect::StepOp::create(
      builder, loc, builder.getStringAttr("elementwise"), from, to,
      DictionaryAttr(), builder.getArrayAttr({}),
      builder.getDenseI64ArrayAttr({0}), IntegerAttr(), DenseI64ArrayAttr(),
      IntegerAttr(), IntegerAttr(), ArrayAttr());
}

void FunctionLowering::lowerAppend(CacheAppendOp op) {
  Value past = bufferOf(op.getPast()), entries = bufferOf(op.getNewEntries());
  bool isState = stateOf.count(op);
  addStep(op, isState ? "cache_append" : "concat", {past, entries},
          {resultBuffer(op.getResult())}, stepSettings(op));
}

void FunctionLowering::lower(Operation &op) {
  if (isa<dialect::ParamOp, dialect::ConstantOp, func::ReturnOp>(op))
    return;
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    Value &view = buffers[reshape.getResult()];
    if (!view)
      view = plan.view(bufferOf(reshape.getX()), getDims(reshape.getResult()));
    return;
  }
  if (auto append = dyn_cast<CacheAppendOp>(op))
    return lowerAppend(append);
  DictionaryAttr settings = stepSettings(&op);
  ElementwiseProgram program;
  if (auto elementwise = dyn_cast<ElementwiseOp>(op))
    program = elementwiseProgram(elementwise);
  SmallVector<Value> inputs, outputs;
  for (auto [slot, value] : llvm::enumerate(operandSlots(&op)))
    inputs.push_back(operandOf(&op, slot, value, settings));
  for (Value result : op.getResults())
    outputs.push_back(resultBuffer(result));
  addStep(&op, op.getName().stripDialect(), inputs, outputs, settings, program);
}

LogicalResult FunctionLowering::run(int64_t numRanks) {
  declareSymbols();
  declareLayers();
  bindInputs();
  reserveOutputs();
  for (Operation &op : func.front())
    lower(op);
  bindOutputs();
  plan.finish(func, numRanks);
  return success();
}
