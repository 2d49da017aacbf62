//===- RecognizeDeepSpeed.cpp - Find DeepSpeed's MoE layer ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exports of DeepSpeed's layer have one of two forms: products with masks of
// tokens x experts x capacity (DeepSpeedDense.cpp), or, from 0.19.4 on, index
// tables (DeepSpeedIndex.cpp). Both become gate, dispatch, experts and combine.
// Runs after moe-canonicalize-tensor.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/DeepSpeedLayer.h"
#include "passes/recognize/ExpertLayer.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZEDEEPSPEEDPASS
#include "passes/Passes.h.inc"

bool buildDeepSpeedLayer(Operation *end, Value tokens,
                         const ExpertSlices &experts,
                         const DeepSpeedGate &match, StringRef form) {
  OpBuilder builder(end);
  Location loc = end->getLoc();
  Value used = match.usedToken;
  if (used)
    used = castTo(builder, loc, used, builder.getI1Type());
  FailureOr<GateOp> gate =
      buildGate(builder, fuseLocations(end->getContext(), match.ops),
                match.logits, Value(), Value(), used, match.attrs);
  if (failed(gate))
    return false;
  ExpertLayer layer{tokens, gate->getExperts(), gate->getWeights(),
                    false,  experts.ffns,       form};
  FailureOr<Value> result = buildExpertLayer(builder, loc, layer);
  if (failed(result))
    return false;
  if (match.drawsAtRandom)
    mlir::remark::analysis(
        loc, mlir::remark::RemarkOpts::name("random").category("moe-recognize"))
        << "random token selection is replaced: the lowest tokens survive";
  Value old = end->getResult(0);
  old.replaceAllUsesWith(convertTo(builder, loc, *result, getTensorType(old)));
  return true;
}

namespace {
class RecognizeDeepSpeed
    : public impl::RecognizeDeepSpeedPassBase<RecognizeDeepSpeed> {
  void runOnOperation() override {
    SmallVector<Operation *> ends;
    getOperation().walk([&](Operation *op) {
      if (isa<MatmulOp, ReduceOp>(op))
        ends.push_back(op);
    });
    for (Operation *end : ends) {
      if (auto product = dyn_cast<MatmulOp>(end))
        rewriteDenseLayer(product);
      else
        rewriteIndexLayer(cast<ReduceOp>(end));
    }
    eraseDeadOps(getOperation());
  }
};
} // namespace
} // namespace moe::pass
