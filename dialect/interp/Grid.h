//===- Grid.h - Ranks and their parts of sizes ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which elements of a whole tensor a rank has follows from the tensor's type
// alone. Example: four ranks, tp = 2, batch = 5, 3 heads,
//
//   moe.local_symbols = {"batch.local" = "batch", "heads.local" = "3"}
//   moe.symbol_groups = {"heads.local" = "tp"}
//   tensor<?x?xf32, #moe.dims<batch.local, 4 * heads.local>>
//
//                    columns 0-3     columns 4-11
//     rows 0, 1      rank 0          rank 1
//     rows 2, 3, 4   rank 2          rank 3
//
// A whole may hold parts of another group: with "tokens.local" = "batch.local"
// over tp, rank 3 has the second half of rows 2 to 4.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_GRID_H
#define MOE_DIALECT_INTERP_GRID_H

#include "dialect/moe/HostTensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/support/DimExpr.h"

namespace moe::interp {

/// Entries [begin, end) of a dimension.
struct Range {
  int64_t begin = 0, end = 0;
};

/// Ranks o * tp + t: o counts the owners of rows, t the slices of tensors.
struct Grid {
  int64_t numRanks = 1, tp = 1;

  /// `numRanks` ranks, or as many as the mesh of the module has if that is 0;
  /// all of them own rows if the mesh is not one of so many ranks.
  static Grid of(mlir::func::FuncOp function, int64_t numRanks);

  int64_t sizeOf(dialect::CommGroup group) const;
  /// The place of `rank` in its group.
  int64_t placeOf(int64_t rank, dialect::CommGroup group) const;
  /// The groups of a kind, each with its ranks in order of their places.
  llvm::SmallVector<llvm::SmallVector<int64_t>>
  groupsOf(dialect::CommGroup group) const;
};

/// The rank's part of a size: entries [begin, end) of `whole`.
struct Part {
  int64_t whole = 0;
  Range range;
};

/// The local symbols of a function.
class LocalSymbols {
public:
  /// Fails with a diagnostic if symbols are parts of each other.
  static mlir::FailureOr<LocalSymbols> of(mlir::func::FuncOp function);

  /// Gives each local symbol the size of the rank's part.
  mlir::LogicalResult bind(const Grid &grid, int64_t rank,
                           SymbolValues &values) const;
  /// The rank's part of what `symbol` divides.
  mlir::FailureOr<Part> partOf(llvm::StringRef symbol, const Grid &grid,
                               int64_t rank, const SymbolValues &values) const;
  /// The rank's part of each dimension of a tensor.
  mlir::FailureOr<llvm::SmallVector<Part>>
  partsOf(mlir::RankedTensorType type, const Grid &grid, int64_t rank,
          const SymbolValues &values) const;

private:
  struct Symbol {
    std::string name;
    DimExpr whole;
    dialect::CommGroup group;
  };

  explicit LocalSymbols(mlir::Operation *function) : function(function) {}
  const Symbol *find(llvm::StringRef name) const;
  mlir::FailureOr<int64_t> evaluate(const DimExpr &dim,
                                    const SymbolValues &values) const;
  mlir::FailureOr<Part> partOf(const DimExpr &dim, const Grid &grid,
                               int64_t rank, const SymbolValues &values) const;

  /// For diagnostics.
  mlir::Operation *function;
  /// Symbols in the whole of another come before it.
  llvm::SmallVector<Symbol> symbols;
};

/// Which part of a whole of `size` member `place` of `numPlaces` has.
Range rangeOfPlace(int64_t size, int64_t place, int64_t numPlaces);
/// These entries of x.
dialect::HostTensor takeParts(const dialect::HostTensor &x,
                              llvm::ArrayRef<Part> parts);

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_GRID_H
