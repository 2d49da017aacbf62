//===- FunctionLowering.h - A function becomes a plan -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to passes/lower: the state of moe-lower-to-plan. Its parts stand in
// LowerToPlan.cpp (steps), LowerRouter.cpp (one step for a router),
// LowerRoutedExperts.cpp (one step for dispatch, experts and combine),
// LowerResidual.cpp (additions in the step of a combine), LowerGather.cpp
// (tables in codes), LowerPorts.cpp (symbols, layers, inputs, outputs, states)
// and LowerOperands.cpp (buffers, views, weights).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_FUNCTIONLOWERING_H
#define MOE_PASSES_LOWER_FUNCTIONLOWERING_H

#include "passes/lower/PlanBuilder.h"
#include "passes/lower/StepParts.h"
#include "passes/lower/StridedViews.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace moe::pass {

class FunctionLowering {
public:
  explicit FunctionLowering(mlir::func::FuncOp func)
      : func(func), context(func.getContext()), plan(func.getLoc()) {}

  /// Makes the plan.program before the function. An operation that a plan
  /// cannot say is reported.
  llvm::LogicalResult run(dialect::MeshAttr mesh);

private:
  // Symbols, layers and ports.
  llvm::LogicalResult declareSymbols();
  void declareSymbol(mlir::NamedAttribute symbol,
                     plan_dialect::SymbolKind kind);
  void declareInputSymbols();
  std::set<std::string> usedSymbols();
  llvm::LogicalResult resolveWholes();
  void declareConstraints();
  void declareLayers();
  void bindInputs();
  void bindState(mlir::BlockArgument argument, dialect::CacheAppendOp append);
  dialect::CacheAppendOp findAppend(mlir::BlockArgument argument);
  void reserveOutputs();
  void bindOutputs();
  mlir::Value outputBuffer(mlir::OpOperand &returned, llvm::StringRef name);
  std::string outputName(unsigned index);

  /// The sizes of the tensor of which ranks have parts.
  dialect::Dims wholeDims(mlir::Value value) const;
  /// What ranks divide of a tensor: a dimension and the local symbol of its
  /// parts, or -1.
  struct Division {
    int64_t axis = -1;
    mlir::StringAttr part;
  };
  /// By the owners of rows, and by the slices of tensors.
  struct Divisions {
    Division rows, slices;
  };
  Divisions divisionsOf(mlir::Value value);
  /// Ports and states say no more than one symbol for each kind of group, on
  /// dimensions of their own.
  void checkDivisions(mlir::Value value, llvm::StringRef what);

  // Operands and results.
  /// The memory of `value`, laid out as it comes.
  mlir::Value bufferOf(mlir::Value value);
  /// The memory of `value` for operand `slot` of `op`: copied first if the
  /// kernel needs it row by row.
  mlir::Value operandOf(mlir::Operation *op, unsigned slot, mlir::Value value,
                        mlir::DictionaryAttr &settings);
  mlir::DictionaryAttr settingsOf(mlir::Operation *op);
  mlir::Value contiguousOf(mlir::Value value);
  mlir::Value weightOf(mlir::Operation *op, unsigned slot, mlir::Value value,
                       bool isTransposed);
  mlir::Value resultBuffer(mlir::Value result);
  /// True if the result of `op` became a view of its operand's memory.
  bool lowerToView(mlir::Operation *op);
  ViewLayout layoutOf(mlir::Value value) const;
  bool isState(mlir::Value value) const;
  /// Name and part of a weight.
  static ParamSpec specOf(mlir::Value value);
  /// The weight that `value` is, whole or this rank's part of; null for others.
  static dialect::ParamOp weightBehind(mlir::Value value);
  /// True for a moe.param or the moe.shard of one.
  static bool isWeight(mlir::Value value);
  bool hasDataSymbols(mlir::Value value) const;

  // Steps.
  void lower(mlir::Operation &op);
  void lowerAppend(dialect::CacheAppendOp op);
  /// Finds gates that become a step with their product.
  void findRouters();
  void lowerRouter(dialect::GateOp gate);
  /// Finds experts that become a step with their dispatch and combine.
  void findRoutedExperts();
  /// With what an addition that is in the step adds, and where its sums go.
  void lowerRoutedExperts(dialect::CombineOp combine, mlir::Value residual = {},
                          mlir::Value result = {});
  /// Finds additions that become part of the step of a combine.
  void findResiduals();
  void lowerResidual(dialect::ElementwiseOp addition);
  /// Looks up codes before what moves or casts the numbers of a table.
  void exposeTables();
  /// A gather of codes; false if the table has none that its kernel reads.
  bool lowerGather(dialect::GatherOp op);
  void addStep(mlir::Operation *op, llvm::StringRef kernel,
               llvm::ArrayRef<mlir::Value> inputs,
               llvm::ArrayRef<mlir::Value> outputs,
               mlir::DictionaryAttr settings, ElementwiseProgram program = {});

  mlir::func::FuncOp func;
  mlir::MLIRContext *context;
  PlanBuilder plan;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  /// Of values that are strided views: the memory and where they lie in it.
  llvm::DenseMap<mlir::Value, mlir::Value> memory;
  llvm::DenseMap<mlir::Value, ViewLayout> layouts;
  llvm::DenseMap<mlir::Value, mlir::Value> copies;
  /// Results of views that are in place: outputs, or what the step of their
  /// operand writes.
  llvm::DenseSet<mlir::Value> isWritten;
  llvm::DenseMap<mlir::Operation *, int64_t> layerOf;
  /// Index of the state that an append writes.
  llvm::DenseMap<mlir::Operation *, int64_t> stateOf;
  /// What is in the step of a gate; without a dispatch if that is null.
  struct RouterParts {
    dialect::MatmulOp product;
    dialect::DispatchOp dispatch;
  };
  llvm::DenseMap<mlir::Operation *, RouterParts> routers;
  llvm::DenseSet<mlir::Operation *> isInRouter;
  /// What is in the step of a combine.
  struct RoutedParts {
    dialect::DispatchOp dispatch;
    dialect::ExpertsOp experts;
  };
  llvm::DenseMap<mlir::Operation *, RoutedParts> routedExperts;
  llvm::DenseSet<mlir::Operation *> isInRoutedExperts;
  /// What the step of an addition mixes, and what it adds to that.
  struct ResidualParts {
    dialect::CombineOp combine;
    mlir::Value residual;
  };
  llvm::DenseMap<mlir::Operation *, ResidualParts> residuals;
  /// A combine that is in such a step, and the reshapes behind it.
  llvm::DenseSet<mlir::Operation *> isInResidual;
  /// Of local symbols: what is divided, over input symbols.
  std::map<std::string, DimExpr, std::less<>> wholeOf;
  std::set<std::string> localSymbols;
  std::set<std::string> dataSymbols;
  /// Something was reported: there will be no plan.
  bool hasFailed = false;
};

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_FUNCTIONLOWERING_H
