//===- CrashGuard.h - What remains of a compiler that crashes ----*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A crash in a pass must not lose the way to it: the module as it was before
// the pipeline, with the pipeline, is written to a file that
// `moe-opt --run-reproducer` runs again.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_CRASHGUARD_H
#define MOE_TOOLS_MOE_OPT_CRASHGUARD_H

#include "runtime/support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace moe::tool {

/// Runs `work` and returns its result; if it crashes, Internal.
Status runGuarded(llvm::StringRef what, llvm::function_ref<Status()> work);

/// Runs the pipeline on the module. `onFailure` is the code if a pass fails; a
/// crash is Internal and leaves a reproducer.
Status runPipelineGuarded(mlir::PassManager &pm, mlir::ModuleOp module,
                          StatusCode onFailure);

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_CRASHGUARD_H
