//===- Distribute.cpp - Divides the rows of the batch over ranks ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One program for all ranks. The symbol of the batch is followed from the
// arguments through the function by the rules of Sharding.h; where an operation
// mixes rows, its operands are gathered and every rank computes it; where a
// replicated value meets rows, each rank takes its part. Tokens visit their
// experts: moe.all_to_all stands before moe.experts and moe.all_to_all_back
// behind. Tokens that every rank has (no batch, or mixed before) are divided
// for the layer alone, so the work of experts is spread in any case.
//
// Before: one function, experts placed (moe-place-experts). After: types of
// sharded values have local symbols, which `moe.local_symbols` of the function
// declares. On one rank nothing changes.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/BatchSymbol.h"
#include "passes/distribute/Sharding.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

#include <deque>
#include <map>
#include <tuple>

namespace moe::pass {
#define GEN_PASS_DEF_DISTRIBUTEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

namespace {

/// The types of one function, and which symbols ranks divide.
class Distribution {
public:
  explicit Distribution(func::FuncOp func)
      : func(func), builder(func.getContext()),
        localSymbols(func->getAttrOfType<DictionaryAttr>(kLocalSymbols)),
        dataSymbols(func->getAttrOfType<DictionaryAttr>(kDataSymbols)) {}

  LogicalResult run();

private:
  LogicalResult analyze(Operation &op);
  FailureOr<OpSharding> divideTokens(DispatchOp op);
  const Part *addPart(std::string symbol, DimExpr whole);

  LogicalResult rewrite(Operation &op);
  Value convert(Value value, Sharding want, Location loc);
  Value gather(Value value, Sharding have, Location loc);
  void boundRows(DispatchOp op);
  void exchange(ExpertsOp op);
  void gatherTokens(CombineOp op);
  void setFunctionType();

  RankedTensorType localType(Value value, Sharding sharding) const;

  func::FuncOp func;
  OpBuilder builder;
  NamedAttrList localSymbols, dataSymbols;
  std::deque<Part> parts;
  const Part *batch = nullptr;
  DenseMap<Value, Sharding> lies;
  DenseMap<Operation *, OpSharding> rules;
  /// Values that were gathered or sharded before, by axis and part.
  std::map<std::tuple<void *, int, const Part *>, Value> converted;
};

struct Distribute : moe::pass::impl::DistributePassBase<Distribute> {
  void runOnOperation() override {
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
    if (!mesh) {
      getOperation().emitError("experts are not placed: no 'moe.mesh'");
      return signalPassFailure();
    }
    if (mesh.getDp() * mesh.getEp() * mesh.getTp() == 1)
      return;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (failed(Distribution(func).run()))
        return signalPassFailure();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Analysis: how every value lies
//===----------------------------------------------------------------------===//

const Part *Distribution::addPart(std::string symbol, DimExpr whole) {
  localSymbols.set(symbol, builder.getStringAttr(whole.toString()));
  return &parts.emplace_back(Part{std::move(symbol), std::move(whole)});
}

/// The tokens of a layer that every rank has: a part of their own.
FailureOr<OpSharding> Distribution::divideTokens(DispatchOp op) {
  DimExpr numTokens = getDim(op.getX(), 0);
  for (const std::string &symbol : numTokens.symbols())
    if (dataSymbols.get(symbol))
      return op.emitOpError() << "has " << numTokens.toString()
                              << " tokens, a number that only values tell and "
                                 "ranks cannot divide";
  std::string symbol = "tokens" + std::to_string(parts.size()) + ".local";
  Sharding tokens{addPart(symbol, numTokens), 0};
  SmallVector<Sharding> operands(op->getNumOperands(), tokens);
  return chooseSharding(op, operands);
}

LogicalResult Distribution::analyze(Operation &op) {
  SmallVector<Sharding> operands;
  for (Value operand : op.getOperands())
    operands.push_back(lies.lookup(operand));
  OpSharding rule = chooseSharding(&op, operands);
  auto dispatch = dyn_cast<DispatchOp>(op);
  if (dispatch && rule.results[0].isReplicated()) {
    FailureOr<OpSharding> divided = divideTokens(dispatch);
    if (failed(divided))
      return failure();
    rule = *divided;
  }
  if (isa<func::ReturnOp>(op))
    rule.operands = operands;
  for (auto [result, sharding] : llvm::zip_equal(op.getResults(), rule.results))
    lies[result] = sharding;
  // What is divided for a layer alone is whole again behind it.
  if (isa<CombineOp>(op) && rule.results[0].part != batch)
    lies[op.getResult(0)] = Sharding::replicated();
  rules[&op] = std::move(rule);
  return success();
}

//===----------------------------------------------------------------------===//
// Rewriting: types and collectives
//===----------------------------------------------------------------------===//

RankedTensorType Distribution::localType(Value value, Sharding sharding) const {
  RankedTensorType type = getTensorType(value);
  if (!sharding.isSharded())
    return type;
  Dims dims = getDims(type);
  DimExpr &size = dims[sharding.axis];
  const Part &part = *sharding.part;
  size =
      *DimExpr::divideExactly(size, part.whole) * DimExpr::symbol(part.symbol);
  return getTensorType(type.getElementType(), dims);
}

Value Distribution::gather(Value value, Sharding have, Location loc) {
  RankedTensorType type = getTensorType(value);
  Dims dims = getDims(type);
  DimExpr local = DimExpr::symbol(have.part->symbol);
  dims[have.axis] =
      *DimExpr::divideExactly(dims[have.axis], local) * have.part->whole;
  mlir::remark::analysis(
      loc, mlir::remark::RemarkOpts::name("gather").category("moe-distribute"))
      << "rows are mixed here: gathers " << toString(dims);
  return AllGatherOp::create(builder, loc,
                             getTensorType(type.getElementType(), dims), value,
                             have.axis, have.part->symbol);
}

/// `value` as an operation wants it; the builder stands before that.
Value Distribution::convert(Value value, Sharding want, Location loc) {
  Sharding have = lies.lookup(value);
  if (have == want)
    return value;
  if (have.isSharded()) {
    Value &whole = converted[{value.getAsOpaquePointer(), -1, nullptr}];
    if (!whole) {
      whole = gather(value, have, loc);
      lies[whole] = Sharding::replicated();
    }
    value = whole;
  }
  if (!want.isSharded())
    return value;
  Value &part = converted[{value.getAsOpaquePointer(), want.axis, want.part}];
  if (!part)
    part = ShardOp::create(builder, loc, localType(value, want), value,
                           want.axis, want.part->symbol);
  return part;
}

/// A rank dispatches its own tokens: fewer rows.
void Distribution::boundRows(DispatchOp op) {
  std::optional<std::string> rows = getDim(op.getRows(), 0).symbolName();
  if (!rows)
    return;
  Dims choices = getDims(op.getSlots());
  dataSymbols.set(*rows, builder.getStringAttr(product(choices).toString()));
}

/// Rows go to the ranks of their experts before `op`, and come back behind it.
void Distribution::exchange(ExpertsOp op) {
  Location loc = op.getLoc();
  RankedTensorType rowsType = getTensorType(op.getRows());
  Dims dims = getDims(rowsType);
  DimExpr rows = dims[0];
  PlacementAttr placement = *op.getPlacement();
  int64_t numExperts = placement.getExperts().size();

  std::string received = rows.symbolName().value_or("rows") + ".received";
  dims[0] = DimExpr::symbol(received);
  auto countsType = [&](ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, builder.getI32Type());
  };
  builder.setInsertionPoint(op);
  auto there = AllToAllOp::create(
      builder, loc, getTensorType(rowsType.getElementType(), dims),
      countsType({placement.maxLocalExperts()}),
      countsType({placement.getNumRanks(), numExperts}), op.getRows(),
      op.getCounts(), placement, ExchangeForm::Flat, /*node_size=*/0,
      ExchangeFormAttr(), /*small_tokens=*/0, DimsAttr());
  Value counts = op.getCounts();
  op.getRowsMutable().assign(there.getReceived());
  op.getCountsMutable().assign(there.getLocalCounts());

  RankedTensorType sentType = getTensorType(op.getResult());
  Dims resultDims = getDims(sentType);
  resultDims[0] = dims[0];
  op.getResult().setType(getTensorType(sentType.getElementType(), resultDims));
  builder.setInsertionPointAfter(op);
  auto back = AllToAllBackOp::create(
      builder, loc, sentType, op.getResult(), there.getRoute(), counts,
      placement, ExchangeForm::Flat, /*node_size=*/0, ExchangeFormAttr(),
      /*small_tokens=*/0, DimsAttr());
  op.getResult().replaceAllUsesExcept(back.getResult(), back);
  lies[back.getResult()] = lies.lookup(op.getResult());
}

/// The tokens that one layer divided, whole again.
void Distribution::gatherTokens(CombineOp op) {
  Sharding have = rules.at(op).results[0];
  if (have.part == batch || !have.isSharded())
    return;
  builder.setInsertionPointAfter(op);
  Value whole = gather(op.getResult(), have, op.getLoc());
  op.getResult().replaceAllUsesExcept(whole, whole.getDefiningOp());
  lies[whole] = Sharding::replicated();
}

LogicalResult Distribution::rewrite(Operation &op) {
  const OpSharding &rule = rules.at(&op);
  builder.setInsertionPoint(&op);
  for (auto [operand, want] :
       llvm::zip_equal(op.getOpOperands(), rule.operands)) {
    Sharding have = lies.lookup(operand.get());
    if (have.ragged != want.ragged || (have.ragged && isa<func::ReturnOp>(op)))
      return op.emitOpError() << "uses rows of tokens outside of experts";
    operand.set(convert(operand.get(), want, op.getLoc()));
  }
  for (auto [result, sharding] : llvm::zip_equal(op.getResults(), rule.results))
    result.setType(localType(result, sharding));
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    boundRows(dispatch);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    exchange(experts);
  if (auto combine = dyn_cast<CombineOp>(op))
    gatherTokens(combine);
  return success();
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

void Distribution::setFunctionType() {
  Operation *terminator = func.front().getTerminator();
  func.setType(FunctionType::get(func.getContext(),
                                 func.front().getArgumentTypes(),
                                 terminator->getOperandTypes()));
  func->setAttr(kLocalSymbols, localSymbols.getDictionary(func.getContext()));
  if (!dataSymbols.empty())
    func->setAttr(kDataSymbols, dataSymbols.getDictionary(func.getContext()));
}

/// What arrives on a rank is at most what all ranks send: the bound of the rows
/// before they were divided.
static void boundReceivedRows(func::FuncOp func, NamedAttrList &dataSymbols) {
  func.walk([&](ExpertsOp op) {
    std::optional<std::string> rows = getDim(op.getRows(), 0).symbolName();
    if (!rows)
      return;
    if (Attribute bound = dataSymbols.get(*rows))
      dataSymbols.set(*rows + ".received", bound);
  });
}

LogicalResult Distribution::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitError("expected a function of one block");
  boundReceivedRows(func, dataSymbols);
  if (std::optional<std::string> symbol = chooseBatchSymbol(func)) {
    batch = addPart(*symbol + ".local", DimExpr::symbol(*symbol));
    for (BlockArgument argument : func.getArguments())
      if (std::optional<int> axis = batchAxis(argument, *symbol))
        lies[argument] = {batch, *axis};
  }
  mlir::remark::passed(
      func.getLoc(),
      mlir::remark::RemarkOpts::name("batch").category("moe-distribute"))
      << (batch ? "ranks divide " + batch->whole.toString()
                : std::string("no symbol of a batch: all is replicated but "
                              "the tokens of experts"));

  for (Operation &op : func.front())
    if (failed(analyze(op)))
      return failure();
  for (BlockArgument argument : func.getArguments())
    argument.setType(localType(argument, lies.lookup(argument)));
  for (Operation &op : llvm::make_early_inc_range(func.front()))
    if (failed(rewrite(op)))
      return failure();
  setFunctionType();
  return success();
}
