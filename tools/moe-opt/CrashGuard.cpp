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

#include <span>

using namespace mlir;

namespace moe::tool {

static constexpr StringLiteral kReproducer = "moe-opt-crash.mlir";

Status runGuarded(StringRef what, function_ref<Status()> work) {
  llvm::CrashRecoveryContext::Enable();
  llvm::CrashRecoveryContext guard;
  guard.DumpStackAndCleanupOnFailure = true;
  Status status;
  if (guard.RunSafely([&] { status = work(); }))
    return status;
  return Status(StatusCode::Internal, "crashed while " + what.str());
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

Status runPipelineGuarded(PassManager &pm, ModuleOp module,
                          StatusCode onFailure) {
  // Printing now would cost every run the time that only a crash needs; the
  // copy is cheap, since no weight is in the IR.
  OwningOpRef<ModuleOp> before(module.clone());
  Status status = runGuarded("compiling", [&]() -> Status {
    if (failed(pm.run(module)))
      return Status(onFailure, "compilation failed");
    return Status::ok();
  });
  if (status.code() != StatusCode::Internal || onFailure == status.code())
    return status;
  std::string text = describeRun(pm, *before);
  Status written =
      writeWholeFile(kReproducer.str(), std::as_bytes(std::span(text)));
  if (!written.isOk())
    return Status(status.code(),
                  status.message() + "; no reproducer: " + written.message());
  return Status(status.code(), status.message() + "; run 'moe-opt " +
                                   kReproducer.str() +
                                   " --run-reproducer' to repeat it");
}

} // namespace moe::tool
