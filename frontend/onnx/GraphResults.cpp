//===- GraphResults.cpp - What a model gives back -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphImporter.h"

#include "dialect/moe/Shapes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

// What no result needs goes: exporters leave training losses behind.
static void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

void GraphImporter::setFunctionAttributes() {
  SmallVector<NamedAttribute> symbols;
  for (const auto &[name, bound] : state.dataSymbols)
    symbols.emplace_back(builder.getStringAttr(name),
                         builder.getStringAttr(bound.toString()));
  if (!symbols.empty())
    function->setAttr(kDataSymbols, builder.getDictionaryAttr(symbols));
  SmallVector<Attribute> constraints;
  for (const ImportState::Constraint &constraint : state.constraints)
    constraints.push_back(
        builder.getStrArrayAttr({constraint.lhs.toString(),
                                 constraint.rhs.toString(), constraint.what}));
  if (!constraints.empty())
    function->setAttr(kConstraints, builder.getArrayAttr(constraints));
  module->getOperation()->setAttr("moe.model",
                                  builder.getStringAttr(fileName()));
}

// Only what a model gives back is kept between runs.
void GraphImporter::dropUnreturnedCaches() {
  for (auto append : llvm::make_early_inc_range(
           function.getBody().front().getOps<CacheAppendOp>())) {
    auto past = dyn_cast<BlockArgument>(append.getPast());
    if (append.getLengths() ||
        (past && function.getArgAttr(past.getArgNumber(), kState)))
      continue;
    builder.setInsertionPoint(append);
    Value both[] = {append.getPast(), append.getNewEntries()};
    append.replaceAllUsesWith(
        ConcatOp::create(builder, append.getLoc(), both, append.getAxis())
            .getResult());
    append.erase();
  }
}

LogicalResult GraphImporter::finish(const Scope &scope) {
  const onnx::GraphProto &graph = job.model.proto.graph();
  Access access(*this, scope, "", builder.getUnknownLoc());
  onnx::NodeProto none;
  NodeContext n(state, builder, builder.getUnknownLoc(), fileName(), none, 0,
                {}, {}, access);
  SmallVector<Value> results;
  SmallVector<Type> types;
  for (const onnx::ValueInfoProto &output : graph.output()) {
    ImportValue *value = scope.find(output.name());
    if (isPoisoned(value))
      return failure();
    results.push_back(n.materialize(*value));
    types.push_back(results.back().getType());
  }
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setType(
      builder.getFunctionType(function.getFunctionType().getInputs(), types));
  for (auto [i, output] : llvm::enumerate(graph.output())) {
    NamedAttrList attributes(function.getResultAttrs(i));
    attributes.set(kName, builder.getStringAttr(output.name()));
    // A cache that a builder appended to.
    if (auto append = results[i].getDefiningOp<CacheAppendOp>())
      if (auto past = dyn_cast<BlockArgument>(append.getPast())) {
        attributes.set(kState, append.getStateAttr());
        function.setArgAttr(past.getArgNumber(), kState, append.getStateAttr());
      }
    function.setResultAttrs(i, attributes.getAttrs());
  }
  dropUnreturnedCaches();
  eraseUnused(function.getBody().front());
  setFunctionAttributes();
  return success();
}

} // namespace moe::onnx_import
