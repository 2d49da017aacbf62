//===- NodeContext.h - One ONNX node for its builder -------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A builder reads the inputs and attributes of a node and sets its outputs:
//
//   static LogicalResult buildTrilu(NodeContext &n) {
//     bool upper = n.intAttr("upper", 1) != 0;
//     ...
//     n.set(0, n.create<TriluOp>(n.value(0), upper, diagonal, false));
//     return success();
//   }
//
// It reads every attribute that its operator knows: one that no builder asked
// for is an error. Numbers of inputs and outputs were checked by the table.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_NODECONTEXT_H
#define MOE_FRONTEND_ONNX_NODECONTEXT_H

#include "frontend/onnx/Emitter.h"

#include "llvm/ADT/StringSet.h"

namespace moe::onnx_import {

/// What a builder may ask of the graph around its node.
class GraphAccess {
public:
  virtual ~GraphAccess() = default;
  /// Imports a subgraph without inputs where the node stands. Fails if the
  /// import ends; poisoned outputs were reported.
  virtual llvm::FailureOr<llvm::SmallVector<ImportValue *>>
  importBranch(const onnx::GraphProto &graph) = 0;
  /// The tensor of an attribute; null if the import ends.
  virtual ImportValue *importTensor(const onnx::TensorProto &tensor) = 0;
};

class NodeContext : public Emitter {
public:
  NodeContext(ImportState &state, mlir::OpBuilder &builder, mlir::Location loc,
              std::string place, const onnx::NodeProto &node, int64_t opset,
              llvm::ArrayRef<ImportValue *> inputs,
              llvm::ArrayRef<const onnx::AttributeProto *> attributes,
              GraphAccess &graph)
      : Emitter(state, builder, loc, std::move(place)), node(node),
        theOpset(opset), inputs(inputs), attributes(attributes),
        theGraph(graph), outputs(node.output_size(), nullptr) {}

  llvm::StringRef opType() const { return node.op_type(); }
  int64_t opset() const { return theOpset; }
  GraphAccess &graph() { return theGraph; }

  //===--------------------------------------------------------------------===//
  // Inputs
  //===--------------------------------------------------------------------===//

  unsigned numInputs() const { return inputs.size(); }
  bool has(unsigned i) const { return i < inputs.size() && inputs[i]; }
  ImportValue &input(unsigned i) { return *inputs[i]; }
  mlir::RankedTensorType type(unsigned i) { return inputs[i]->type; }
  mlir::Type elementType(unsigned i) { return type(i).getElementType(); }
  int64_t rank(unsigned i) { return type(i).getRank(); }
  Dims dims(unsigned i) { return dialect::getDims(type(i)); }
  DimExpr dim(unsigned i, unsigned axis) {
    return dialect::getDim(type(i), axis);
  }
  /// The input as a value in the IR.
  mlir::Value value(unsigned i) { return materialize(*inputs[i]); }
  /// The input, or a null value if it is absent.
  mlir::Value valueOrNull(unsigned i) {
    return has(i) ? value(i) : mlir::Value();
  }
  mlir::Value materialize(ImportValue &value);

  /// The elements of a small integer tensor; those known only at run time get
  /// numbers. Nothing for other tensors.
  std::optional<SizeElements> elements(ImportValue &value);
  /// The elements as sizes: expressions, or data symbols that exist already.
  /// `what` names the input in errors.
  llvm::FailureOr<Dims> sizesOf(unsigned i, llvm::StringRef what);
  /// The elements, all of them constants.
  llvm::FailureOr<llvm::SmallVector<int64_t>>
  constantInts(unsigned i, llvm::StringRef what);
  /// The same of a tensor of any size that is in the model.
  llvm::FailureOr<std::vector<int64_t>> weightInts(unsigned i,
                                                   llvm::StringRef what);
  /// The one element of the input as a size; for an element known only at run
  /// time a data symbol, whose value is at most `limit`.
  llvm::FailureOr<DimExpr> sizeOrSymbol(unsigned i, llvm::StringRef what,
                                        std::optional<DimExpr> limit);
  /// The one element of the input, if it is an expression or a data symbol.
  std::optional<DimExpr> knownSize(unsigned i);
  /// A new data symbol of at most `bound`.
  DimExpr newDataSymbol(const DimExpr &bound) {
    return state.newDataSymbol(bound);
  }
  /// The one number of a constant input of floats or integers.
  std::optional<double> constantNumber(unsigned i);

  //===--------------------------------------------------------------------===//
  // Attributes. A wrong type marks the node as failed.
  //===--------------------------------------------------------------------===//

  bool hasAttr(llvm::StringRef name) { return findAttr(name) != nullptr; }
  int64_t intAttr(llvm::StringRef name, int64_t otherwise);
  int64_t requiredInt(llvm::StringRef name);
  float floatAttr(llvm::StringRef name, float otherwise);
  std::string stringAttr(llvm::StringRef name, llvm::StringRef otherwise);
  std::optional<llvm::SmallVector<int64_t>> intsAttr(llvm::StringRef name);
  const onnx::AttributeProto *findAttr(llvm::StringRef name);
  /// An attribute that says nothing about the results.
  void ignoreAttr(llvm::StringRef name) { (void)findAttr(name); }
  /// Refuses every value but one.
  llvm::LogicalResult expectInt(llvm::StringRef name, int64_t otherwise,
                                int64_t supported);
  /// Refuses attributes that nobody asked for.
  llvm::LogicalResult checkAttributes();

  /// `axis` counted from the front; fails if it is not in [-rank, rank).
  llvm::FailureOr<int64_t> axisIn(int64_t axis, int64_t rank);
  /// Sorted, unique axes counted from the front.
  llvm::FailureOr<llvm::SmallVector<int64_t>>
  axesIn(llvm::ArrayRef<int64_t> axes, int64_t rank);

  //===--------------------------------------------------------------------===//
  // Outputs
  //===--------------------------------------------------------------------===//

  unsigned numOutputs() const { return outputs.size(); }
  bool wants(unsigned i) const {
    return i < outputs.size() && !node.output(i).empty();
  }
  void set(unsigned i, mlir::Value value);
  /// The same value as an input or the output of a branch.
  void set(unsigned i, ImportValue &value) { outputs[i] = &value; }
  /// A small integer tensor by its elements, all of them known.
  void setElements(unsigned i, mlir::RankedTensorType type,
                   SizeElements elements);
  /// A tensor whose elements are `elements`, if that is not empty. Where one is
  /// known only at run time, `emit` makes the operation.
  void setMoved(unsigned i, mlir::RankedTensorType type,
                std::optional<SizeElements> elements,
                llvm::function_ref<mlir::Value()> emit);
  ImportValue *output(unsigned i) const { return outputs[i]; }

private:
  const onnx::AttributeProto *typedAttr(llvm::StringRef name,
                                        onnx::AttributeProto::AttributeType);

  const onnx::NodeProto &node;
  int64_t theOpset;
  llvm::ArrayRef<ImportValue *> inputs;
  llvm::ArrayRef<const onnx::AttributeProto *> attributes;
  GraphAccess &theGraph;
  llvm::SmallVector<ImportValue *> outputs;
  llvm::StringSet<> knownAttributes;
};

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_NODECONTEXT_H
