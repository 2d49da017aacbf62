//===- StepWork.cpp - What a step of a plan has to do ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepWork.h"

#include "runtime/cost/StepOperands.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>
#include <string_view>

using namespace moe;
using namespace moe::cost;

const plan::ParamT *PlanWork::paramOf(int buffer) const {
  if (buffer < 0)
    return nullptr;
  const plan::BufferT &root = *program.buffers[roots[buffer]];
  return root.kind == plan::BufferKind_Param ? program.params[root.index].get()
                                             : nullptr;
}

/// Bytes of all operands that are no weights.
double PlanWork::operandBytes(int rank, const plan::StepT &step) const {
  double bytes = 0;
  for (const auto *list : {&step.inputs, &step.outputs})
    for (int buffer : *list)
      if (buffer >= 0 && !paramOf(buffer))
        bytes += sizes.bytes(sizes.classOf(rank), buffer);
  return bytes;
}

/// What moves elements costs what it writes; appending to a cache writes the
/// new entries only.
void PlanWork::addMove(StepWork &work, int rank,
                       const plan::StepT &step) const {
  work.kind = KernelKind::Move;
  int sizeClass = sizes.classOf(rank);
  double written = 0;
  for (int output : step.outputs)
    written += sizes.bytes(sizeClass, output);
  if (step.kernel == "cache_append")
    written = sizes.bytes(sizeClass, inputOf(step, 1));
  if (step.kernel == "combine") { // reads a row for each slot, and residuals
    written =
        sizes.elements(sizeClass, inputOf(step, 1)) * 4 *
        static_cast<double>(sizes.dims(sizeClass, step.outputs[0]).back());
    int residual = inputOf(step, residualOperand(step.kernel));
    if (residual >= 0)
      written += sizes.bytes(sizeClass, residual);
  }
  work.units = written;
  work.weightBytes = std::min(work.weightBytes, written);
  work.activationBytes = std::min(work.activationBytes, 2 * written);
}

static KernelKind kindOf(std::string_view kernel) {
  for (std::string_view each : {"norm", "softmax", "reduce", "arg_reduce",
                                "cumsum", "top_k", "rotary", "mix"})
    if (kernel == each)
      return KernelKind::Norm;
  if (kernel == "elementwise")
    return KernelKind::Elementwise;
  return kernel == "gate" ? KernelKind::Gate : KernelKind::Move;
}

StepWork PlanWork::work(int rankClass, int index) const {
  const plan::StepT &step = *program.steps[index];
  int rank = rankOf(rankClass), sizeClass = sizes.classOf(rank);
  StepWork work;
  for (int buffer : step.inputs)
    if (const plan::ParamT *param = paramOf(buffer))
      work.weightBytes += heldBytes(rank, *param);
  work.activationBytes = operandBytes(rank, step);
  if (step.kernel == "matmul") {
    addProduct(work, rank, step);
  } else if (step.kernel == "router") {
    addRouter(work, rank, step);
  } else if (step.kernel == "ffn") {
    addFfn(work, rank, step);
  } else if (firstExpertWeight(step.kernel) > 0) {
    addExperts(work, rank, index);
  } else if (step.kernel == "attention") {
    addAttention(work, rank, step);
  } else if (step.kernel.starts_with("all_to_all")) {
    addExchange(work, rank, index);
  } else if (isCollective(step) && step.kernel != "gate") {
    addCollective(work, rank, step);
  } else if (kindOf(step.kernel) == KernelKind::Move) {
    addMove(work, rank, step);
  } else {
    work.kind = kindOf(step.kernel);
    bool isElementwise = work.kind == KernelKind::Elementwise;
    int buffer = isElementwise ? step.outputs[0] : step.inputs[0];
    work.units = sizes.elements(sizeClass, buffer);
    if (isElementwise)
      work.units *=
          static_cast<double>(std::max<size_t>(1, step.program.size()));
    if (isCollective(step))
      addCompetition(work, rank, step);
  }
  return work;
}
