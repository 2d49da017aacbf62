//===- StridedViews.h - Moved elements without moving them ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Transpose, slice, broadcast and reshape only say where elements are: element
// (i, j, ..) of the result is at offset + i * strides[0] + j * strides[1] + ..
// of its source. Example, the queries of an attention with fused weights:
//
//   qkv            [b, s, 336]                       strides [336 s, 336, 1]
//   reshape        [b, s, 4, 84]                     [336 s, 336, 84, 1]
//   slice 0..27    [b, s, 4, 28]                     the same
//   transpose      [b, 4, s, 28]                     [336 s, 84, 336, 1]
//
// Kernels that take strides read it there; for the others one copy is made.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_STRIDEDVIEWS_H
#define MOE_PASSES_LOWER_STRIDEDVIEWS_H

#include "dialect/moe/MoeTypes.h"

#include "mlir/IR/Operation.h"

#include <optional>

namespace moe::pass {

/// Where the elements of a tensor are in its memory, counted in elements.
struct ViewLayout {
  DimExpr offset;
  dialect::Dims strides;
};

ViewLayout rowMajorLayout(llvm::ArrayRef<DimExpr> dims);
/// True if a kernel that knows no strides may read it: wherever it begins, as
/// rows of a matrix do. Dimensions of size 1 have no say.
bool isRowMajor(const ViewLayout &layout, llvm::ArrayRef<DimExpr> dims);

/// The layout of the result of `op` in the memory of its operand, which has
/// `layout`; nothing if there is none.
std::optional<ViewLayout> layoutOfResult(mlir::Operation *op,
                                         const ViewLayout &layout);

/// The layout in which an operation that writes x also writes the result of
/// `transpose`, its row-major permutation.
ViewLayout layoutUnderTranspose(mlir::Operation *transpose);

/// True if the kernel of `op` reads operand `slot` (of the .td) by strides.
bool readsStrides(mlir::Operation *op, unsigned slot);
/// True if it writes its result by strides.
bool writesStrides(mlir::Operation *op);

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_STRIDEDVIEWS_H
