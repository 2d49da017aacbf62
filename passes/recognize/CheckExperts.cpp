//===- CheckExperts.cpp - Compare experts with their routers --------------===//
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

#include "mlir/Dialect/Func/IR/FuncOps.h"
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

/// True if `value` is a function of a product of tokens with a weight: what a
/// router chooses from.
bool isRouted(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto product = dyn_cast<MatmulOp>(op))
      return product.getRhs().getDefiningOp<ParamOp>() != nullptr;
    if (!isa<SoftmaxOp, UnaryOp, BinaryOp, CastOp, ReshapeOp, SelectOp>(op))
      return false;
    value = isa<SelectOp>(op) ? op->getOperand(2) : op->getOperand(0);
  }
  return false;
}

bool isReturned(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<func::ReturnOp>(user) ||
           (isa<CastOp, ReshapeOp>(user) && isReturned(user->getResult(0)));
  });
}

/// Warns of a choice among the results of a product that moe.gate does not
/// make, unless the model returns it.
void warnOfChoice(Operation *op, Value from, Value indices) {
  std::optional<int64_t> width = getDims(from).back().constantValue();
  if (!width || *width < 2 || indices.use_empty() || isReturned(indices) ||
      !isRouted(from))
    return;
  op->emitWarning() << "chooses among " << *width
                    << " results of a product like a router, but no MoE layer "
                       "is recognized; it runs as written";
}

/// Warns of weights of experts that are gathered for each token.
void warnOfGatheredWeights(GatherOp gather) {
  auto param = gather.getData().getDefiningOp<ParamOp>();
  bool isMatrix = param && getTensorType(gather.getData()).getRank() == 3 &&
                  gather.getAxis() == 0;
  if (!isMatrix || gather.getIndices().getDefiningOp<ConstantOp>())
    return;
  gather.emitWarning() << "gathers weights of "
                       << getDim(gather.getData(), 0).toString()
                       << " experts, but no MoE layer is recognized; it runs "
                          "as written";
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
    getOperation().walk([&](Operation *op) {
      if (auto topK = dyn_cast<TopKOp>(op))
        warnOfChoice(topK, topK.getX(), topK.getIndices());
      else if (auto argmax = dyn_cast<ArgReduceOp>(op))
        warnOfChoice(argmax, argmax.getX(), argmax.getResult());
      else if (auto gather = dyn_cast<GatherOp>(op))
        warnOfGatheredWeights(gather);
    });
    if (!isComplete)
      signalPassFailure();
  }
};

} // namespace
} // namespace moe::pass
