//===- EvalRouting.cpp - Meaning of gate, dispatch and combine ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Gate.h"
#include "dialect/interp/World.h"

#include <algorithm>

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// Gate
//===----------------------------------------------------------------------===//

static std::vector<float> toFloats(const HostTensor *tensor) {
  std::vector<float> values;
  for (int64_t i = 0; tensor && i < tensor->size(); ++i)
    values.push_back(static_cast<float>(tensor->elements[i].f));
  return values;
}

static GateConfig configOf(GateOp op) {
  GateConfig config;
  config.k = op.getK();
  config.score = op.getScore();
  config.mixWeight = op.getMixWeight();
  config.normalize = op.getNormalize();
  config.normalizeEps = op.getNormalizeEps().convertToFloat();
  config.scale = op.getScale().convertToFloat();
  config.numGroups = op.getNumGroups();
  config.topkGroups = op.getTopkGroups();
  config.groupScore = op.getGroupScore();
  config.groupFillZero = op.getGroupFillZero();
  config.jitterEps = op.getJitterEps().convertToFloat();
  config.dropPolicy = op.getDropPolicy();
  config.capacityFactor = op.getCapacityFactor().convertToFloat();
  config.minCapacity = op.getMinCapacity();
  config.normalizeAfterDrop = op.getNormalizeAfterDrop();
  config.randomSeed = op.getRandomSeed().value_or(0);
  return config;
}

static void appendFloats(std::vector<float> &values, const HostTensor *tensor) {
  std::vector<float> more = toFloats(tensor);
  values.insert(values.end(), more.begin(), more.end());
}

/// The operands of a gate that works on the rows of all `frames`, in order.
static GateInputs inputsOf(GateOp op, Group frames) {
  const Frame &first = *frames.front();
  GateInputs inputs;
  inputs.numExperts = first.get(op.getLogits()).shape[1];
  inputs.selectionBias = toFloats(first.find(op.getSelectionBias()));
  inputs.expertScale = toFloats(first.find(op.getExpertScale()));
  for (const Frame *frame : frames) {
    inputs.numTokens += frame->get(op.getLogits()).shape[0];
    appendFloats(inputs.logits, frame->find(op.getLogits()));
    appendFloats(inputs.mixScores, frame->find(op.getMixScores()));
    if (const HostTensor *used = frame->find(op.getUsedToken()))
      for (Scalar element : used->elements)
        inputs.usedToken.push_back(element.i != 0);
  }
  return inputs;
}

/// The results of `numTokens` tokens from `begin`.
static Results tokensOf(const GateOutputs &outputs, int64_t k, int64_t begin,
                        int64_t numTokens) {
  HostTensor weights(DType::F32, {numTokens, k});
  HostTensor experts(DType::I32, {numTokens, k});
  for (int64_t i = 0; i < weights.size(); ++i) {
    weights.elements[i] = scalarOf(double(outputs.weights[begin * k + i]));
    experts.elements[i] = scalarOf(int64_t(outputs.experts[begin * k + i]));
  }
  return Results{std::move(weights), std::move(experts)};
}

FailureOr<Results> evaluate(GateOp op, const Frame &frame) {
  const Frame *alone = &frame;
  GateInputs inputs = inputsOf(op, Group(alone));
  GateOutputs outputs = evaluateGate(configOf(op), inputs);
  return tokensOf(outputs, op.getK(), 0, inputs.numTokens);
}

AllResults evaluateAll(GateOp op, Group group) {
  GateOutputs outputs = evaluateGate(configOf(op), inputsOf(op, group));
  SmallVector<Results> results;
  int64_t begin = 0;
  for (const Frame *frame : group) {
    int64_t numTokens = frame->get(op.getLogits()).shape[0];
    results.push_back(tokensOf(outputs, op.getK(), begin, numTokens));
    begin += numTokens;
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Dispatch, combine
//===----------------------------------------------------------------------===//

FailureOr<Results> evaluate(DispatchOp op, const Frame &frame) {
  const HostTensor &x = frame.get(op.getX());
  const HostTensor &experts = frame.get(op.getExperts());
  const HostTensor *weights = frame.find(op.getWeights());
  int64_t numExperts = op.getNumExperts(), width = x.shape[1];
  int64_t k = experts.shape[1], numRows = 0;
  HostTensor counts(DType::I32, {numExperts});
  HostTensor slots(DType::I32, experts.shape);
  std::vector<int64_t> choiceOfRow;
  for (Scalar &slot : slots.elements)
    slot = scalarOf(int64_t(-1));
  for (Scalar expert : experts.elements)
    if (expert.i < -1 || expert.i >= numExperts)
      return op.emitError()
             << "has expert " << expert.i << " of " << numExperts;
  for (int64_t e = 0; e < numExperts; ++e) {
    for (int64_t i = 0; i < experts.size(); ++i) {
      if (experts.elements[i].i != e)
        continue;
      slots.elements[i] = scalarOf(numRows++);
      choiceOfRow.push_back(i);
      ++counts.elements[e].i;
    }
  }
  HostTensor rows(x.dtype, {numRows, width});
  for (int64_t row = 0; row < numRows; ++row) {
    int64_t choice = choiceOfRow[row];
    for (int64_t m = 0; m < width; ++m) {
      Scalar value = x.elements[choice / k * width + m];
      if (weights)
        value.f *= weights->elements[choice].f;
      rows.elements[row * width + m] = value;
    }
  }
  return Results{std::move(rows), std::move(counts), std::move(slots)};
}

FailureOr<Results> evaluate(CombineOp op, const Frame &frame) {
  const HostTensor &rows = frame.get(op.getRows());
  const HostTensor &slots = frame.get(op.getSlots());
  const HostTensor *weights = frame.find(op.getWeights());
  int64_t k = slots.shape[1], width = rows.shape[1];
  HostTensor result(rows.dtype, {slots.shape[0], width});
  for (int64_t i = 0; i < slots.size(); ++i) {
    int64_t row = slots.elements[i].i;
    if (row == -1)
      continue;
    if (row < 0 || row >= rows.shape[0])
      return op.emitError() << "has slot " << row << " of " << rows.shape[0];
    double weight = weights ? weights->elements[i].f : 1.0;
    for (int64_t n = 0; n < width; ++n)
      result.elements[i / k * width + n].f +=
          weight * rows.elements[row * width + n].f;
  }
  return Results{std::move(result)};
}

} // namespace moe::interp
