//===- GraphNodes.cpp - Walks the nodes of a graph ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphImporter.h"

#include "dialect/moe/Shapes.h"
#include "frontend/onnx/OpTable.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Nodes in all, calls included: a small file can ask for exponentially many.
static constexpr size_t kMaxNodes = 1'000'000;

/// Whether a node can use integers of less than a byte.
static bool readsCodes(const onnx::NodeProto &node) {
  StringRef domain = normalDomain(node.domain());
  return (domain.empty() && node.op_type() == "DequantizeLinear") ||
         (domain == kMicrosoftDomain &&
          node.op_type() == "GatherBlockQuantized");
}

LogicalResult
GraphImporter::importNodes(const NodeList &nodes,
                           const std::vector<std::string> &results,
                           Scope &scope) {
  StatusOr<std::vector<int>> order =
      orderNodes(nodes, results,
                 [&](const std::string &name) { return scope.defines(name); });
  if (!order.isOk())
    return badModel(order.status().message());
  for (int i : *order)
    if (failed(importNode(nodes[i], i, scope)))
      return failure();
  return success();
}

LogicalResult GraphImporter::importNode(const onnx::NodeProto &node, int index,
                                        Scope &scope) {
  if (++numNodes > kMaxNodes)
    return badModel("has more than " + std::to_string(kMaxNodes) +
                    " nodes, calls included");
  std::string name = node.name().empty()
                         ? node.op_type() + "_" + std::to_string(index)
                         : node.name();
  if (!scope.prefix.empty())
    name = scope.prefix + "/" + name;
  SmallVector<ImportValue *> inputs;
  bool anyPoisoned = false;
  for (const std::string &input : node.input()) {
    ImportValue *value = input.empty() ? nullptr : scope.find(input);
    bool canRead = value && value->packed && readsCodes(node);
    anyPoisoned |= !canRead && isPoisoned(value);
    inputs.push_back(value);
  }
  while (!inputs.empty() && !inputs.back())
    inputs.pop_back();
  SmallVector<const onnx::AttributeProto *> attributes =
      resolveAttributes(node, scope);
  auto callee = job.functions.find(
      functionKey(node.domain(), node.op_type(), node.overload()));
  if (callee != job.functions.end()) {
    if (anyPoisoned)
      return poisonOutputs(node, scope), success();
    return importCall(*callee->second, node, name, inputs, attributes, scope);
  }
  if (anyPoisoned && isKnownOp(normalDomain(node.domain()), node.op_type()))
    return poisonOutputs(node, scope), success();
  return importOperator(node, name, inputs, attributes, scope);
}

/// Why there is no row for an operator.
static std::string missingReason(StringRef domain, StringRef op,
                                 int64_t opset) {
  if (!isKnownOp(domain, op))
    return "the operator is not supported";
  return "the operator is not supported at opset " + std::to_string(opset);
}

/// Calls the builder of an operator, if the node has what it takes.
static void buildNode(NodeContext &n, const onnx::NodeProto &node,
                      StringRef domain, int64_t opset,
                      ArrayRef<ImportValue *> inputs) {
  const OpRow *row = findOp(domain, node.op_type(), opset);
  if (!row)
    return (void)n.unsupported(missingReason(domain, node.op_type(), opset));
  if (inputs.size() < row->minInputs || inputs.size() > row->maxInputs ||
      static_cast<unsigned>(node.output_size()) > row->maxOutputs)
    return (void)n.invalid("has " + Twine(inputs.size()) + " inputs and " +
                           Twine(node.output_size()) + " outputs");
  if (llvm::is_contained(inputs.take_front(row->minInputs), nullptr))
    return (void)n.invalid("lacks an input that is not optional");
  if (succeeded(row->build(n)) && !n.hasFailed())
    (void)n.checkAttributes();
}

LogicalResult GraphImporter::importOperator(
    const onnx::NodeProto &node, const std::string &name,
    ArrayRef<ImportValue *> inputs,
    ArrayRef<const onnx::AttributeProto *> attributes, Scope &scope) {
  StringRef domain = normalDomain(node.domain());
  const Scope *versions = &scope;
  while (!versions->opsets)
    versions = versions->outer;
  int64_t opset = versions->opsets->lookup(domain);
  // Files of optimized models use the domain without importing it.
  if (opset == 0 && domain == kMicrosoftDomain)
    opset = 1;
  std::string op = (domain.empty() ? "" : domain.str() + ".") + node.op_type();
  std::string what =
      "node \"" + name + "\" (" + op + ", opset " + std::to_string(opset) + ")";
  Location loc = NameLoc::get(builder.getStringAttr(name));
  Access access(*this, scope, what, loc);
  NodeContext n(state, builder, loc, what, node, opset, inputs, attributes,
                access);
  state.nodeFailed = false;
  buildNode(n, node, domain, opset, inputs);
  if (state.restart || state.hasFatalError())
    return failure();
  if (state.nodeFailed)
    return poisonOutputs(node, scope), success();
  SmallVector<ImportValue *> outputs;
  for (int i = 0; i < node.output_size(); ++i) {
    ImportValue *&output = outputs.emplace_back(n.output(i));
    if (!output && n.wants(i)) {
      output = &state.newValue(loc);
      output->isPoisoned = true;
      output->pendingError =
          (what + ": output " + Twine(i) + " is not supported").str();
    }
    if (!output || output->isPoisoned)
      continue;
    if (output->type.getRank() > kMaxRank)
      (void)n.unsupported("a result has a rank of more than 8");
    else if (output->type.hasStaticShape() &&
             !numElementsOf(output->type.getShape()))
      (void)n.invalid("a result has more than 2^63 elements");
  }
  if (state.hasFatalError())
    return failure();
  if (state.nodeFailed)
    return poisonOutputs(node, scope), success();
  return defineOutputs(node, outputs, scope), success();
}

} // namespace moe::onnx_import
