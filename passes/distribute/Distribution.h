//===- Distribution.h - One function, divided over ranks --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The work of moe-distribute on one function: first how every value lies
// (Sharding.h), then types and collectives. Distribute.cpp has what holds for
// all operations, DistributeExperts.cpp what is special about MoE layers.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_DISTRIBUTION_H
#define MOE_PASSES_DISTRIBUTE_DISTRIBUTION_H

#include "dialect/moe/MoeOps.h"
#include "passes/distribute/ExchangeSettings.h"
#include "passes/distribute/Sharding.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <deque>
#include <map>
#include <tuple>

namespace moe::pass {

class Distribution {
public:
  /// `capacityPerRank`: a gate with a capacity decides on the rank's own
  /// tokens.
  Distribution(mlir::func::FuncOp func, dialect::MeshAttr mesh,
               bool capacityPerRank);

  mlir::LogicalResult run();

private:
  // How every value lies.
  mlir::LogicalResult analyze(mlir::Operation &op);
  mlir::FailureOr<OpSharding> analyzeDispatch(dialect::DispatchOp op,
                                              OpSharding rule);
  OpSharding divideTokens(dialect::DispatchOp op, const Sharding &owned);
  void keepOwnTokens(dialect::CombineOp op, OpSharding &rule) const;
  /// The part of `whole` that the ranks of `group` divide, within `outer`.
  const Part *addPart(std::string symbol, DimExpr whole,
                      dialect::CommGroup group, const Part *outer);

  // Types and collectives.
  mlir::LogicalResult rewrite(mlir::Operation &op);
  mlir::Value convert(mlir::Value value, Sharding want, mlir::Location loc);
  mlir::Value gather(mlir::Value value, mlir::Location loc);
  mlir::Value shard(mlir::Value value, Sharding want, mlir::Location loc);
  mlir::RankedTensorType localType(mlir::Value value, Sharding sharding) const;
  void setFunctionType();

  // MoE layers.
  void competeOverRanks(dialect::GateOp op, const Sharding &rows);
  void boundRows(dialect::DispatchOp op);
  mlir::LogicalResult exchange(dialect::ExpertsOp op);
  DimExpr receivedBound(dialect::ExpertsOp op) const;
  DimExpr tokensInGroup(dialect::ExpertsOp op) const;
  void gatherTokens(dialect::CombineOp op);

  mlir::func::FuncOp func;
  mlir::OpBuilder builder;
  dialect::MeshAttr mesh;
  bool capacityPerRank;
  mlir::NamedAttrList localSymbols, symbolGroups, dataSymbols;
  std::deque<Part> parts;
  const Part *batch = nullptr;
  llvm::DenseMap<mlir::Value, Sharding> lies;
  llvm::DenseMap<mlir::Operation *, OpSharding> rules;
  /// Values that were gathered (to no part) or sharded before.
  std::map<std::tuple<void *, int, const Part *>, mlir::Value> converted;
  /// By moe.dispatch that routes all tokens: how they lie otherwise.
  llvm::DenseMap<mlir::Operation *, Sharding> ownTokens;
  /// The tokens of each layer in symbols of the whole, and its experts.
  llvm::DenseMap<mlir::Operation *, DimExpr> layerTokens;
  llvm::DenseMap<mlir::Operation *, dialect::ExpertsOp> expertsOf;
};

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_DISTRIBUTION_H
