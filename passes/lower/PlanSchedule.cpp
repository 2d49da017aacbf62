//===- PlanSchedule.cpp - Events between the streams of a rank ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every step of stream 1 records an event of its own. A step of stream 0 that
// may not overtake steps of stream 1 (StreamOrder.h) waits for the latest of
// them, unless a step before it did: stream 1 runs in order, so what came
// before that event has happened too. Steps of stream 1 wait for nothing.
//
// Before: a plan.program whose steps are in their final order and have their
// streams. After: num_streams and num_events are set, events are numbered from
// 0 in the order of steps.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "passes/lower/StreamOrder.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace moe::pass {
#define GEN_PASS_DEF_PLANSCHEDULEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::plan_dialect;

static void schedule(ProgramOp program) {
  Builder builder(program.getContext());
  pass::StreamOrder order(program);
  int64_t numEvents = 0, joined = -1;
  for (auto step : program.getBody().getOps<StepOp>()) {
    if (step.getStream() != 0) {
      step.setRecordsAttr(builder.getI64IntegerAttr(numEvents++));
    } else if (StepOp conflict = order.conflictOf(step)) {
      auto event = static_cast<int64_t>(conflict.getRecords());
      if (event > joined)
        step.setWaitsAttr(builder.getDenseI64ArrayAttr({event}));
      joined = std::max(joined, event);
    }
    order.add(step);
  }
  program.setNumStreams(numEvents > 0 ? 2 : 1);
  program.setNumEvents(numEvents);
}

namespace {
struct PlanSchedule : moe::pass::impl::PlanSchedulePassBase<PlanSchedule> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<ProgramOp>())
      schedule(program);
  }
};
} // namespace
