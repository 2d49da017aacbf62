//===- VerifyPlan.cpp - The gate before the emitter -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs the verifier that whoever reads a plan file runs, on the tables that the
// emitter would write: every index, lifetime, view and symbol. So what passes
// here can be loaded, and there is one list of what a plan must be
// (runtime/plan/PlanVerify.h). What it does not know is checked on the IR: that
// steps of stream 0 do not overtake those of stream 1 whose memory or sizes
// they use (StreamOrder.h).
//
// Before: a plan.program with lifetimes. After: nothing is changed.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/plan/PlanDialect.h"
#include "passes/emit/EmitPlan.h"
#include "passes/lower/StreamOrder.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/Plan_generated.h"

namespace moe::pass {
#define GEN_PASS_DEF_VERIFYPLANPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::plan_dialect;

static bool isAliveAt(Value operand, int64_t step) {
  auto buffer = operand.getDefiningOp<BufferOp>();
  while (buffer && buffer.getBase())
    buffer = buffer.getBase().getDefiningOp<BufferOp>();
  return !buffer || buffer.getKind() != BufferKind::Arena ||
         static_cast<int64_t>(buffer.getLastStep()) >= step;
}

static LogicalResult verifyStreams(ProgramOp program) {
  pass::StreamOrder order(program);
  SmallVector<StepOp> steps(program.getBody().getOps<StepOp>());
  SmallVector<int64_t> joins = pass::joinsOf(steps);
  DenseMap<Operation *, int64_t> numbers;
  for (auto [number, step] : llvm::enumerate(steps)) {
    auto now = static_cast<int64_t>(number);
    numbers[step] = now;
    StepOp conflict = step.getStream() == 0 ? order.conflictOf(step) : StepOp();
    if (conflict && joins[numbers[conflict]] > now)
      return step.emitOpError()
             << "\"" << step.getKernel() << "\" does not wait for step "
             << numbers[conflict] << ", \"" << conflict.getKernel()
             << "\" on stream 1, whose memory or sizes it uses";
    auto end = std::min<int64_t>(joins[number], steps.size() - 1);
    for (Value operand : step->getOperands())
      if (!isAliveAt(operand, end))
        return step.emitOpError()
               << "\"" << step.getKernel() << "\" may run until step " << end
               << ", beyond the life of an operand";
    order.add(step);
  }
  return success();
}

namespace {
struct VerifyPlan : moe::pass::impl::VerifyPlanPassBase<VerifyPlan> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    StatusOr<plan::ProgramT> program = pass::exportProgram(getOperation());
    Status status = program.status();
    if (status.isOk())
      status = verifyProgram(*program, /*weightsSize=*/0);
    if (!status.isOk()) {
      getOperation().emitError()
          << "the plan is not valid: " << status.message();
      return signalPassFailure();
    }
    for (auto plan : getOperation().getOps<ProgramOp>())
      if (failed(verifyStreams(plan)))
        return signalPassFailure();
  }
};
} // namespace
