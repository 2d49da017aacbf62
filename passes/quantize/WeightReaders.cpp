//===- WeightReaders.cpp - Products and the weights they read -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/quantize/WeightReaders.h"

#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/WeightStorage.h"
#include "passes/lower/LayerInfo.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// True for floats that kernels multiply from panels.
static bool isPanelFloat(Type type) {
  return type.isF32() || type.isF16() || type.isBF16();
}

static void add(SmallVector<ReadWeight> &weights, OpOperand &operand,
                StringRef role, int64_t rank, bool isTransposed = false) {
  auto param = operand.get().getDefiningOp<ParamOp>();
  if (!param || param.getType().getRank() != rank ||
      !isPanelFloat(param.getType().getElementType()))
    return;
  ParamAttr value = param.getValue();
  if (isTransposed)
    value = param::transpose(value, {1, 0});
  weights.push_back({&operand, role, value, isTransposed});
}

SmallVector<ReadWeight> moe::pass::weightsOf(Operation *op) {
  SmallVector<ReadWeight> weights;
  if (auto matmul = dyn_cast<MatmulOp>(op))
    add(weights, matmul.getRhsMutable(), "", 2, matmul.getTransposeRhs());
  auto addNetwork = [&](auto network, int64_t rank) {
    add(weights, network.getW1Mutable(), "w1", rank);
    if (network.getW3())
      add(weights, network.getW3Mutable()[0], "w3", rank);
    add(weights, network.getW2Mutable(), "w2", rank);
  };
  if (auto ffn = dyn_cast<FfnOp>(op))
    addNetwork(ffn, 2);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    addNetwork(experts, 3);
  return weights;
}

Arithmetic moe::pass::arithmeticOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, Arithmetic>(op)
      .Case<MatmulOp, FfnOp, ExpertsOp>(
          [](auto product) { return product.getArithmetic(); })
      .Default([](Operation *) { return Arithmetic::Float; });
}

bool moe::pass::suitsInt8(ParamAttr weight) {
  std::optional<QuantFormat> format = codeFormat(weight);
  return format && format->block % 32 == 0;
}

/// Operations behind which a router still sees what it was given.
static bool passesLogits(Operation *op) {
  return isa<UnaryOp, BinaryOp, SelectOp, CastOp, ReshapeOp, TransposeOp,
             SliceOp, ConcatOp, BroadcastOp, SoftmaxOp>(op);
}

bool moe::pass::isRouterProduct(Operation *op) {
  if (!isa<MatmulOp>(op))
    return false;
  llvm::SetVector<Operation *> seen;
  seen.insert(op);
  for (size_t i = 0; i < seen.size(); ++i) {
    for (Operation *user : seen[i]->getUsers()) {
      if (isa<GateOp>(user))
        return true;
      if (passesLogits(user))
        seen.insert(user);
    }
  }
  return false;
}

StringRef moe::pass::nodeNameOf(Operation *op) {
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  return names.empty() ? StringRef() : names.front().getValue();
}
