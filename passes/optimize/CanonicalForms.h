//===- CanonicalForms.h - One form for each idea ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pattern sets of moe-canonicalize-tensor, one for each family.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_OPTIMIZE_CANONICALFORMS_H
#define MOE_PASSES_OPTIMIZE_CANONICALFORMS_H

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace moe::pass {

/// x * 1, pow(x, 2), 1 / sqrt(x), select(not c, a, b), matmul + bias ...
void populateAlgebraPatterns(mlir::RewritePatternSet &patterns);
/// gelu, silu, sigmoid and softplus written out.
void populateActivationPatterns(mlir::RewritePatternSet &patterns);
/// Layer and RMS normalization written out.
void populateNormPatterns(mlir::RewritePatternSet &patterns);
/// Gathers by counted indices, broadcasts that nobody needs.
void populateMovementPatterns(mlir::RewritePatternSet &patterns);

} // namespace moe::pass

#endif // MOE_PASSES_OPTIMIZE_CANONICALFORMS_H
