//===- LowerToPlan.cpp - From values to buffers, operations to steps ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every operation becomes one step with its name, and every result one buffer.
// The exceptions:
//
//   reshape, transpose,  a view of its operand's memory where there is one;
//   slice, broadcast     whoever needs it row by row gets a copy
//   param                a weight in the layout of the kernel that reads it;
//   shard of a param     a weight of which each rank holds its part
//   constant             bytes in the plan
//   matmul, gate and     a step "router", if nobody else reads the logits
//   dispatch             (LowerRouter.cpp)
//   dispatch, experts    a step "routed_experts", if they follow each other on
//   and combine          one rank (LowerRoutedExperts.cpp)
//   combine, addition    a step "routed_experts" or "combine" that adds too, if
//                        nobody else reads the sums (LowerResidual.cpp)
//   gather               "gather_codes" of a table that the file has in codes
//                        (LowerGather.cpp)
//   cache_append         a step that writes new entries into a state in place,
//                        if past is an argument with `moe.state`; else concat
//   a returned value     its step writes into the output; what no step writes
//                        (an argument, a weight) is copied there
//
// Before: one function behind moe-fuse-elementwise. After: the module holds one
// plan.program and no function; arena buffers have no lifetimes yet.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "passes/distribute/Sharding.h"
#include "passes/lower/FunctionLowering.h"
#include "passes/lower/LayerInfo.h"

#include "mlir/IR/BuiltinOps.h"

namespace moe::pass {
#define GEN_PASS_DEF_LOWERTOPLANPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

namespace {
struct LowerToPlan : moe::pass::impl::LowerToPlanPassBase<LowerToPlan> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1) {
      getOperation().emitError()
          << "expected one function, found " << functions.size();
      return signalPassFailure();
    }
    auto mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
    if (!mesh)
      mesh = MeshAttr::get(&getContext(), 1, 1, 1);
    if (failed(FunctionLowering(functions[0]).run(mesh)))
      return signalPassFailure();
    functions[0].erase();
  }
};
} // namespace

void FunctionLowering::addStep(Operation *op, StringRef kernel,
                               ArrayRef<Value> inputs, ArrayRef<Value> outputs,
                               DictionaryAttr settings,
                               ElementwiseProgram program) {
  OpBuilder builder = plan.at(PlanBuilder::Steps);
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  SmallVector<Attribute> nodes(names.begin(), names.end());
  auto layer = layerOf.find(op);
  CommGroup group = stepGroup(op);
  plan_dialect::StepOp::create(
      builder, op->getLoc(), builder.getStringAttr(kernel), inputs, outputs,
      settings && !settings.empty() ? settings : DictionaryAttr(),
      program.instructions, program.registers,
      dyn_cast_or_null<IntegerAttr>(op->getDiscardableAttr(kStream)),
      DenseI64ArrayAttr(), IntegerAttr(),
      layer == layerOf.end() ? IntegerAttr()
                             : builder.getI64IntegerAttr(layer->second),
      nodes.empty() ? ArrayAttr() : builder.getArrayAttr(nodes),
      group == CommGroup::Rows ? CommGroupAttr()
                               : CommGroupAttr::get(context, group),
      stepGuard(op));
}

DictionaryAttr FunctionLowering::settingsOf(Operation *op) {
  FailureOr<DictionaryAttr> settings = stepSettings(op);
  hasFailed |= failed(settings);
  return settings.value_or(DictionaryAttr::get(context));
}

void FunctionLowering::lowerAppend(CacheAppendOp op) {
  DictionaryAttr settings = settingsOf(op);
  Value past = operandOf(op, 0, op.getPast(), settings);
  Value entries = operandOf(op, 1, op.getNewEntries(), settings);
  SmallVector<Value> inputs = {past, entries};
  if (op.getLengths())
    inputs.push_back(operandOf(op, 2, op.getLengths(), settings));
  bool appends = stateOf.count(op) || op.getLengths();
  addStep(op, appends ? "cache_append" : "concat", inputs,
          {resultBuffer(op.getResult())}, settings);
}

void FunctionLowering::lower(Operation &op) {
  bool isNoStep = isa<ParamOp, ConstantOp, func::ReturnOp>(op) ||
                  isWeight(op.getNumResults() ? op.getResult(0) : Value());
  if (isNoStep || isInRouter.contains(&op) || isInRoutedExperts.contains(&op) ||
      isInResidual.contains(&op) || lowerToView(&op))
    return;
  if (routers.contains(&op))
    return lowerRouter(cast<GateOp>(op));
  if (routedExperts.contains(&op))
    return lowerRoutedExperts(cast<CombineOp>(op));
  if (residuals.contains(&op))
    return lowerResidual(cast<ElementwiseOp>(op));
  if (auto append = dyn_cast<CacheAppendOp>(op))
    return lowerAppend(append);
  if (auto gather = dyn_cast<GatherOp>(op); gather && lowerGather(gather))
    return;
  DictionaryAttr settings = settingsOf(&op);
  ElementwiseProgram program;
  if (auto elementwise = dyn_cast<ElementwiseOp>(op))
    program = elementwiseProgram(elementwise);
  SmallVector<Value> inputs, outputs;
  for (auto [slot, value] : llvm::enumerate(operandSlots(&op)))
    inputs.push_back(operandOf(&op, slot, value, settings));
  for (Value result : op.getResults())
    outputs.push_back(resultBuffer(result));
  addStep(&op, op.getName().stripDialect(), inputs, outputs, settings, program);
}

LogicalResult FunctionLowering::run(MeshAttr mesh) {
  exposeTables();
  findRoutedExperts();
  findResiduals();
  findRouters();
  if (failed(declareSymbols()))
    return failure();
  declareConstraints();
  declareLayers();
  bindInputs();
  reserveOutputs();
  for (Operation &op : func.front())
    lower(op);
  bindOutputs();
  if (hasFailed)
    return failure();
  plan.finish(func, mesh);
  return success();
}
