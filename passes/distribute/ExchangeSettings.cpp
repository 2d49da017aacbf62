//===- ExchangeSettings.cpp - How the rows of a layer travel --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ExchangeSettings.h"

#include "passes/distribute/ParallelForm.h"
#include "passes/distribute/Sharding.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using solver::Exchange;

/// The operations of a layer are copied for each chunk.
static constexpr int64_t kMaxChunks = 64;

int64_t moe::pass::sizeOfGroup(MeshAttr mesh, CommGroup group) {
  int64_t owners = mesh.getDp() * mesh.getEp();
  if (group == CommGroup::Rows)
    return owners;
  return group == CommGroup::Tp ? mesh.getTp() : owners * mesh.getTp();
}

/// Ranks of one node that a group has. Those of equal t are every tp-th.
static FailureOr<int64_t> nodeSizeIn(ExpertsOp op, MeshAttr mesh) {
  PlacementAttr placement = *op.getPlacement();
  auto module = op->getParentOfType<ModuleOp>();
  auto attribute = module->getAttrOfType<IntegerAttr>(kNodeSize);
  if (!attribute)
    return op.emitOpError("has a hierarchical exchange, but nobody says how "
                          "many ranks a node has");
  int64_t onNode = attribute.getInt();
  int64_t stride =
      placement.getGroup() == CommGroup::Rows ? mesh.getTp() : int64_t(1);
  if (onNode < 1 || onNode % stride != 0 ||
      placement.getNumRanks() % (onNode / stride) != 0)
    return op.emitOpError()
           << "has a hierarchical exchange, but nodes of " << onNode
           << " ranks do not divide the " << placement.getNumRanks()
           << " ranks of " << stringifyCommGroup(placement.getGroup())
           << " evenly";
  return onNode / stride;
}

static ExchangeForm toForm(Exchange exchange) {
  if (exchange == Exchange::Hierarchical)
    return ExchangeForm::Hierarchical;
  return exchange == Exchange::Replicated ? ExchangeForm::Replicated
                                          : ExchangeForm::Flat;
}

FailureOr<ExchangeSettings> moe::pass::exchangeSettings(ExpertsOp op) {
  StatusOr<solver::LayerForm> said =
      toLayerForm(op->getAttrOfType<DictionaryAttr>(kForm));
  if (!said.isOk())
    return op.emitOpError() << said.status().message();
  if (said->chunks.value_or(1) > kMaxChunks)
    return op.emitOpError() << "is to run in " << *said->chunks
                            << " chunks, expected at most " << kMaxChunks;
  ExchangeSettings settings;
  settings.form = toForm(said->exchange.value_or(Exchange::Flat));
  if (said->small && toForm(*said->small) != settings.form) {
    settings.small = toForm(*said->small);
    settings.smallTokens = said->smallTokens.value_or(0);
  }
  if (settings.isReplicated() && settings.small)
    return op.emitOpError("has a form for few tokens, but its tokens are "
                          "replicated and do not travel");
  if (settings.form != ExchangeForm::Hierarchical &&
      settings.small != ExchangeForm::Hierarchical)
    return settings;
  auto mesh = op->getParentOfType<ModuleOp>()->getAttrOfType<MeshAttr>(kMesh);
  FailureOr<int64_t> nodeSize = nodeSizeIn(op, mesh);
  if (failed(nodeSize))
    return failure();
  settings.nodeSize = *nodeSize;
  return settings;
}
