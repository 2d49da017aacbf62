//===- GraphImporter.cpp - Walks the nodes of a model ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphImporter.h"

#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/Shapes.h"
#include "frontend/onnx/OpTable.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Functions that call functions, and nodes in all: a small file can ask for
/// exponentially many.
static constexpr size_t kMaxCallDepth = 64;
static constexpr size_t kMaxNodes = 1'000'000;
/// The largest rank that buffers have.
static constexpr int kMaxRank = 8;

static StringRef normalDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

Opsets
readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>
               &imports) {
  Opsets opsets;
  for (const onnx::OperatorSetIdProto &entry : imports)
    opsets[normalDomain(entry.domain())] = entry.version();
  return opsets;
}

static std::string functionKey(StringRef domain, StringRef name,
                               StringRef overload) {
  return (domain + Twine('\0') + name + Twine('\0') + overload).str();
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

/// Whether a node can use integers of less than a byte.
static bool readsCodes(const onnx::NodeProto &node) {
  StringRef domain = normalDomain(node.domain());
  return (domain.empty() && node.op_type() == "DequantizeLinear") ||
         (domain == kMicrosoftDomain &&
          node.op_type() == "GatherBlockQuantized");
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
// Inputs and constants
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

// Integers and single numbers are constants, all else are weights.
static bool isConstantLeaf(const TensorData &data, Type elementType) {
  return data.bytes && data.numBytes <= 1024 &&
         (isa<IntegerType>(elementType) || data.numElements == 1);
}

// Counters that start at zero say how large they can get; weights do not.
static bool isZeros(const TensorData &data) {
  return data.bytes && !data.bytes->empty() &&
         llvm::all_of(*data.bytes, [](char byte) { return byte == 0; });
}

static DenseElementsAttr denseOf(const TensorData &data,
                                 RankedTensorType type) {
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : *data.bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, values);
  }
  if (data.bytes->empty())
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef(data.bytes->data(), data.bytes->size()));
}

/// The expression of a weight; null if nothing can name its bytes.
static ParamAttr leafOf(const TensorData &data, RankedTensorType type) {
  if (isZeros(data))
    return param::fill(
        type, Builder(type.getContext()).getZeroAttr(type.getElementType()));
  if (data.inFile())
    return data.isVarint
               ? param::varint(type, data.file, data.offset, data.length)
               : param::file(type, data.file, data.offset);
  return data.numBytes <= 1024 ? param::inlined(denseOf(data, type))
                               : ParamAttr();
}

ImportValue *GraphImporter::importTensor(const onnx::TensorProto &tensor,
                                         const std::string &what,
                                         Location loc) {
  auto it = job.tensors.find(&tensor);
  if (it == job.tensors.end())
    it = job.tensors.emplace(&tensor, readTensor(tensor, job.model)).first;
  const StatusOr<TensorData> &data = it->second;
  ImportValue &value = state.newValue(loc);
  // A tensor of an unsupported type is an error where it is used.
  auto poison = [&](StatusCode code, const std::string &message) {
    std::string text = what + ": " + message;
    value.isPoisoned = true;
    if (code == StatusCode::Unsupported) {
      value.pendingError = text;
      return &value;
    }
    state.error(code, text);
    return static_cast<ImportValue *>(nullptr);
  };
  if (!data.isOk())
    return poison(data.status().code(), data.status().message());
  if (data->dims.size() > kMaxRank)
    return poison(StatusCode::BadModel, "has rank " +
                                            std::to_string(data->dims.size()) +
                                            ", expected at most 8");
  value.paramName = builder.getStringAttr(tensor.name());
  bool isPacked = isPackedInteger(data->dataType);
  std::optional<DType> dtype =
      isPacked ? std::optional(DType::U8) : elementDType(data->dataType);
  if (!dtype)
    return poison(StatusCode::Unsupported, "has elements of type " +
                                               elementTypeName(data->dataType) +
                                               ", which is not supported here");
  Type elementType = fromDType(state.context, *dtype);
  value.type = RankedTensorType::get(data->dims, elementType);
  if (isPacked)
    value.type = RankedTensorType::get({static_cast<int64_t>(data->numBytes)},
                                       elementType);
  if (!isPacked && isConstantLeaf(*data, elementType)) {
    value.leaf = denseOf(*data, value.type);
    return &value;
  }
  ParamAttr leaf = leafOf(*data, value.type);
  if (!leaf)
    return poison(StatusCode::Unsupported,
                  "has more than 1 KiB in a form that is not read in place; "
                  "use raw_data or external data");
  value.leaf = leaf;
  if (!isPacked)
    return &value;
  value.packed =
      PackedTensor{llvm::to_vector(data->dims), elementBits(data->dataType),
                   isSignedPackedInteger(data->dataType), leaf};
  return poison(StatusCode::Unsupported, "has elements of type " +
                                             elementTypeName(data->dataType) +
                                             ", which is not supported here");
}

LogicalResult GraphImporter::importInitializers(const onnx::GraphProto &graph,
                                                Scope &scope) {
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    const std::string &name = tensor.name();
    if (scope.names.count(name))
      return badModel("initializer \"" + name + "\" is defined twice");
    Location loc = NameLoc::get(builder.getStringAttr(name));
    ImportValue *value =
        importTensor(tensor, "initializer \"" + name + "\"", loc);
    if (!value)
      return failure();
    scope.names[name] = value;
  }
  for (const onnx::SparseTensorProto &sparse : graph.sparse_initializer()) {
    ImportValue &value = state.newValue(builder.getUnknownLoc());
    value.isPoisoned = true;
    value.pendingError = "sparse initializer \"" + sparse.values().name() +
                         "\" is not supported";
    scope.names[sparse.values().name()] = &value;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

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
  auto callee = job.functions.find(functionKey(
      normalDomain(node.domain()), node.op_type(), node.overload()));
  if (callee != job.functions.end()) {
    if (anyPoisoned)
      return poisonOutputs(node, scope), success();
    return importCall(*callee->second, node, name, inputs, attributes, scope);
  }
  if (anyPoisoned && isKnownOp(normalDomain(node.domain()), node.op_type()))
    return poisonOutputs(node, scope), success();
  return importOperator(node, name, inputs, attributes, scope);
}

/// What a builder sees of the graph around its node.
class GraphImporter::Access : public GraphAccess {
public:
  Access(GraphImporter &importer, const Scope &scope, std::string what,
         Location loc)
      : importer(importer), scope(scope), what(std::move(what)), loc(loc) {}

  FailureOr<SmallVector<ImportValue *>>
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
  Location loc;
};

/// Why there is no row for an operator.
static std::string missingReason(StringRef domain, StringRef op,
                                 int64_t opset) {
  if (!isKnownOp(domain, op))
    return "the operator is not supported";
  return "the operator is not supported at opset " + std::to_string(opset);
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
  const OpRow *row = findOp(domain, node.op_type(), opset);
  if (!row) {
    (void)n.unsupported(missingReason(domain, node.op_type(), opset));
  } else if (inputs.size() < row->minInputs || inputs.size() > row->maxInputs ||
             static_cast<unsigned>(node.output_size()) > row->maxOutputs) {
    (void)n.invalid("has " + Twine(inputs.size()) + " inputs and " +
                    Twine(node.output_size()) + " outputs");
  } else if (llvm::is_contained(inputs.take_front(row->minInputs), nullptr)) {
    (void)n.invalid("lacks an input that is not optional");
  } else if (succeeded(row->build(n)) && !n.hasFailed()) {
    (void)n.checkAttributes();
  }
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

//===----------------------------------------------------------------------===//
// Functions and branches
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// The whole model
//===----------------------------------------------------------------------===//

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
