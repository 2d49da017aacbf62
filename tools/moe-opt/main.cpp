//===- main.cpp - moe-opt: compiler and pass driver -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One tool for two users: a model (.onnx) is compiled to a plan; MLIR goes
// through the passes that the command line names, as in mlir-opt.
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Interpret.h"
#include "dialect/moe/MoeDialect.h"
#include "dialect/plan/PlanDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "tools/moe-opt/CommandLine.h"
#include "tools/moe-opt/CompileModel.h"
#include "tools/moe-opt/CrashGuard.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <new>
#include <unistd.h>

using namespace mlir;
using namespace moe;

static void registerPasses() {
  registerCanonicalizerPass();
  registerCSEPass();
  registerInlinerPass();
  registerSymbolDCEPass();
  registerRemoveDeadValuesPass();
  registerPrintIRPass();
  registerStripDebugInfoPass();
  pass::registerMoePasses();
  pass::registerPipelines();
  interp::registerInterpPasses();
  tool::registerCrashPass();
}

/// Runs the named passes on MLIR.
static Status runPassDriver(const tool::Options &options,
                            DialectRegistry &registry,
                            const MlirOptMainConfig &config) {
  std::string message;
  auto input = openInputFile(options.input, &message);
  if (!input)
    return Status(StatusCode::IoError, message);
  auto output =
      openOutputFile(options.output.empty() ? "-" : options.output, &message);
  if (!output)
    return Status(StatusCode::IoError, message);
  if (failed(MlirOptMain(output->os(), std::move(input), registry, config)))
    return Status(StatusCode::Other, "");
  output->keep();
  return Status::ok();
}

/// LLVM and the standard library would abort without a word about the cause.
[[noreturn]] static void reportOutOfMemory() {
  static constexpr char kMessage[] = "moe-opt: error: out of memory\n";
  (void)!write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  _exit(static_cast<int>(StatusCode::OutOfMemory));
}

int main(int argc, char **argv) {
  llvm::InitLLVM initialize(argc, argv);
  llvm::setBugReportMsg(
      "this is an error of moe-opt: please report it with the "
      "reproducer\n");
  std::set_new_handler(reportOutOfMemory);
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { reportOutOfMemory(); });
  registerPasses();
  DialectRegistry registry;
  registry.insert<func::FuncDialect, dialect::MoeDialect,
                  plan_dialect::PlanDialect>();
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  MlirOptMainConfig::registerCLOptions(registry);
  tool::CommandLine commandLine;
  StatusOr<tool::Options> options = commandLine.parse(argc, argv);
  if (!options.isOk()) {
    llvm::errs() << "moe-opt: error: " << options.status().message() << "\n";
    return options.status().exitCode();
  }
  auto config = MlirOptMainConfig::createFromCLOptions();
  Status status = options->isModel()
                      ? tool::compileModel(*options, registry, config)
                      : runPassDriver(*options, registry, config);
  if (!status.isOk() && !status.message().empty())
    llvm::errs() << options->input << ": error: " << status.message() << "\n";
  return status.exitCode();
}
