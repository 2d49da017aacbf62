//===- CrashGuard.cpp - What remains of a compiler that crashes -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/CrashGuard.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/support/File.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <span>
#include <unistd.h>

using namespace mlir;

namespace moe::tool {

static constexpr StringLiteral kReproducer = "moe-opt-crash.mlir";

Status CrashGuard::run(StringRef what, function_ref<Status()> work,
                       function_ref<std::string()> lastWords) const {
  llvm::CrashRecoveryContext::Enable();
  llvm::CrashRecoveryContext guard;
  guard.DumpStackAndCleanupOnFailure = true;
  Status status;
  if (guard.RunSafely([&] { status = work(); }))
    return status;
  // Destructors might meet what the crash left behind, so none runs.
  llvm::errs() << inputName << ": error: crashed during " << what << lastWords()
               << "\n";
  _exit(static_cast<int>(StatusCode::Internal));
}

/// The module and the pipeline in the form of --run-reproducer.
static std::string describeRun(PassManager &pm, ModuleOp module) {
  std::string pipeline, text;
  llvm::raw_string_ostream pipelineStream(pipeline), textStream(text);
  pm.printAsTextualPipeline(pipelineStream);
  AsmState state(module, OpPrintingFlags().enableDebugInfo());
  state.attachResourcePrinter("mlir_reproducer",
                              [&](Operation *, AsmResourceBuilder &builder) {
                                builder.buildString("pipeline", pipeline);
                                builder.buildBool("disable_threading", true);
                                builder.buildBool("verify_each", true);
                              });
  module->print(textStream, state);
  return text;
}

/// "; run '...' to repeat it", or why not.
static std::string writeReproducer(PassManager &pm, ModuleOp module) {
  std::string text = describeRun(pm, module);
  Status written =
      writeWholeFile(kReproducer.str(), std::as_bytes(std::span(text)));
  if (!written.isOk())
    return "; no reproducer: " + written.message();
  return "; run 'moe-opt " + kReproducer.str() +
         " --run-reproducer' to repeat it";
}

Status CrashGuard::runPipeline(StringRef what, PassManager &pm, ModuleOp module,
                               StatusCode onFailure) const {
  // Printing now would cost every run the time that only an error needs; the
  // copy is cheap, since no weight is in the IR.
  OwningOpRef<ModuleOp> before(module.clone());
  Status status = run(
      what,
      [&]() -> Status {
        if (failed(pm.run(module)))
          return Status(onFailure, what.str() + " failed");
        return Status::ok();
      },
      [&] { return writeReproducer(pm, *before); });
  if (status.code() != StatusCode::Internal)
    return status;
  return Status(status.code(), status.message() + writeReproducer(pm, *before));
}

//===----------------------------------------------------------------------===//
// A crash to test all this
//===----------------------------------------------------------------------===//

namespace {
struct CrashPass : PassWrapper<CrashPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CrashPass)

  StringRef getArgument() const override { return "moe-test-crash"; }
  StringRef getDescription() const override {
    return "crashes, to test what remains then";
  }
  void runOnOperation() override { std::abort(); }
};
} // namespace

void registerCrashPass() { PassRegistration<CrashPass>(); }

std::unique_ptr<Pass> createCrashPass() {
  return std::make_unique<CrashPass>();
}

} // namespace moe::tool
