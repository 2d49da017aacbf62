//===- OnnxImporter.cpp - From ONNX files to the moe dialect --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/OnnxImporter.h"

#include "frontend/onnx/GraphImporter.h"
#include "frontend/onnx/OpTable.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <set>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Each new attempt knows one more equality of sizes; a model has few symbols.
static constexpr unsigned kMaxAttempts = 256;

static std::string domainName(StringRef domain) {
  return domain.empty() ? "ai.onnx" : domain.str();
}

static Status checkOpsets(const Opsets &opsets) {
  for (const auto &entry : opsets) {
    int64_t version = entry.getValue();
    bool isSupported = true;
    if (entry.getKey().empty())
      isSupported = version >= kMinOpset && version <= kMaxOpset;
    else if (entry.getKey() == kMicrosoftDomain)
      isSupported = version == 1;
    if (!isSupported)
      return {StatusCode::Unsupported,
              "opset " + std::to_string(version) + " of domain " +
                  domainName(entry.getKey()) + " is not supported, expected " +
                  (entry.getKey().empty() ? "13 to 27" : "1")};
  }
  return Status::ok();
}

/// Sorts out what a model declares, before any node is looked at.
static Status prepareJob(ImportJob &job) {
  const onnx::ModelProto &proto = job.model.proto;
  if (!proto.has_graph())
    return {StatusCode::BadModel, "has no graph"};
  Opsets opsets = readOpsets(proto.opset_import());
  if (!opsets.contains(""))
    return {StatusCode::BadModel, "imports no operator set of ai.onnx"};
  MOE_RETURN_IF_ERROR(checkOpsets(opsets));
  for (const onnx::FunctionProto &function : proto.functions()) {
    std::string key =
        functionKey(function.domain(), function.name(), function.overload());
    if (!job.functions.emplace(key, &function).second)
      return {StatusCode::BadModel,
              "function \"" + function.name() + "\" is defined twice"};
    MOE_RETURN_IF_ERROR(checkOpsets(readOpsets(function.opset_import()))
                            .at("function \"" + function.name() + "\""));
  }
  std::set<std::string> initializers, inputs;
  for (const onnx::TensorProto &tensor : proto.graph().initializer())
    initializers.insert(tensor.name());
  for (const onnx::ValueInfoProto &input : proto.graph().input()) {
    if (!inputs.insert(input.name()).second)
      return {StatusCode::BadModel,
              "input \"" + input.name() + "\" is defined twice"};
    // Before IR version 4 every initializer was an input too.
    if (initializers.count(input.name()))
      continue;
    if (!input.type().has_tensor_type())
      return {StatusCode::Unsupported,
              "input \"" + input.name() + "\" is not a tensor"};
    job.inputs.push_back(&input);
  }
  if (proto.graph().output().empty())
    return {StatusCode::BadModel, "has no output"};
  return job.symbols.declare(job.inputs);
}

//===----------------------------------------------------------------------===//
// Attempts
//===----------------------------------------------------------------------===//

// The builders check what they make; this finds what they overlooked.
static std::string verifyModule(ModuleOp module) {
  std::string message;
  ScopedDiagnosticHandler handler(
      module.getContext(), [&](Diagnostic &diagnostic) {
        if (message.empty()) {
          llvm::raw_string_ostream stream(message);
          if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
            stream << "node \"" << name.getName().getValue() << "\": ";
          stream << diagnostic.str();
        }
        return success();
      });
  if (failed(verify(module)) && message.empty())
    message = "does not verify";
  return message;
}

static FailureOr<OwningOpRef<ModuleOp>>
importModel(ModelFile &model, MLIRContext &context, StatusCode &code) {
  Location nowhere = UnknownLoc::get(&context);
  ImportJob job(model);
  if (Status status = prepareJob(job); !status.isOk()) {
    code = status.code();
    return emitError(nowhere) << status.message();
  }
  for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
    GraphImporter importer(job, &context);
    OwningOpRef<ModuleOp> module = importer.run();
    if (importer.state.restart)
      continue;
    for (const std::string &warning : importer.state.warnings)
      emitWarning(nowhere) << warning;
    if (module) {
      std::string message = verifyModule(*module);
      if (message.empty())
        return module;
      code = StatusCode::BadModel;
      return emitError(nowhere) << message;
    }
    code = importer.state.code;
    for (const std::string &error : importer.state.errors)
      emitError(nowhere) << error;
    return failure();
  }
  code = StatusCode::Unsupported;
  return emitError(nowhere) << "its nodes demand more than " << kMaxAttempts
                            << " equal sizes of inputs";
}

FailureOr<OwningOpRef<ModuleOp>> importOnnx(StringRef path,
                                            MLIRContext &context,
                                            const ImportOptions &options,
                                            StatusCode &code) {
  context.loadDialect<MoeDialect, func::FuncDialect>();
  StatusOr<std::unique_ptr<ModelFile>> model =
      readModel(path.str(), options.allowLinkedData);
  if (!model.isOk()) {
    code = model.status().code();
    return emitError(UnknownLoc::get(&context)) << model.status().message();
  }
  return importModel(**model, context, code);
}

} // namespace moe::onnx_import
