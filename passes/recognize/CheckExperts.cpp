//===- CheckExperts.cpp - Compare experts with their routers -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model that was traced with few tokens holds only the experts that these
// tokens chose: it loads, runs, and is wrong. This pass stops such models, and
// warns of routers behind which no recognizer found experts: they run as
// written, with the work of all experts.
//
// Runs after all recognizers.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_CHECKEXPERTSPASS
#include "passes/Passes.h.inc"

namespace {

/// True if a moe.dispatch reads `experts`, through casts and reshapes.
bool reachesDispatch(Value experts) {
  for (Operation *user : experts.getUsers()) {
    if (isa<DispatchOp>(user))
      return true;
    if (isa<CastOp, ReshapeOp>(user) && reachesDispatch(user->getResult(0)))
      return true;
  }
  return false;
}

LogicalResult checkWidth(DispatchOp dispatch) {
  auto gate =
      stripCasts(stripReshapes(dispatch.getExperts())).getDefiningOp<GateOp>();
  if (!gate)
    return success();
  int64_t experts = dispatch.getNumExperts();
  DimExpr width = getDim(gate.getLogits(), 1);
  if (width == DimExpr(experts))
    return success();
  InFlightDiagnostic error = dispatch.emitError();
  error << "found " << experts << " experts behind a router over "
        << width.toString()
        << "; tracing loses experts that no token of the example chose";
  error.attachNote(gate.getLoc()) << "the router is here";
  return error;
}

class CheckExperts : public impl::CheckExpertsPassBase<CheckExperts> {
  void runOnOperation() override {
    bool isComplete = true;
    getOperation().walk([&](DispatchOp dispatch) {
      isComplete &= succeeded(checkWidth(dispatch));
    });
    getOperation().walk([&](GateOp gate) {
      if (!reachesDispatch(gate.getExperts()))
        gate.emitWarning()
            << "a router over " << getDim(gate.getLogits(), 1).toString()
            << " experts, behind which no form of experts is recognized; the "
               "layer runs as written";
    });
    if (!isComplete)
      signalPassFailure();
  }
};

} // namespace
} // namespace moe::pass
