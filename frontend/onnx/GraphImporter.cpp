//===- GraphImporter.cpp - One attempt to import a model ------------------===//
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

StringRef normalDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

std::string functionKey(StringRef domain, StringRef name, StringRef overload) {
  return (normalDomain(domain) + Twine('\0') + name + Twine('\0') + overload)
      .str();
}

Opsets
readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>
               &imports) {
  Opsets opsets;
  for (const onnx::OperatorSetIdProto &entry : imports)
    opsets[normalDomain(entry.domain())] = entry.version();
  return opsets;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

ImportValue *GraphImporter::Scope::find(StringRef name) const {
  for (const Scope *scope = this; scope; scope = scope->outer)
    if (auto it = scope->names.find(name); it != scope->names.end())
      return it->second;
  return nullptr;
}

bool GraphImporter::Scope::defines(StringRef name) const {
  for (const Scope *scope = this; scope; scope = scope->outer)
    if (scope->names.contains(name))
      return true;
  return false;
}

bool GraphImporter::isPoisoned(ImportValue *value) {
  if (!value || !value->isPoisoned)
    return false;
  if (!value->pendingError.empty())
    state.error(StatusCode::Unsupported, std::move(value->pendingError));
  value->pendingError.clear();
  return true;
}

LogicalResult GraphImporter::badModel(const std::string &message) {
  state.error(StatusCode::BadModel, message);
  return failure();
}

void GraphImporter::defineOutputs(const onnx::NodeProto &node,
                                  ArrayRef<ImportValue *> outputs,
                                  Scope &scope) {
  for (auto [i, name] : llvm::enumerate(node.output()))
    if (!name.empty() && i < outputs.size() && outputs[i])
      scope.names[name] = outputs[i];
}

void GraphImporter::poisonOutputs(const onnx::NodeProto &node, Scope &scope) {
  for (const std::string &name : node.output()) {
    ImportValue &value = state.newValue(builder.getUnknownLoc());
    value.isPoisoned = true;
    scope.names[name] = &value;
  }
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

GraphImporter::GraphImporter(ImportJob &job, MLIRContext *context)
    : state(context, job.model, job.symbols), job(job), builder(context) {}

LogicalResult GraphImporter::importInputs(Scope &scope) {
  SmallVector<Type> types;
  for (auto [i, input] : llvm::enumerate(job.inputs)) {
    int32_t dataType = input->type().tensor_type().elem_type();
    std::optional<DType> dtype = elementDType(dataType);
    if (!dtype) {
      state.error(StatusCode::Unsupported,
                  "input \"" + input->name() + "\" has elements of type " +
                      elementTypeName(dataType) + ", which is not supported");
      return failure();
    }
    std::vector<DimExpr> dims = job.symbols.dimsOf(i);
    if (dims.size() > kMaxRank)
      return badModel("input \"" + input->name() + "\" has rank " +
                      std::to_string(dims.size()) + ", expected at most 8");
    types.push_back(
        getTensorType(fromDType(state.context, *dtype), ArrayRef(dims)));
  }
  auto type = builder.getFunctionType(types, {});
  function = func::FuncOp::create(builder, module->getLoc(), "main", type);
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  for (auto [input, argument] :
       llvm::zip_equal(job.inputs, body->getArguments())) {
    function.setArgAttr(argument.getArgNumber(), kName,
                        builder.getStringAttr(input->name()));
    ImportValue &value = state.newValue(argument.getLoc());
    value.type = getTensorType(argument);
    value.ir = argument;
    scope.names[input->name()] = &value;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The whole model
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> GraphImporter::run() {
  const onnx::GraphProto &graph = job.model.proto.graph();
  module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToEnd(module->getBody());
  Opsets opsets = readOpsets(job.model.proto.opset_import());
  Scope scope;
  scope.opsets = &opsets;
  std::vector<std::string> results;
  for (const onnx::ValueInfoProto &output : graph.output())
    results.push_back(output.name());
  if (failed(importInputs(scope)) || failed(importInitializers(graph, scope)) ||
      failed(importNodes(graph.node(), results, scope)) ||
      state.code != StatusCode::Ok || failed(finish(scope)))
    return {};
  return std::move(module);
}

} // namespace moe::onnx_import
