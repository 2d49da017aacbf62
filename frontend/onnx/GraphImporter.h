//===- GraphImporter.h - One attempt to import a model ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One class, whose parts stand in
//
//   GraphImporter.cpp   names, the inputs of the model
//   GraphTensors.cpp    constants and weights
//   GraphNodes.cpp      nodes: builders are called
//   GraphCalls.cpp      functions and branches, which are inlined
//   GraphResults.cpp    results, caches, attributes of the function
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_GRAPHIMPORTER_H
#define MOE_FRONTEND_ONNX_GRAPHIMPORTER_H

#include "frontend/onnx/GraphOrder.h"
#include "frontend/onnx/NodeContext.h"
#include "frontend/onnx/Tensors.h"
#include "runtime/support/TensorView.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include <map>

namespace moe::onnx_import {

/// What stays the same when an import starts again.
struct ImportJob {
  ModelFile &model;
  /// The inputs of the graph that are no initializers.
  std::vector<const onnx::ValueInfoProto *> inputs;
  /// By functionKey: the functions of the model.
  std::map<std::string, const onnx::FunctionProto *> functions;
  std::map<const onnx::TensorProto *, StatusOr<TensorData>> tensors;
  InputSymbols symbols;

  explicit ImportJob(ModelFile &model) : model(model) {}
};

/// The standard domain has two names, of which this is "".
llvm::StringRef normalDomain(llvm::StringRef domain);
std::string functionKey(llvm::StringRef domain, llvm::StringRef name,
                        llvm::StringRef overload);

/// Versions of operator sets by domain; the standard domain is "".
using Opsets = llvm::StringMap<int64_t>;
Opsets
readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>
               &imports);

/// One attempt to import a model.
class GraphImporter {
public:
  GraphImporter(ImportJob &job, mlir::MLIRContext *context);

  /// The module; null if the import failed or must start again, which
  /// `state` says.
  mlir::OwningOpRef<mlir::ModuleOp> run();

  ImportState state;

private:
  /// Names and what they stand for, in a graph or a function.
  struct Scope {
    const Scope *outer = nullptr;
    llvm::StringMap<ImportValue *> names;
    const Opsets *opsets = nullptr;
    /// Attributes of the call, in a function.
    const llvm::StringMap<const onnx::AttributeProto *> *attributes = nullptr;
    /// In front of the names of nodes: where a function is called.
    std::string prefix;

    /// The value of a name; null for an absent optional input of a function.
    ImportValue *find(llvm::StringRef name) const;
    bool defines(llvm::StringRef name) const;
  };
  class Access;

  std::string fileName() const { return job.model.location.name; }
  llvm::LogicalResult badModel(const std::string &message);
  /// True for a value that is not supported; reports why, once.
  bool isPoisoned(ImportValue *value);

  llvm::LogicalResult importInputs(Scope &scope);
  llvm::LogicalResult importInitializers(const onnx::GraphProto &graph,
                                         Scope &scope);
  ImportValue *importTensor(const onnx::TensorProto &tensor,
                            const std::string &what, mlir::Location loc);
  llvm::LogicalResult importNodes(const NodeList &nodes,
                                  const std::vector<std::string> &results,
                                  Scope &scope);
  llvm::LogicalResult importNode(const onnx::NodeProto &node, int index,
                                 Scope &scope);
  llvm::LogicalResult
  importOperator(const onnx::NodeProto &node, const std::string &name,
                 llvm::ArrayRef<ImportValue *> inputs,
                 llvm::ArrayRef<const onnx::AttributeProto *> attributes,
                 Scope &scope);
  llvm::LogicalResult
  importCall(const onnx::FunctionProto &function, const onnx::NodeProto &node,
             const std::string &name, llvm::ArrayRef<ImportValue *> inputs,
             llvm::ArrayRef<const onnx::AttributeProto *> attributes,
             Scope &scope);
  llvm::FailureOr<llvm::SmallVector<ImportValue *>>
  importBranch(const onnx::GraphProto &graph, const Scope &outer);
  llvm::SmallVector<const onnx::AttributeProto *>
  resolveAttributes(const onnx::NodeProto &node, const Scope &scope);
  void defineOutputs(const onnx::NodeProto &node,
                     llvm::ArrayRef<ImportValue *> outputs, Scope &scope);
  void poisonOutputs(const onnx::NodeProto &node, Scope &scope);
  llvm::LogicalResult finish(const Scope &scope);
  void dropUnreturnedCaches();
  void setFunctionAttributes();

  ImportJob &job;
  mlir::OpBuilder builder;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  /// Attributes with another name, made for calls.
  std::deque<onnx::AttributeProto> renamedAttributes;
  std::vector<const onnx::FunctionProto *> callStack;
  size_t numNodes = 0;
};

/// What a builder sees of the graph around its node.
class GraphImporter::Access : public GraphAccess {
public:
  Access(GraphImporter &importer, const Scope &scope, std::string what,
         mlir::Location loc)
      : importer(importer), scope(scope), what(std::move(what)), loc(loc) {}

  llvm::FailureOr<llvm::SmallVector<ImportValue *>>
  importBranch(const onnx::GraphProto &graph) override {
    return importer.importBranch(graph, scope);
  }
  ImportValue *importTensor(const onnx::TensorProto &tensor) override {
    return importer.importTensor(tensor, what, loc);
  }

private:
  GraphImporter &importer;
  const Scope &scope;
  std::string what;
  mlir::Location loc;
};

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_GRAPHIMPORTER_H
