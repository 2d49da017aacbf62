//===- StreamSchedule.cpp - What waits for steps of stream 1 --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step of stream 1 begins behind all steps that stand before it. Some step
// must wait until it has ended:
//
//   * one that waits for its event,
//   * a collective of stream 0, so that the collectives of a rank keep one
//     order,
//   * one in whose sizes a symbol occurs that it defines: then also a step of
//     stream 1 is not issued before,
//   * at last the end of the program.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Executable.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>

using namespace moe;

Status Executable::scheduleStreams() {
  if (sideSteps.empty())
    return Status::ok();
  std::vector<int> definedBy(program->symbols.size(), -1);
  for (int step = 0; step < numSteps(); ++step)
    for (uint32_t symbol : steps[step].dataSymbols)
      definedBy[symbol] = step;
  // By event: how many side steps have ended when it is recorded.
  std::vector<int> numRecorded(program->num_events);
  int numIssued = 0;
  for (int step = 0; step < numSteps(); ++step) {
    const plan::StepT &plan = *program->steps[step];
    StepInfo &info = steps[step];
    if (info.sideIndex < 0) {
      for (uint32_t event : plan.waits)
        info.numJoined = std::max(info.numJoined, numRecorded[event]);
      if (isCollective(plan))
        info.numJoined = numIssued;
    }
    MOE_RETURN_IF_ERROR(waitForSizes(step, definedBy));
    if (info.sideIndex < 0)
      continue;
    ++numIssued;
    if (plan.records >= 0)
      numRecorded[plan.records] = numIssued;
  }
  extendLifetimes();
  return Status::ok();
}

/// Sizes must be final when a step begins; those of a step of stream 1 must not
/// change while it runs.
Status Executable::waitForSizes(int step, std::span<const int> definedBy) {
  StepInfo &info = steps[step];
  std::vector<uint32_t> used;
  auto add = [&](std::span<const uint32_t> more) {
    used.insert(used.end(), more.begin(), more.end());
  };
  uint32_t numOperands = info.numInputs + info.numOutputs;
  for (uint32_t i = 0; i < numOperands; ++i)
    if (int buffer = operands[info.firstInput + i]; buffer >= 0)
      add(buffers[buffer].symbols);
  for (const auto &attribute : program->steps[step]->attributes)
    for (uint32_t expr : attribute->exprs)
      add(exprs.symbolsIn(expr));
  for (uint32_t symbol : used) {
    int definer = definedBy[symbol];
    if (definer < 0 || definer == step)
      continue;
    if (definer < step) {
      info.numJoined = std::max(info.numJoined, steps[definer].sideIndex + 1);
      continue;
    }
    if (info.sideIndex >= 0)
      return Status(StatusCode::BadPlan, describeStep(step) +
                                             " runs on stream 1 and uses \"" +
                                             program->symbols[symbol]->name +
                                             "\", which a later step defines");
  }
  return Status::ok();
}

void Executable::extendLifetimes() {
  size_t numJoined = 0;
  auto joinAt = [&](int step, size_t count) {
    for (; numJoined < count; ++numJoined) {
      const StepInfo &side = steps[sideSteps[numJoined]];
      for (uint32_t i = 0; i < side.numInputs + side.numOutputs; ++i)
        if (int buffer = operands[side.firstInput + i]; buffer >= 0)
          noteUse(buffer, step);
    }
  };
  for (int step = 0; step < numSteps(); ++step)
    joinAt(step, steps[step].numJoined);
  joinAt(numSteps(), sideSteps.size());
}
