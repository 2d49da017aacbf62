//===- VerifyDistributed.cpp - The gate behind distribution ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks that the function is one program for all ranks:
//
//   * every moe.experts has a placement on as many ranks as the mesh has, and
//     with several ranks its rows come from moe.all_to_all and go to
//     moe.all_to_all_back of that placement;
//   * a local symbol is declared, and a result has one only if an operand has
//     it or the operation is moe.shard or moe.reduce_scatter: nothing becomes
//     local by accident;
//   * moe.all_gather is the only way back, so a result of any other operation
//     that lost its operands' local symbol is a mistake of a rule.
//
// Before: a function behind moe-distribute. After: nothing is changed.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
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

static LogicalResult verifyExperts(ExpertsOp op, int64_t numRanks) {
  std::optional<PlacementAttr> placement = op.getPlacement();
  if (!placement)
    return op.emitOpError("has no placement");
  if (placement->getNumRanks() != numRanks)
    return op.emitOpError() << "is placed on " << placement->getNumRanks()
                            << " ranks, the mesh has " << numRanks;
  if (numRanks == 1)
    return success();
  auto there = op.getRows().getDefiningOp<AllToAllOp>();
  if (!there || there.getPlacement() != *placement ||
      op.getCounts() != there.getLocalCounts())
    return op.emitOpError("does not compute rows that moe.all_to_all received "
                          "for its placement");
  for (Operation *user : op->getUsers()) {
    auto back = dyn_cast<AllToAllBackOp>(user);
    if (!back || back.getRoute() != there.getRoute())
      return op.emitOpError("has rows that do not go back by the route that "
                            "they came");
  }
  return success();
}

static LogicalResult verifyLocality(Operation &op, const SymbolSet &declared) {
  if (isa<ShardOp, ReduceScatterOp, AllGatherOp, func::ReturnOp>(op))
    return success();
  SymbolSet operands = localSymbolsOf(op.getOperands(), declared);
  SymbolSet results = localSymbolsOf(op.getResults(), declared);
  for (const std::string &symbol : results)
    if (!operands.count(symbol))
      return op.emitOpError() << "has a result of size " << symbol
                              << " that is not one of its operands";
  // Rows of tokens are local without a symbol that says so.
  if (isa<DispatchOp>(op) || op.getNumResults() == 0)
    return success();
  for (const std::string &symbol : operands)
    if (!results.count(symbol))
      return op.emitOpError() << "mixes elements of size " << symbol
                              << " that lie on several ranks";
  return success();
}

static LogicalResult verifyFunction(func::FuncOp func, int64_t numRanks) {
  SymbolSet declared;
  if (auto symbols = func->getAttrOfType<DictionaryAttr>(kLocalSymbols))
    for (NamedAttribute symbol : symbols)
      declared.insert(symbol.getName().str());
  for (Operation &op : func.front()) {
    if (auto experts = dyn_cast<ExpertsOp>(op))
      if (failed(verifyExperts(experts, numRanks)))
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
    int64_t numRanks = mesh.getDp() * mesh.getEp() * mesh.getTp();
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (failed(verifyFunction(func, numRanks)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
