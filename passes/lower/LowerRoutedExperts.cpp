//===- LowerRoutedExperts.cpp - Dispatch, experts, combine as one step ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %rows, %counts, %slots = moe.dispatch %x, %choices
//   %computed = moe.experts %rows, %counts ...
//   %y = moe.combine %computed, %slots, %weights
//
// become a step "routed_experts" of %x, %choices, %weights and the weights of
// the experts, where the three follow each other on one rank and nobody else
// reads what they hand on. No row is then copied to its experts and back, and
// neither rows nor their number are values of the plan. The step stands where
// combine stood, or the addition that it takes in (LowerResidual.cpp).
//
// An exchange, a slice or a sum over ranks between the three, a dispatch that
// scales rows, and steps under other conditions keep them apart.
//
//===----------------------------------------------------------------------===//

#include "passes/lower/FunctionLowering.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Finds the dispatch and the combine of `experts`; returns why the three
/// cannot be one step, or nothing.
static StringRef findNeighbours(ExpertsOp experts, DispatchOp &dispatch,
                                CombineOp &combine) {
  dispatch = experts.getRows().getDefiningOp<DispatchOp>();
  if (!dispatch || dispatch.getRows() != experts.getRows() ||
      dispatch.getCounts() != experts.getCounts())
    return experts.getRows().getDefiningOp<AllToAllOp>()
               ? "rows come from other ranks"
               : "rows do not come from a dispatch";
  if (dispatch.getWeights())
    return "dispatch scales the rows";
  if (!experts.getResult().hasOneUse())
    return "somebody else reads the results of the experts";
  combine = dyn_cast<CombineOp>(*experts.getResult().user_begin());
  if (!combine || combine.getRows() != experts.getResult() ||
      combine.getSlots() != dispatch.getSlots())
    return "something lies between experts and combine";
  if (!llvm::all_of(dispatch->getResults(),
                    [](Value result) { return result.hasOneUse(); }))
    return "somebody else reads what dispatch gives";
  if (!runTogether(dispatch, experts) || !runTogether(experts, combine))
    return "they run under different conditions";
  return "";
}

void FunctionLowering::findRoutedExperts() {
  func.walk([&](ExpertsOp experts) {
    DispatchOp dispatch;
    CombineOp combine;
    StringRef reason = findNeighbours(experts, dispatch, combine);
    auto options = mlir::remark::RemarkOpts::name("routed-experts")
                       .category("moe-lower-to-plan");
    if (!reason.empty()) {
      mlir::remark::missed(experts.getLoc(), options)
          << ("dispatch, experts and combine are steps of their own: " + reason)
                 .str();
      return;
    }
    mlir::remark::passed(experts.getLoc(), options)
        << "dispatch, experts and combine are one step";
    routedExperts[combine] = {dispatch, experts};
    isInRoutedExperts.insert(dispatch);
    isInRoutedExperts.insert(experts);
  });
}

void FunctionLowering::lowerRoutedExperts(CombineOp combine, Value residual,
                                          Value result) {
  auto [dispatch, experts] = routedExperts.lookup(combine);
  NamedAttrList list(settingsOf(experts));
  list.set("num_experts",
           Builder(context).getI64IntegerAttr(dispatch.getNumExperts()));
  DictionaryAttr settings = list.getDictionary(context);
  Value weights = combine.getWeights();
  SmallVector<Value> inputs = {contiguousOf(dispatch.getX()),
                               contiguousOf(dispatch.getExperts()),
                               weights ? contiguousOf(weights) : plan.none()};
  for (auto [slot, value] : llvm::enumerate(operandSlots(experts)))
    if (slot >= kFirstExpertWeight)
      inputs.push_back(operandOf(experts, slot, value, settings));
  if (residual)
    inputs.push_back(residual);
  // The operation of the layer, in whose group of ranks the step is.
  experts->setLoc(FusedLoc::get(
      context, {dispatch.getLoc(), experts.getLoc(), combine.getLoc()}));
  addStep(experts, "routed_experts", inputs,
          {result ? result : resultBuffer(combine.getResult())}, settings);
}
