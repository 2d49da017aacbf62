//===- PlanBuilder.h - Rows of a plan's tables ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes the operations of a plan.program table by table, while the lowering
// walks its function in the order of operations; finish() puts the tables one
// after the other. Constants and weights that are one and the same become one
// row.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_PLANBUILDER_H
#define MOE_PASSES_LOWER_PLANBUILDER_H

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/plan/PlanDialect.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringSet.h"

#include <array>
#include <memory>

namespace moe::pass {

/// What a buffer is besides its sizes.
struct BufferSpec {
  plan_dialect::BufferKind kind = plan_dialect::BufferKind::Arena;
  int64_t index = -1;
  std::string name;
};

/// A weight: one block, or one for each of `experts`; a rank may hold a part
/// of each along `partAxis` (Param in Plan.fbs).
struct ParamSpec {
  std::string name;
  llvm::SmallVector<dialect::ParamAttr> blocks;
  std::string layout;
  int64_t experts = 0;
  int64_t layer = -1;
  int64_t partAxis = -1;
  mlir::StringAttr part;
  int64_t partUnit = 1;
  /// Of what a rank holds, where it is not all of a block.
  dialect::Dims localDims;
};

class PlanBuilder {
public:
  enum Table {
    Symbols,
    Constraints,
    Constants,
    Layers,
    Params,
    States,
    Buffers,
    Inputs,
    Outputs,
    Steps,
    NumTables
  };

  explicit PlanBuilder(mlir::Location loc);

  /// A builder at the end of a table.
  mlir::OpBuilder at(Table table);
  int64_t size(Table table) { return tables[table]->getOperations().size(); }
  mlir::Location getLoc() const { return loc; }

  /// Stands for an operand that is absent.
  mlir::Value none();
  mlir::Value buffer(const BufferSpec &spec, mlir::Type elementType,
                     llvm::ArrayRef<DimExpr> dims);
  /// The memory of `base` under other sizes, row major.
  mlir::Value view(mlir::Value base, llvm::ArrayRef<DimExpr> dims);
  /// The memory of `base` under other sizes, with steps of `strides` elements
  /// from `offset` on.
  mlir::Value view(mlir::Value base, llvm::ArrayRef<DimExpr> dims,
                   const DimExpr &offset, llvm::ArrayRef<DimExpr> strides);
  mlir::Value constant(dialect::ConstantOp op);
  mlir::Value param(const ParamSpec &spec);

  /// The program with all tables, before `anchor`.
  plan_dialect::ProgramOp finish(mlir::Operation *anchor,
                                 dialect::MeshAttr mesh);

private:
  std::string uniqueParamName(llvm::StringRef name);

  mlir::Location loc;
  mlir::MLIRContext *context;
  std::array<std::unique_ptr<mlir::Block>, NumTables> tables;
  mlir::Value noneValue;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants;
  llvm::DenseMap<mlir::Attribute, mlir::Value> params;
  llvm::StringSet<> paramNames;
};

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_PLANBUILDER_H
