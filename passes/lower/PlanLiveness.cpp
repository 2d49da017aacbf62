//===- PlanLiveness.cpp - When each arena buffer is alive -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sets `first_step` and `last_step` of each arena buffer from the first step
// that writes it to the last that reads it; what is done to a view is done to
// its base. A step of stream 1 uses its buffers until a step of stream 0 waits
// for it, or to the end. Buffers that no step uses are removed.
//
// Before: a plan.program whose steps are in their final order and have their
// events. After: arena buffers that are no views have a lifetime; the arena is
// solved from these.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/plan/PlanDialect.h"
#include "passes/lower/StreamOrder.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace moe::pass {
#define GEN_PASS_DEF_PLANLIVENESSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::plan_dialect;

/// The buffer at the end of a chain of views, or null for plan.none.
static BufferOp rootOf(Value value) {
  auto buffer = value.getDefiningOp<BufferOp>();
  while (buffer && buffer.getBase())
    buffer = buffer.getBase().getDefiningOp<BufferOp>();
  return buffer;
}

static void setLifetimes(ProgramOp program) {
  Builder builder(program.getContext());
  SmallVector<StepOp> steps(program.getBody().getOps<StepOp>());
  SmallVector<int64_t> joins = pass::joinsOf(steps);
  for (auto [number, step] : llvm::enumerate(steps))
    for (Value operand : step->getOperands()) {
      BufferOp buffer = rootOf(operand);
      if (!buffer || buffer.getKind() != BufferKind::Arena)
        continue;
      if (static_cast<int64_t>(buffer.getFirstStep()) < 0)
        buffer.setFirstStepAttr(builder.getI64IntegerAttr(number));
      auto end = std::min<int64_t>(joins[number], steps.size() - 1);
      auto last = std::max(static_cast<int64_t>(buffer.getLastStep()), end);
      buffer.setLastStepAttr(builder.getI64IntegerAttr(last));
    }
}

static void eraseUnused(ProgramOp program) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(program.getBody().front())))
    if (isa<BufferOp, NoneOp>(op) && op.use_empty())
      op.erase();
}

namespace {
struct PlanLiveness : moe::pass::impl::PlanLivenessPassBase<PlanLiveness> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<ProgramOp>()) {
      eraseUnused(program);
      setLifetimes(program);
    }
  }
};
} // namespace
