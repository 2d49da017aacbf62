//===- LowerResidual.cpp - Mixing rows and adding to them as one step -----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %y = moe.combine %computed, %slots, %weights
//   %z = moe.reshape %y
//   %sum = moe.elementwise %residual, %z { add }
//
// become one step, "routed_experts" or "combine", with %residual as its last
// operand: what it has mixed is added to while it is in the nearest cache. The
// numbers are those of two steps. The step stands where the addition stood,
// since %residual may be computed behind the combine.
//
// The addition does nothing else and reads values of the same sizes and type,
// nobody else reads %y, and %residual is no strided view, which would have to
// be copied.
//
//===----------------------------------------------------------------------===//

#include "passes/lower/FunctionLowering.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// The reshapes between `combine` and who reads its result, and that result.
static Value followReshapes(CombineOp combine,
                            SmallVectorImpl<Operation *> &reshapes) {
  Value sums = combine.getResult();
  while (sums.hasOneUse()) {
    auto reshape = dyn_cast<ReshapeOp>(*sums.user_begin());
    if (!reshape)
      break;
    reshapes.push_back(reshape);
    sums = reshape.getResult();
  }
  return sums;
}

/// True for a program a + b.
static bool isAddition(ElementwiseOp op) {
  Block &body = op.getBody().front();
  if (op.getInputs().size() != 2 || op.getNumResults() != 1 ||
      llvm::range_size(body.without_terminator()) != 1)
    return false;
  auto add = dyn_cast<BinaryOp>(body.front());
  return add && add.getKind() == BinaryKind::Add &&
         add.getLhs() != add.getRhs() && isa<BlockArgument>(add.getLhs()) &&
         isa<BlockArgument>(add.getRhs()) &&
         body.getTerminator()->getOperand(0) == add.getResult();
}

static bool isOfSameKind(Value a, Value b) {
  return getDims(a) == getDims(b) &&
         getTensorType(a).getElementType() == getTensorType(b).getElementType();
}

/// True if a step may find `value` with gaps (lowerToView).
static bool isStridedView(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return isa_and_present<TransposeOp, SliceOp, BroadcastOp>(
      value.getDefiningOp());
}

/// Finds who adds `residual` to `sums`, the result of `combine`; returns why
/// its step cannot, or nothing.
static StringRef findAddition(CombineOp combine, Value sums,
                              ElementwiseOp &addition, Value &residual) {
  if (!sums.hasOneUse())
    return "not exactly one operation reads the sums";
  addition = dyn_cast<ElementwiseOp>(*sums.user_begin());
  if (!addition)
    return "what reads the sums is no addition";
  if (!isAddition(addition))
    return "what reads the sums does more than add";
  residual = addition.getInputs()[addition.getInputs()[0] == sums ? 1 : 0];
  if (!isOfSameKind(sums, residual) ||
      !isOfSameKind(sums, addition.getResult(0)))
    return "what is added has other sizes or another type";
  if (isStridedView(residual))
    return "what is added does not lie row by row";
  if (!runTogether(combine, addition))
    return "they run under different conditions";
  return "";
}

void FunctionLowering::findResiduals() {
  func.walk([&](CombineOp combine) {
    SmallVector<Operation *> reshapes;
    ElementwiseOp addition;
    Value residual;
    Value sums = followReshapes(combine, reshapes);
    StringRef reason = findAddition(combine, sums, addition, residual);
    if (reason.empty() && residuals.contains(addition))
      reason = "the addition is in the step of the other sums";
    auto options = mlir::remark::RemarkOpts::name("residual")
                       .category("moe-lower-to-plan");
    if (!reason.empty()) {
      mlir::remark::missed(combine.getLoc(), options)
          << ("combine adds nothing to its sums: " + reason).str();
      return;
    }
    mlir::remark::passed(combine.getLoc(), options)
        << "combine and the addition to its sums are one step";
    residuals[addition] = {combine, residual};
    isInResidual.insert(combine);
    isInResidual.insert_range(reshapes);
  });
}

void FunctionLowering::lowerResidual(ElementwiseOp addition) {
  auto [combine, residual] = residuals.lookup(addition);
  Dims dims = getDims(combine.getResult());
  // Operand and result as rows of tokens.
  auto asRows = [&](Value value, Value buffer) {
    return getDims(value) == dims ? buffer : plan.view(buffer, dims);
  };
  Value added = asRows(residual, contiguousOf(residual));
  Value sum = addition.getResult(0);
  Value result = asRows(sum, resultBuffer(sum));
  combine->setLoc(
      FusedLoc::get(context, {combine.getLoc(), addition.getLoc()}));
  if (routedExperts.contains(combine))
    return lowerRoutedExperts(combine, added, result);
  DictionaryAttr settings = settingsOf(combine);
  SmallVector<Value> inputs;
  for (auto [slot, value] : llvm::enumerate(operandSlots(combine)))
    inputs.push_back(operandOf(combine, slot, value, settings));
  inputs.push_back(added);
  addStep(combine, "combine", inputs, {result}, settings);
}
