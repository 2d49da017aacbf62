//===- BuildControl.cpp - Conditions --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// The branches that an If may take: both, if only a run can tell.
static FailureOr<SmallVector<SmallVector<ImportValue *>>>
importBranches(NodeContext &n, std::optional<bool> condition) {
  SmallVector<SmallVector<ImportValue *>> branches;
  for (bool branch : {true, false}) {
    StringRef name = branch ? "then_branch" : "else_branch";
    const onnx::AttributeProto *attribute = n.findAttr(name);
    if (!attribute || attribute->type() != onnx::AttributeProto::GRAPH)
      return n.invalid("attribute '" + name + "' is no graph");
    if (condition.value_or(branch) != branch)
      continue;
    FailureOr<SmallVector<ImportValue *>> outputs =
        n.graph().importBranch(attribute->g());
    if (failed(outputs))
      return failure();
    if (outputs->size() != n.numOutputs())
      return n.invalid("attribute '" + name + "' has " +
                       Twine(outputs->size()) + " outputs, expected " +
                       Twine(n.numOutputs()));
    branches.push_back(std::move(*outputs));
  }
  return branches;
}

LogicalResult buildIf(NodeContext &n) {
  std::optional<bool> condition;
  if (std::optional<SizeElements> known = knownElements(n.input(0)))
    if (known->size() == 1 && known->front().isKnown())
      condition = known->front().expr != DimExpr(0);
  auto branches = importBranches(n, condition);
  if (failed(branches))
    return failure();
  for (unsigned i = 0; i < n.numOutputs(); ++i) {
    ImportValue &first = *branches->front()[i], &last = *branches->back()[i];
    if (branches->size() == 1 || first.isPoisoned || last.isPoisoned) {
      n.set(i, first.isPoisoned ? first : last);
      continue;
    }
    // Nothing in the dialect has an effect, so both branches may be computed.
    if (first.type != last.type || product(n.dims(0)) != DimExpr(1))
      return n.unsupported("its condition is known only at run time, and its "
                           "branches give different sizes");
    Value chosen = n.reshape(n.value(0), {});
    n.set(i, n.select(chosen, n.materialize(first), n.materialize(last)));
  }
  return success();
}

} // namespace moe::onnx_import
