//===- VerifyDistributed.cpp - The gate behind distribution ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks that the function is one program for all ranks:
//
//   * every moe.experts has a placement on as many ranks as its group has, and
//     with several ranks its rows come from moe.all_to_all and go to
//     moe.all_to_all_back of that placement, in one form;
//   * each token is routed once: by one rank of those between which rows
//     travel, or in the replicated form by all of them;
//   * a local symbol is declared, and a result has one only if an operand has
//     it or the operation is moe.shard or moe.reduce_scatter: nothing becomes
//     local by accident;
//   * moe.all_gather is the only way back, so a result of any other operation
//     that lost its operands' local symbol is a mistake of a rule. But products
//     over slices of tensors are partial sums, which moe.all_reduce over tp
//     makes whole.
//
// Before: a function behind moe-distribute. After: nothing is changed.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/ExchangeSettings.h"
#include "passes/distribute/ExpertLayer.h"
#include "passes/distribute/Sharding.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <set>
#include <string>

namespace moe::pass {
#define GEN_PASS_DEF_VERIFYDISTRIBUTEDPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

using SymbolSet = std::set<std::string>;

/// Local symbols in the sizes of `values`.
static SymbolSet localSymbolsOf(ValueRange values, const SymbolSet &declared) {
  SymbolSet found;
  for (Value value : values)
    for (const DimExpr &size : getDims(value))
      for (const std::string &symbol : size.symbols())
        if (declared.count(symbol))
          found.insert(symbol);
  return found;
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

/// The groups of ranks that divide `size`, one inside the other.
static void collectGroups(Operation *op, const DimExpr &size,
                          std::set<CommGroup> &groups) {
  for (const std::string &symbol : size.symbols())
    if (auto whole = lookUpSymbol(op, kLocalSymbols, symbol)) {
      groups.insert(groupOfPart(op, symbol));
      collectGroups(op, *whole, groups);
    }
}

/// Each token is routed once.
static LogicalResult verifyTokens(AllToAllOp op, DispatchOp dispatch,
                                  MeshAttr mesh) {
  std::set<CommGroup> groups;
  collectGroups(dispatch, getDim(dispatch.getX(), 0), groups);
  auto isDivided = [&](CommGroup group) {
    return sizeOfGroup(mesh, group) == 1 || groups.count(group) ||
           groups.count(CommGroup::World);
  };
  CommGroup group = op.getPlacement().getGroup();
  bool overRows = group != CommGroup::Tp, overTp = group != CommGroup::Rows;
  if (op.getForm() != ExchangeForm::Replicated) {
    if ((overRows && !isDivided(CommGroup::Rows)) ||
        (overTp && !isDivided(CommGroup::Tp)))
      return op.emitOpError() << "sends tokens that several ranks of "
                              << stringifyCommGroup(group) << " have";
    return success();
  }
  if (groups.count(CommGroup::World) ||
      (overRows && groups.count(CommGroup::Rows)) ||
      (overTp && groups.count(CommGroup::Tp)))
    return op.emitOpError()
           << "is replicated, but the ranks of " << stringifyCommGroup(group)
           << " have different tokens";
  return success();
}

static bool haveOneForm(AllToAllOp there, AllToAllBackOp back) {
  return there.getPlacement() == back.getPlacement() &&
         there.getForm() == back.getForm() &&
         there.getNodeSize() == back.getNodeSize() &&
         there.getSmallForm() == back.getSmallForm() &&
         there.getSmallTokens() == back.getSmallTokens() &&
         there.getTokens() == back.getTokens();
}

static LogicalResult verifyExperts(ExpertsOp op, MeshAttr mesh) {
  std::optional<PlacementAttr> placement = op.getPlacement();
  if (!placement)
    return op.emitOpError("has no placement");
  int64_t numRanks = sizeOfGroup(mesh, placement->getGroup());
  if (placement->getNumRanks() != numRanks)
    return op.emitOpError() << "is placed on " << placement->getNumRanks()
                            << " ranks, the mesh has " << numRanks;
  if (sizeOfGroup(mesh, CommGroup::World) == 1)
    return success();
  auto there = op.getRows().getDefiningOp<AllToAllOp>();
  if (!there || there.getPlacement() != *placement ||
      op.getCounts() != there.getLocalCounts())
    return op.emitOpError("does not compute rows that moe.all_to_all received "
                          "for its placement");
  for (Operation *user : op->getUsers()) {
    auto back = dyn_cast<AllToAllBackOp>(user);
    if (!back || back.getRoute() != there.getRoute() ||
        !haveOneForm(there, back))
      return op.emitOpError("has rows that do not go back by the route that "
                            "they came");
  }
  DispatchOp dispatch = findDispatch(op);
  return dispatch ? verifyTokens(there, dispatch, mesh) : success();
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// A product over a slice of a tensor is a partial sum.
static LogicalResult verifyPartialSum(Operation &op) {
  for (Operation *user : op.getUsers()) {
    auto reduce = dyn_cast<AllReduceOp>(user);
    if (!reduce || reduce.getKind() != CollectiveReduce::Sum ||
        reduce.getGroup() != CommGroup::Tp)
      return op.emitOpError("gives a partial sum that no moe.all_reduce over "
                            "tp makes whole");
  }
  return success();
}

/// A result that lost `symbols` of the group tp.
static LogicalResult verifySliced(Operation &op, const SymbolSet &results,
                                  const SymbolSet &symbols) {
  if (isa<MatmulOp, FfnOp, GatherOp>(op))
    return verifyPartialSum(op);
  // Heads of queries may count other units than those of keys.
  bool hasHeads = llvm::any_of(results, [&](const std::string &symbol) {
    return groupOfPart(&op, symbol) == CommGroup::Tp;
  });
  if (isa<AttentionOp>(op) && hasHeads)
    return success();
  return op.emitOpError() << "mixes elements of size " << *symbols.begin()
                          << " that lie on several ranks";
}

static LogicalResult verifyLocality(Operation &op, const SymbolSet &declared) {
  if (isa<ShardOp, ReduceScatterOp, AllGatherOp, func::ReturnOp>(op))
    return success();
  SymbolSet operands = localSymbolsOf(op.getOperands(), declared);
  SymbolSet results = localSymbolsOf(op.getResults(), declared);
  for (const std::string &symbol : results) {
    // What all heads share is stretched to those of a rank.
    if (isa<BroadcastOp>(op) && groupOfPart(&op, symbol) == CommGroup::Tp)
      continue;
    if (!operands.count(symbol))
      return op.emitOpError() << "has a result of size " << symbol
                              << " that is not one of its operands";
  }
  // Rows of tokens are local without a symbol that says so.
  if (isa<DispatchOp>(op) || op.getNumResults() == 0)
    return success();
  SymbolSet sliced;
  for (const std::string &symbol : operands) {
    if (results.count(symbol))
      continue;
    if (groupOfPart(&op, symbol) != CommGroup::Tp)
      return op.emitOpError() << "mixes elements of size " << symbol
                              << " that lie on several ranks";
    sliced.insert(symbol);
  }
  return sliced.empty() ? success() : verifySliced(op, results, sliced);
}

static LogicalResult verifyFunction(func::FuncOp func, MeshAttr mesh) {
  SymbolSet declared;
  if (auto symbols = func->getAttrOfType<DictionaryAttr>(kLocalSymbols))
    for (NamedAttribute symbol : symbols)
      declared.insert(symbol.getName().str());
  for (Operation &op : func.front()) {
    if (auto experts = dyn_cast<ExpertsOp>(op))
      if (failed(verifyExperts(experts, mesh)))
        return failure();
    if (failed(verifyLocality(op, declared)))
      return failure();
  }
  return success();
}

namespace {
struct VerifyDistributed
    : moe::pass::impl::VerifyDistributedPassBase<VerifyDistributed> {
  void runOnOperation() override {
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(moe::pass::kMesh);
    if (!mesh) {
      getOperation().emitError("has no 'moe.mesh'");
      return signalPassFailure();
    }
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (failed(verifyFunction(func, mesh)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
