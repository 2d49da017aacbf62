//===- CanonicalizeTensor.cpp - One form for each idea --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters write a gelu in a dozen ways. This pass rewrites what is one idea
// to one operation, so that recognition and kernels meet one form only. It
// needs nothing to hold before it. After it, activations, normalizations and
// biased products are single operations wherever their arithmetic was whole.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeDialect.h"
#include "passes/Passes.h"
#include "passes/optimize/CanonicalForms.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace moe::pass {
#define GEN_PASS_DEF_CANONICALIZETENSORPASS
#include "passes/Passes.h.inc"

namespace {
class CanonicalizeTensor
    : public impl::CanonicalizeTensorPassBase<CanonicalizeTensor> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateAlgebraPatterns(patterns);
    populateActivationPatterns(patterns);
    populateNormPatterns(patterns);
    populateMovementPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace moe::pass
