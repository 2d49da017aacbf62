//===- SummarizeModel.cpp - What a mesh has to carry ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights count by what reads them: products and dense FFNs can be sliced over
// tp, tables are read row by row, all others are small and whole.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SummarizeModel.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/WeightStorage.h"
#include "passes/distribute/ExpertLayer.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::solver;

/// Elements of a weight, 0 for a size that is not known.
static double elementsOf(Value value) {
  if (!value)
    return 0;
  double count = 1;
  for (const DimExpr &dim : getDims(value))
    count *= static_cast<double>(dim.constantValue().value_or(0));
  return count;
}

static double bytesOf(Value value) {
  if (!value)
    return 0;
  if (auto param = value.getDefiningOp<ParamOp>())
    return storedBytes(param.getValue());
  std::optional<DType> dtype = toDType(getTensorType(value).getElementType());
  return elementsOf(value) * (dtype ? double(dtypeSize(*dtype)) : 0);
}

static int64_t dimOf(Value value, unsigned axis) {
  return getDim(value, axis).constantValue().value_or(0);
}

static MoeLayerSummary summarize(ExpertsOp op) {
  MoeLayerSummary layer;
  layer.experts = std::max<int64_t>(1, dimOf(op.getW1(), 0));
  layer.inputs = dimOf(op.getW1(), 1);
  layer.inner = dimOf(op.getW2(), 1);
  layer.outputs = dimOf(op.getW2(), 2);
  if (DispatchOp dispatch = moe::pass::findDispatch(op))
    layer.k = dimOf(dispatch.getSlots(), 1);
  layer.k = std::clamp<int64_t>(layer.k, 1, layer.experts);
  double experts = static_cast<double>(layer.experts);
  for (Value weight : {op.getW1(), op.getW2(), op.getW3()})
    layer.rowFlops += 2 * elementsOf(weight) / experts;
  for (Value weight :
       {op.getW1(), op.getB1(), op.getW2(), op.getB2(), op.getW3(), op.getB3()})
    layer.expertBytes += bytesOf(weight) / experts;
  return layer;
}

/// A product that makes the logits of a router: every rank has all of it.
static bool isRouter(MatmulOp op) {
  return llvm::any_of(op->getUsers(),
                      [](Operation *user) { return isa<GateOp>(user); });
}

static void add(MatmulOp op, ModelSummary &model) {
  if (!op.getRhs().getDefiningOp<ParamOp>())
    return;
  double flops = 2 * elementsOf(op.getRhs());
  (isRouter(op) ? model.wholeFlops : model.slicedFlops) += flops;
}

static void add(FfnOp op, ModelSummary &model) {
  for (Value weight : {op.getW1(), op.getW2(), op.getW3()})
    model.slicedFlops += 2 * elementsOf(weight);
  model.reductions += 1;
  model.hidden = std::max(model.hidden, dimOf(op.getW1(), 0));
}

static void add(AttentionOp op, ModelSummary &model) {
  int64_t heads = dimOf(op.getQ(), 1), keyHeads = dimOf(op.getK(), 1);
  model.heads = model.heads ? std::min(model.heads, heads) : heads;
  model.keyHeads =
      model.keyHeads ? std::min(model.keyHeads, keyHeads) : keyHeads;
  model.cacheBytes +=
      static_cast<double>(keyHeads) * 4 *
      static_cast<double>(dimOf(op.getK(), 3) + dimOf(op.getV(), 3));
  model.reductions += 1;
}

/// What reads a weight says how it can be divided.
static void add(ParamOp op, ModelSummary &model) {
  double bytes = bytesOf(op.getResult());
  bool isSliced = false, isTable = false;
  for (Operation *user : op->getUsers()) {
    if (isa<ExpertsOp>(user))
      return; // counted with its layer
    auto matmul = dyn_cast<MatmulOp>(user);
    isSliced |= isa<FfnOp>(user) || (matmul && !isRouter(matmul));
    isTable |=
        isa<GatherOp>(user) && getTensorType(op.getResult()).getRank() == 2;
  }
  (isSliced  ? model.slicedBytes
   : isTable ? model.tableBytes
             : model.wholeBytes) += bytes;
}

ModelSummary moe::pass::summarizeModel(ModuleOp module) {
  ModelSummary model;
  module.walk([&](Operation *op) {
    if (auto experts = dyn_cast<ExpertsOp>(op)) {
      model.layers.push_back(summarize(experts));
      model.hidden = std::max(model.hidden, model.layers.back().inputs);
    } else if (auto matmul = dyn_cast<MatmulOp>(op)) {
      add(matmul, model);
    } else if (auto ffn = dyn_cast<FfnOp>(op)) {
      add(ffn, model);
    } else if (auto attention = dyn_cast<AttentionOp>(op)) {
      add(attention, model);
    } else if (auto param = dyn_cast<ParamOp>(op)) {
      add(param, model);
    }
  });
  return model;
}
