//===- DistributeExperts.cpp - Tokens visit the ranks of their experts ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/Distribution.h"

#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/ExpertLayer.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

//===----------------------------------------------------------------------===//
// Which tokens a rank routes
//===----------------------------------------------------------------------===//

/// The tokens of a layer that several ranks have, divided between them. Owners
/// of rows divide theirs over tp; what all ranks have is divided over all.
OpSharding Distribution::divideTokens(DispatchOp op, const Sharding &owned) {
  CommGroup all = mesh.getTp() == 1 ? CommGroup::Rows : CommGroup::World;
  std::string symbol = "tokens" + std::to_string(parts.size()) + ".local";
  const Part *part =
      addPart(symbol, getDim(op.getX(), 0),
              owned.isSharded() ? CommGroup::Tp : all, owned.part);
  SmallVector<Sharding> operands(op->getNumOperands(), Sharding{part, 0});
  return chooseSharding(op, operands);
}

FailureOr<OpSharding> Distribution::analyzeDispatch(DispatchOp op,
                                                    OpSharding rule) {
  ExpertsOp experts = expertsOf.lookup(op);
  std::optional<PlacementAttr> placement =
      experts ? experts.getPlacement() : std::nullopt;
  if (placement) {
    FailureOr<ExchangeSettings> settings = exchangeSettings(experts);
    if (failed(settings))
      return failure();
    if (settings->isReplicated() && placement->getGroup() == CommGroup::Tp)
      return rule;
    if (settings->isReplicated()) {
      ownTokens[op] = rule.results[2];
      return replicateAll(op);
    }
  }
  // How the choices lie: on the owners of rows, or everywhere.
  Sharding owned = rule.results[2];
  if (owned.isSharded() && mesh.getTp() == 1)
    return rule;
  DimExpr numTokens = getDim(op.getX(), 0);
  if (hasDataSymbol(op, numTokens))
    return op.emitOpError() << "has " << numTokens.toString()
                            << " tokens, a number that only values tell and "
                               "ranks cannot divide";
  return divideTokens(op, owned);
}

/// Where each rank routed all tokens, it combines those that it has otherwise.
void Distribution::keepOwnTokens(CombineOp op, OpSharding &rule) const {
  Sharding own = ownTokens.lookup(op.getSlots().getDefiningOp());
  if (!own.isSharded())
    return;
  for (Sharding &want : MutableArrayRef(rule.operands).drop_front())
    want = own;
  rule.results = {own};
}

/// The tokens that one layer divided, as they were before it.
void Distribution::gatherTokens(CombineOp op) {
  Sharding have = rules.at(op).results[0];
  if (have.part == batch || !have.isSharded())
    return;
  builder.setInsertionPointAfter(op);
  // Until here the result lies as the layer divided it.
  lies[op.getResult()] = have;
  Value whole = gather(op.getResult(), op.getLoc());
  op.getResult().replaceAllUsesExcept(whole, whole.getDefiningOp());
}

//===----------------------------------------------------------------------===//
// How many rows there are at most
//===----------------------------------------------------------------------===//

/// A rank dispatches the tokens that it routes: fewer rows.
void Distribution::boundRows(DispatchOp op) {
  std::optional<std::string> rows = getDim(op.getRows(), 0).symbolName();
  if (!rows)
    return;
  DimExpr choices = boundOf(op, product(getDims(op.getSlots())));
  dataSymbols.set(*rows, builder.getStringAttr(choices.toString()));
}

/// The most tokens that the ranks of a placement's group route together.
DimExpr Distribution::tokensInGroup(ExpertsOp op) const {
  DispatchOp dispatch = findDispatch(op);
  CommGroup group = op.getPlacement()->getGroup();
  if (group == CommGroup::Tp)
    return boundOf(op, getDim(dispatch.getX(), 0));
  DimExpr all = boundOf(op, layerTokens.lookup(op));
  const Part *part = rules.at(dispatch).results[2].part;
  if (group == CommGroup::World || mesh.getTp() == 1 || !part || part == batch)
    return all;
  // Only ranks of equal t: a part of each owner's tokens. Parts of n over p
  // ranks have at most ceil(n / p), which is at most (n + p - 1) / p.
  DimExpr owners = sizeOfGroup(mesh, CommGroup::Rows);
  if (part->group == CommGroup::World)
    return owners * DimExpr::ceilDiv(all, owners * DimExpr(mesh.getTp()));
  DimExpr rounding = owners * DimExpr(mesh.getTp() - 1);
  return DimExpr::floorDiv(all + rounding, mesh.getTp());
}

/// A rank receives each token once for each of its experts that the token
/// chose. Slices and replicas receive no more than that.
DimExpr Distribution::receivedBound(ExpertsOp op) const {
  DispatchOp dispatch = findDispatch(op);
  int64_t choices = getTensorType(dispatch.getExperts()).getDimSize(1);
  if (hasDistinctChoices(dispatch))
    choices = std::min(choices, op.getPlacement()->maxLocalExperts());
  return tokensInGroup(op) * DimExpr(choices);
}

//===----------------------------------------------------------------------===//
// The exchange
//===----------------------------------------------------------------------===//

/// Rows go to the ranks of their experts before `op`, and come back behind it.
LogicalResult Distribution::exchange(ExpertsOp op) {
  FailureOr<ExchangeSettings> settings = exchangeSettings(op);
  if (failed(settings))
    return failure();
  if (!layerTokens.count(op))
    return op.emitOpError("does not compute the rows of a moe.dispatch");
  MLIRContext *context = op.getContext();
  Location loc = op.getLoc();
  PlacementAttr placement = *op.getPlacement();
  int64_t numExperts = placement.getExperts().size();
  RankedTensorType rowsType = getTensorType(op.getRows());
  Dims dims = getDims(rowsType);
  std::string received = dims[0].symbolName().value_or("rows") + ".received";
  dataSymbols.set(received,
                  builder.getStringAttr(receivedBound(op).toString()));
  dims[0] = DimExpr::symbol(received);

  ExchangeFormAttr small;
  DimsAttr tokens;
  if (settings->small) {
    small = ExchangeFormAttr::get(context, *settings->small);
    tokens = DimsAttr::get(context, ArrayRef<DimExpr>(layerTokens.lookup(op)));
  }
  auto countsType = [&](ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, builder.getI32Type());
  };
  builder.setInsertionPoint(op);
  auto there = AllToAllOp::create(
      builder, loc, getTensorType(rowsType.getElementType(), dims),
      countsType({placement.maxLocalExperts()}),
      countsType({placement.getNumRanks(), numExperts}), op.getRows(),
      op.getCounts(), placement, settings->form, settings->nodeSize, small,
      settings->smallTokens, tokens);
  Value counts = op.getCounts();
  op.getRowsMutable().assign(there.getReceived());
  op.getCountsMutable().assign(there.getLocalCounts());

  RankedTensorType sentType = getTensorType(op.getResult());
  Dims resultDims = getDims(sentType);
  resultDims[0] = dims[0];
  op.getResult().setType(getTensorType(sentType.getElementType(), resultDims));
  builder.setInsertionPointAfter(op);
  auto back = AllToAllBackOp::create(builder, loc, sentType, op.getResult(),
                                     there.getRoute(), counts, placement,
                                     settings->form, settings->nodeSize, small,
                                     settings->smallTokens, tokens);
  op.getResult().replaceAllUsesExcept(back.getResult(), back);
  lies[back.getResult()] = lies.lookup(op.getResult());
  return success();
}
