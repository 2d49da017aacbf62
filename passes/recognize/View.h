//===- View.h - Where the elements of a value come from ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters move elements in many ways that mean the same: the keys of an
// attention arrive through Reshape, Transpose, Reshape in one file, through
// Unsqueeze, Expand, Reshape, Transpose in the next. A View forgets the way and
// keeps the result. It says for each dimension of a value which steps along
// which dimensions of its root it walks:
//
//   %k  : [batch, 2, past, 16]                      the root
//   %r  = broadcast of %k to [batch, 2, 4, past, 16], reshaped to
//         [batch, 8, past, 16], transposed to [batch, 8, 16, past]
//
//   View of %r:   [ (axis 0)  (axis 1, repeated 4)  (axis 3)  (axis 2) ]
//
// A dimension is a list of factors, outermost first, as 8 = 2 * 4 above. A
// factor of size n and stride s stands for n steps of s along one dimension of
// the root; a repeated factor does not move. Dimensions of size 1 have no
// factors. Reshapes split factors and join them again; where a reshape cuts
// across factors, its result is the root.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_VIEW_H
#define MOE_PASSES_RECOGNIZE_VIEW_H

#include "runtime/support/DimExpr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace moe::pass {

/// `size` steps of `stride` along dimension `axis` of the root; axis -1 for a
/// repetition, whose stride has no meaning.
struct Factor {
  int axis;
  DimExpr size;
  DimExpr stride;

  bool isRepeated() const { return axis < 0; }
  bool operator==(const Factor &other) const;
};
using Factors = llvm::SmallVector<Factor, 2>;

struct View {
  mlir::Value root;
  /// One entry for each dimension of the value that was traced.
  llvm::SmallVector<Factors, 4> dims;

  /// Follows reshapes, transposes and broadcasts upwards from `value`, and
  /// casts where `throughCasts` is set.
  static View trace(mlir::Value value, bool throughCasts = false);
  /// The view that every value has of itself.
  static View identity(mlir::Value value);

  /// True if the value has the elements of the root in the root's order.
  bool isReshapeOfRoot() const;
  /// All factors from the first dimension to the last.
  Factors flattened() const;
};

/// The factors of dimension `axis` of `root` taken as a whole.
Factors wholeAxis(mlir::Value root, unsigned axis);

/// The product of the sizes.
DimExpr sizeOf(llvm::ArrayRef<Factor> factors);

/// Divides `factors`, in order, into one list for each of `sizes`; nothing if
/// a size cuts across a factor in a way that no stride can say.
std::optional<llvm::SmallVector<Factors, 4>>
regroup(llvm::ArrayRef<Factor> factors, llvm::ArrayRef<DimExpr> sizes);

/// The value whose dimension i walks `dims[i]` of root, made with at most a
/// reshape, a transpose and a reshape; root itself where nothing moves. Fails
/// unless the factors are all of root's elements, each once.
mlir::FailureOr<mlir::Value> materialize(mlir::OpBuilder &builder,
                                         mlir::Location loc, mlir::Value root,
                                         llvm::ArrayRef<Factors> dims);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_VIEW_H
