//===- GraphCalls.cpp - Functions and branches in place of their calls ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphImporter.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Functions that call functions.
static constexpr size_t kMaxCallDepth = 64;

// The attributes of a node in a function may be those of the call.
SmallVector<const onnx::AttributeProto *>
GraphImporter::resolveAttributes(const onnx::NodeProto &node,
                                 const Scope &scope) {
  const llvm::StringMap<const onnx::AttributeProto *> *bound = nullptr;
  for (const Scope *s = &scope; s && !bound; s = s->outer)
    bound = s->attributes;
  SmallVector<const onnx::AttributeProto *> result;
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      result.push_back(&attribute);
      continue;
    }
    const onnx::AttributeProto *value =
        bound ? bound->lookup(attribute.ref_attr_name()) : nullptr;
    if (!value)
      continue;
    onnx::AttributeProto &renamed = renamedAttributes.emplace_back(*value);
    renamed.set_name(attribute.name());
    result.push_back(&renamed);
  }
  return result;
}

LogicalResult GraphImporter::importCall(
    const onnx::FunctionProto &function, const onnx::NodeProto &node,
    const std::string &name, ArrayRef<ImportValue *> inputs,
    ArrayRef<const onnx::AttributeProto *> attributes, Scope &scope) {
  auto error = [&](const std::string &message) {
    return badModel("node \"" + name + "\" (function " + function.name() +
                    "): " + message);
  };
  if (llvm::is_contained(callStack, &function))
    return error("the function calls itself");
  if (callStack.size() >= kMaxCallDepth)
    return error("functions call each other deeper than 64 levels");
  if (inputs.size() > static_cast<size_t>(function.input_size()) ||
      node.output_size() > function.output_size())
    return error("has more inputs or outputs than the function");
  Opsets opsets = readOpsets(function.opset_import());
  llvm::StringMap<const onnx::AttributeProto *> bound;
  for (const onnx::AttributeProto &attribute : function.attribute_proto())
    bound[attribute.name()] = &attribute;
  for (const onnx::AttributeProto *attribute : attributes) {
    if (!bound.count(attribute->name()) &&
        !llvm::is_contained(function.attribute(), attribute->name()))
      return error("attribute '" + attribute->name() +
                   "' is none of the function's");
    bound[attribute->name()] = attribute;
  }
  Scope inner;
  inner.opsets = &opsets;
  inner.attributes = &bound;
  inner.prefix = name;
  // An absent optional input is a name without value.
  for (auto [i, input] : llvm::enumerate(function.input()))
    inner.names[input] = i < inputs.size() ? inputs[i] : nullptr;
  callStack.push_back(&function);
  std::vector<std::string> results(function.output().begin(),
                                   function.output().begin() +
                                       node.output_size());
  LogicalResult imported = importNodes(function.node(), results, inner);
  callStack.pop_back();
  if (failed(imported))
    return failure();
  SmallVector<ImportValue *> outputs;
  for (const std::string &result : results)
    outputs.push_back(inner.find(result));
  if (llvm::is_contained(outputs, nullptr))
    return error("a result is an input that is absent");
  return defineOutputs(node, outputs, scope), success();
}

FailureOr<SmallVector<ImportValue *>>
GraphImporter::importBranch(const onnx::GraphProto &graph, const Scope &outer) {
  Scope inner;
  inner.outer = &outer;
  inner.prefix = outer.prefix;
  std::vector<std::string> results;
  for (const onnx::ValueInfoProto &output : graph.output())
    results.push_back(output.name());
  if (failed(importInitializers(graph, inner)) ||
      failed(importNodes(graph.node(), results, inner)))
    return failure();
  SmallVector<ImportValue *> outputs;
  for (const std::string &result : results)
    outputs.push_back(inner.find(result));
  return outputs;
}

} // namespace moe::onnx_import
