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
// behind. Tokens that several ranks have (no batch, mixed before, or equal over
// tp) are divided for the layer alone, so the work of experts is spread in any
// case; but in the replicated form, where ranks take what is for their experts.
//
// Before: one function, experts placed (moe-place-experts). After: types of
// sharded values have local symbols, which `moe.local_symbols` of the function
// declares and `moe.symbol_groups` gives to groups of ranks. On one rank
// nothing changes.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/Distribution.h"

#include "dialect/moe/MoeTypes.h"
#include "passes/Passes.h"
#include "passes/distribute/BatchSymbol.h"
#include "passes/distribute/ExpertLayer.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_DISTRIBUTEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

namespace {
struct Distribute : moe::pass::impl::DistributePassBase<Distribute> {
  using DistributePassBase::DistributePassBase;

  void runOnOperation() override {
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
    if (!mesh) {
      getOperation().emitError("experts are not placed: no 'moe.mesh'");
      return signalPassFailure();
    }
    if (sizeOfGroup(mesh, CommGroup::World) == 1)
      return;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (failed(Distribution(func, mesh, capacityPerRank).run()))
        return signalPassFailure();
  }
};
} // namespace

Distribution::Distribution(func::FuncOp func, MeshAttr mesh,
                           bool capacityPerRank)
    : func(func), builder(func.getContext()), mesh(mesh),
      capacityPerRank(capacityPerRank),
      localSymbols(func->getAttrOfType<DictionaryAttr>(kLocalSymbols)),
      symbolGroups(func->getAttrOfType<DictionaryAttr>(kSymbolGroups)),
      dataSymbols(func->getAttrOfType<DictionaryAttr>(kDataSymbols)) {}

//===----------------------------------------------------------------------===//
// Analysis: how every value lies
//===----------------------------------------------------------------------===//

const Part *Distribution::addPart(std::string symbol, DimExpr whole,
                                  CommGroup group, const Part *outer) {
  const Part &part = parts.emplace_back(
      Part{std::move(symbol), std::move(whole), group, outer});
  localSymbols.set(part.symbol,
                   builder.getStringAttr(part.divided().toString()));
  if (group != CommGroup::Rows)
    symbolGroups.set(part.symbol,
                     builder.getStringAttr(stringifyCommGroup(group)));
  return &part;
}

LogicalResult Distribution::analyze(Operation &op) {
  SmallVector<Sharding> operands;
  for (Value operand : op.getOperands())
    operands.push_back(lies.lookup(operand));
  OpSharding rule = chooseSharding(&op, operands);
  if (auto dispatch = dyn_cast<DispatchOp>(op)) {
    FailureOr<OpSharding> chosen = analyzeDispatch(dispatch, std::move(rule));
    if (failed(chosen))
      return failure();
    rule = std::move(*chosen);
  }
  if (auto combine = dyn_cast<CombineOp>(op))
    keepOwnTokens(combine, rule);
  if (isa<func::ReturnOp>(op))
    rule.operands = operands;
  for (auto [result, sharding] : llvm::zip_equal(op.getResults(), rule.results))
    lies[result] = sharding;
  // What is divided for a layer alone is behind it as it was before.
  const Part *part = isa<CombineOp>(op) ? rule.results[0].part : nullptr;
  if (part && part != batch)
    lies[op.getResult(0)] =
        part->outer ? Sharding{part->outer, 0} : Sharding::replicated();
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

/// The parts of all ranks of the innermost group that divides `value`.
Value Distribution::gather(Value value, Location loc) {
  Value &whole = converted[{value.getAsOpaquePointer(), -1, nullptr}];
  if (whole)
    return whole;
  Sharding have = lies.lookup(value);
  RankedTensorType type = getTensorType(value);
  Dims dims = getDims(type);
  DimExpr local = DimExpr::symbol(have.part->symbol);
  dims[have.axis] =
      *DimExpr::divideExactly(dims[have.axis], local) * have.part->divided();
  mlir::remark::analysis(
      loc, mlir::remark::RemarkOpts::name("gather").category("moe-distribute"))
      << "rows are mixed here: gathers " << toString(dims);
  whole = AllGatherOp::create(builder, loc,
                              getTensorType(type.getElementType(), dims), value,
                              have.axis, have.part->symbol);
  lies[whole] = have.part->outer ? Sharding{have.part->outer, have.axis}
                                 : Sharding::replicated();
  return whole;
}

/// This rank's part of a value that lies as the outer part of `want` does.
Value Distribution::shard(Value value, Sharding want, Location loc) {
  Value &part = converted[{value.getAsOpaquePointer(), want.axis, want.part}];
  if (part)
    return part;
  RankedTensorType type = getTensorType(value);
  Dims dims = getDims(type);
  dims[want.axis] =
      *DimExpr::divideExactly(dims[want.axis], want.part->divided()) *
      DimExpr::symbol(want.part->symbol);
  part =
      ShardOp::create(builder, loc, getTensorType(type.getElementType(), dims),
                      value, want.axis, want.part->symbol);
  lies[part] = want;
  return part;
}

/// `value` as an operation wants it; the builder stands before that.
Value Distribution::convert(Value value, Sharding want, Location loc) {
  // The parts of `want`, innermost first.
  SmallVector<Sharding> path;
  for (const Part *part = want.part; part; part = part->outer)
    path.push_back({part, want.axis});
  Sharding have = lies.lookup(value);
  while (have.isSharded() && !llvm::is_contained(path, have)) {
    value = gather(value, loc);
    have = lies.lookup(value);
  }
  while (!path.empty() && have.isSharded() && path.back() != have)
    path.pop_back();
  if (have.isSharded())
    path.pop_back();
  for (const Sharding &part : llvm::reverse(path))
    value = shard(value, part, loc);
  return value;
}

/// Tokens of one rank compete for places with those of all ranks.
void Distribution::competeOverRanks(GateOp op, const Sharding &rows) {
  if (op.getDropPolicy() == DropPolicy::None || !rows.isSharded())
    return;
  if (!capacityPerRank)
    op.setPart(rows.part->symbol);
  mlir::remark::analysis(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("capacity").category("moe-distribute"))
      << (capacityPerRank ? "each rank has a capacity for its own tokens"
                          : "ranks exchange what decides who is dropped");
}

LogicalResult Distribution::rewrite(Operation &op) {
  const OpSharding &rule = rules.at(&op);
  builder.setInsertionPoint(&op);
  for (auto [operand, want] :
       llvm::zip_equal(op.getOpOperands(), rule.operands)) {
    Sharding have = lies.lookup(operand.get());
    if (have.ragged != want.ragged || (have.ragged && isa<func::ReturnOp>(op)))
      return op.emitOpError() << "uses rows of tokens outside of experts";
    if (!have.ragged)
      operand.set(convert(operand.get(), want, op.getLoc()));
  }
  for (auto [result, sharding] : llvm::zip_equal(op.getResults(), rule.results))
    result.setType(localType(result, sharding));
  if (auto gate = dyn_cast<GateOp>(op))
    competeOverRanks(gate, rule.results[0]);
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    boundRows(dispatch);
  if (auto combine = dyn_cast<CombineOp>(op))
    gatherTokens(combine);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return exchange(experts);
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
  if (!symbolGroups.empty())
    func->setAttr(kSymbolGroups, symbolGroups.getDictionary(func.getContext()));
  if (!dataSymbols.empty())
    func->setAttr(kDataSymbols, dataSymbols.getDictionary(func.getContext()));
}

LogicalResult Distribution::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitError("expected a function of one block");
  if (std::optional<std::string> symbol = chooseBatchSymbol(func)) {
    batch = addPart(*symbol + ".local", DimExpr::symbol(*symbol),
                    CommGroup::Rows, /*outer=*/nullptr);
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

  func.walk([&](ExpertsOp op) {
    if (DispatchOp dispatch = findDispatch(op)) {
      expertsOf[dispatch] = op;
      layerTokens[op] = getDim(dispatch.getX(), 0);
    }
  });
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
