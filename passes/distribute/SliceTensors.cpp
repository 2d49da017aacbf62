//===- SliceTensors.cpp - Tensor slicing over the group tp ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Divides the heads of attention, the inner dimension of dense FFNs and the
// vocabulary over the ranks of the group tp, one all-reduce for each pair of
// products. SliceTensors.h explains how. MoE layers stay as moe-distribute made
// them, and so do rows: local symbols of the group rows pass through.
//
// Before: moe-distribute. After: types of sliced values have local symbols of
// the group tp, which `moe.local_symbols` and `moe.symbol_groups` declare. What
// cannot be sliced every rank of the group computes. With tp = 1 nothing
// changes.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "passes/Passes.h"

namespace moe::pass {
#define GEN_PASS_DEF_SLICETENSORSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Says which products every rank of the group computes.
static void reportWhole(func::FuncOp func) {
  for (auto op : func.front().getOps<MatmulOp>())
    if (op.getRhs().getDefiningOp<ParamOp>())
      mlir::remark::missed(
          op.getLoc(),
          mlir::remark::RemarkOpts::name("whole").category(kSliceTensors))
          << "every rank has all of " + toString(getDims(op.getRhs())) +
                 ": it computes neither heads, nor a vocabulary, nor one of a "
                 "pair";
}

static void sliceFunction(func::FuncOp func, int64_t tp) {
  Slicing slicing(func, tp);
  // Operations that a slice replaces stay where they are until the end.
  for (auto op : llvm::to_vector(func.front().getOps<AttentionOp>()))
    sliceAttention(slicing, op);
  for (auto op : llvm::to_vector(func.front().getOps<FfnOp>()))
    sliceFfn(slicing, op);
  // Of the products that are left: first what needs a sum anyway.
  slicePairs(slicing);
  sliceVocabulary(slicing);
  slicing.finish();
  reportWhole(func);
}

namespace {
struct SliceTensors : moe::pass::impl::SliceTensorsPassBase<SliceTensors> {
  void runOnOperation() override {
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
    if (!mesh) {
      getOperation().emitError("has no 'moe.mesh'");
      return signalPassFailure();
    }
    if (mesh.getTp() == 1)
      return;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.getBody().hasOneBlock())
        sliceFunction(func, mesh.getTp());
  }
};
} // namespace
