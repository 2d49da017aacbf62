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
// (runtime/plan/PlanVerify.h).
//
// Before: a plan.program with lifetimes. After: nothing is changed.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/plan/PlanDialect.h"
#include "passes/emit/EmitPlan.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/Plan_generated.h"

namespace moe::pass {
#define GEN_PASS_DEF_VERIFYPLANPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;

namespace {
struct VerifyPlan : moe::pass::impl::VerifyPlanPassBase<VerifyPlan> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    StatusOr<plan::ProgramT> program = pass::exportProgram(getOperation());
    Status status = program.status();
    if (status.isOk())
      status = verifyProgram(*program, /*weightsSize=*/0);
    if (status.isOk())
      return;
    getOperation().emitError() << "the plan is not valid: " << status.message();
    signalPassFailure();
  }
};
} // namespace
