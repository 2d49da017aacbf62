//===- CrashGuard.h - What remains of a compiler that crashes ----*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An error of the compiler must not lose the way to it: the module as it was
// before the pipeline, with the pipeline, is written to a file that
// `moe-opt --run-reproducer` runs again.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_CRASHGUARD_H
#define MOE_TOOLS_MOE_OPT_CRASHGUARD_H

#include "runtime/support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <string>

namespace moe::tool {

class CrashGuard {
public:
  /// `inputName` begins the message of a crash.
  explicit CrashGuard(std::string inputName)
      : inputName(std::move(inputName)) {}

  /// Runs `work` and returns its result. A crash ends the process with the code
  /// of an internal error and says what it was doing; `lastWords` adds to that.
  Status run(
      llvm::StringRef what, llvm::function_ref<Status()> work,
      llvm::function_ref<std::string()> lastWords = [] {
        return std::string();
      }) const;

  /// Runs the pipeline on the module. `onFailure` is the code if a pass fails.
  /// An internal error, crash or not, leaves a reproducer.
  Status runPipeline(llvm::StringRef what, mlir::PassManager &pm,
                     mlir::ModuleOp module, StatusCode onFailure) const;

private:
  std::string inputName;
};

/// Registers moe-test-crash, a pass that crashes.
void registerCrashPass();
std::unique_ptr<mlir::Pass> createCrashPass();

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_CRASHGUARD_H
