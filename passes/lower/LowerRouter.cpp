//===- LowerRouter.cpp - Product, gate and dispatch as one step -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %logits = moe.matmul %x, %w
//   %weights, %experts = moe.gate %logits
//   %rows, %counts, %slots = moe.dispatch %tokens, %experts
//
// become a step "router" where nobody else reads the logits: they then need no
// memory of their own, and threads meet once less. The step stands where the
// gate stood. Dispatch joins if it moves the tokens with what this gate chose,
// unscaled, and they are there before the gate; an exchange or a slice between
// the two keeps it apart, and so does a step with its experts
// (LowerRoutedExperts.cpp).
//
// The weight is one that the compiler packs, and all floats are f32. A gate
// whose tokens compete with those of other ranks stays a step of its own, which
// talks to them.
//
//===----------------------------------------------------------------------===//

#include "passes/lower/FunctionLowering.h"
#include "passes/lower/LayerInfo.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static bool isF32Matrix(Value value) {
  RankedTensorType type = getTensorType(value);
  return type.getRank() == 2 && type.getElementType().isF32();
}

/// The product that only `gate` reads; null if a router cannot compute it.
static MatmulOp productOf(GateOp gate) {
  auto product = gate.getLogits().getDefiningOp<MatmulOp>();
  if (!product || !gate.getLogits().hasOneUse() || gate.getPart() ||
      !runTogether(product, gate) ||
      product.getArithmetic() != Arithmetic::Float)
    return {};
  bool areF32 = isF32Matrix(product.getLhs()) && isF32Matrix(product.getRhs());
  return areF32 ? product : MatmulOp();
}

/// The dispatch that moves rows by the choices of `gate`; null if there is none
/// that can stand in its place. `isTaken`: those in another step.
static DispatchOp dispatchOf(GateOp gate,
                             const DenseSet<Operation *> &isTaken) {
  for (Operation *user : gate.getExperts().getUsers()) {
    auto dispatch = dyn_cast<DispatchOp>(user);
    if (!dispatch || dispatch.getExperts() != gate.getExperts() ||
        dispatch.getWeights() || isTaken.contains(dispatch) ||
        !runTogether(gate, dispatch))
      continue;
    Operation *source = dispatch.getX().getDefiningOp();
    if (!source || source->isBeforeInBlock(gate))
      return dispatch;
  }
  return {};
}

void FunctionLowering::findRouters() {
  func.walk([&](GateOp gate) {
    MatmulOp product = productOf(gate);
    if (!product || !isWeight(product.getRhs()))
      return;
    DispatchOp dispatch = dispatchOf(gate, isInRoutedExperts);
    routers[gate] = {product, dispatch};
    isInRouter.insert(product);
    if (dispatch)
      isInRouter.insert(dispatch);
  });
}

void FunctionLowering::lowerRouter(GateOp gate) {
  auto [product, dispatch] = routers.lookup(gate);
  DictionaryAttr settings = settingsOf(gate), ignored;
  SmallVector<Value> inputs, outputs;
  ignored = DictionaryAttr::get(context);
  for (auto [slot, value] : llvm::enumerate(operandSlots(product)))
    inputs.push_back(slot == 0 ? contiguousOf(value)
                               : operandOf(product, slot, value, ignored));
  for (auto [slot, value] : llvm::enumerate(operandSlots(gate)))
    if (slot > 0)
      inputs.push_back(operandOf(gate, slot, value, settings));
  inputs.push_back(dispatch ? operandOf(dispatch, 0, dispatch.getX(), settings)
                            : plan.none());
  for (Value result : gate->getResults())
    outputs.push_back(resultBuffer(result));
  SmallVector<Location> locations = {product.getLoc(), gate.getLoc()};
  if (dispatch) {
    for (Value result : dispatch->getResults())
      outputs.push_back(resultBuffer(result));
    locations.push_back(dispatch.getLoc());
    NamedAttrList list(settings);
    list.set("num_experts",
             Builder(context).getI64IntegerAttr(dispatch.getNumExperts()));
    settings = list.getDictionary(context);
  }
  mlir::remark::passed(
      gate.getLoc(),
      mlir::remark::RemarkOpts::name("router").category("moe-lower-to-plan"))
      << (dispatch ? "product, gate and dispatch are one step"
                   : "product and gate are one step");
  gate->setLoc(FusedLoc::get(context, locations));
  addStep(gate, "router", inputs, outputs, settings);
}
