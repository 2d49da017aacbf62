//===- CompileModel.cpp - From a model file to a plan file ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/CompileModel.h"

#include "frontend/onnx/OnnxImporter.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Pipelines.h"
#include "passes/emit/EmitPlan.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/File.h"
#include "tools/moe-opt/CrashGuard.h"
#include "tools/moe-opt/Diagnostics.h"
#include "tools/moe-opt/PlanReport.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <unistd.h>

using namespace mlir;

namespace moe::tool {

namespace {
/// One compilation.
class Compilation {
public:
  Compilation(const Options &options, const DialectRegistry &registry,
              const MlirOptMainConfig &config)
      : options(options), config(config), guard(options.input),
        // One function gives threads nothing to do, and a crash on another
        // thread could not be caught.
        context(registry, MLIRContext::Threading::DISABLED),
        diagnostics(context, options.input) {
    context.loadAllAvailableDialects();
  }

  Status run();

private:
  /// Runs a stage and, if the user wants to know, says how long it took.
  Status stage(StringRef name, function_ref<Status()> work);
  Status import();
  Status runPasses(StringRef name, function_ref<void(OpPassManager &)> build,
                   StatusCode onFailure);
  Status lowerWeights();
  std::string modelFolder() const {
    StringRef folder = llvm::sys::path::parent_path(options.input);
    return folder.empty() ? "." : folder.str();
  }
  Status writePlan();
  Status writeReport();
  Status writeText();

  const Options &options;
  const MlirOptMainConfig &config;
  CrashGuard guard;
  MLIRContext context;
  DiagnosticPrinter diagnostics;
  OwningOpRef<ModuleOp> module;
  solver::MeshSolution weighed;
  std::vector<pass::ProductRow> products;
};
} // namespace

Status Compilation::stage(StringRef name, function_ref<Status()> work) {
  auto start = std::chrono::steady_clock::now();
  Status status = work();
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  if (options.verbose && status.isOk())
    llvm::errs() << options.input << ": " << name << " took "
                 << llvm::format("%.2f", seconds.count()) << " s\n";
  return status;
}

Status Compilation::import() {
  return guard.run("import", [&]() -> Status {
    StatusCode code = StatusCode::BadModel;
    onnx_import::ImportOptions importOptions;
    importOptions.allowLinkedData = options.allowLinkedData;
    FailureOr<OwningOpRef<ModuleOp>> imported =
        onnx_import::importOnnx(options.input, context, importOptions, code);
    if (failed(imported))
      return Status(code, "import failed");
    module = std::move(*imported);
    return Status::ok();
  });
}

Status Compilation::runPasses(StringRef name,
                              function_ref<void(OpPassManager &)> build,
                              StatusCode onFailure) {
  PassManager pm(&context, ModuleOp::getOperationName());
  pm.enableVerifier(config.shouldVerifyPasses());
  if (failed(applyPassManagerCLOptions(pm)))
    return Status(StatusCode::Usage, "pass options contradict each other");
  applyDefaultTimingPassManagerCLOptions(pm);
  build(pm);
  return stage(name,
               [&] { return guard.runPipeline(name, pm, *module, onFailure); });
}

Status Compilation::lowerWeights() {
  pass::WeightsOptions weights;
  weights.dtype = options.dtype;
  weights.block = options.quantBlock;
  weights.hasZeroPoints = options.quantZeroPoints;
  weights.keep = options.keepF32;
  weights.activations = options.activations;
  // Made-up weights have no files.
  if (options.weights != Weights::Synthetic)
    weights.folder = modelFolder();
  MOE_RETURN_IF_ERROR(runPasses(
      "the lowering of weights",
      [&](OpPassManager &pm) { pass::buildWeightsPipeline(pm, weights); },
      StatusCode::Usage));
  if (options.report != Report::Text && options.report != Report::Json)
    return Status::ok();
  return stage("the measurement of weights", [&]() -> Status {
    pass::WeightReportOptions report;
    report.modelFolder = modelFolder();
    report.measures = options.weights != Weights::Synthetic;
    MOE_ASSIGN_OR_RETURN(products, pass::reportWeights(*module, report));
    return Status::ok();
  });
}

Status Compilation::writePlan() {
  pass::EmitOptions emit;
  emit.outputPath = options.output;
  emit.modelFolder = modelFolder();
  emit.modelName = llvm::sys::path::filename(options.input).str();
  emit.seed = options.seed;
  switch (options.weights) {
  case Weights::Embed:
    emit.weights = pass::WeightsMode::Embed;
    break;
  case Weights::Reference:
    emit.weights = pass::WeightsMode::Reference;
    break;
  case Weights::Synthetic:
    emit.weights = pass::WeightsMode::Synthetic;
    break;
  }
  bool showsProgress = isatty(STDERR_FILENO);
  if (showsProgress)
    emit.progress = [](uint64_t done, uint64_t total) {
      llvm::errs() << "\rweights: " << done / 1000000 << " of "
                   << total / 1000000 << " MB";
    };
  Status status = guard.run("the writing of the plan",
                            [&] { return pass::emitPlan(*module, emit); });
  if (showsProgress)
    llvm::errs() << "\r\033[K";
  return status;
}

Status Compilation::writeReport() {
  MOE_ASSIGN_OR_RETURN(plan::ProgramT program, pass::exportProgram(*module));
  program.model = llvm::sys::path::filename(options.input).str();
  MOE_ASSIGN_OR_RETURN(PlanReport report,
                       makeReport(program, weighed, products, options));
  llvm::outs() << (options.report == Report::Json   ? reportJson(report)
                   : options.report == Report::Text ? reportText(report)
                                                    : simulationText(report));
  return Status::ok();
}

Status Compilation::writeText() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags());
  if (options.output.empty() || options.output == "-") {
    llvm::outs() << text;
    return Status::ok();
  }
  return writeWholeFile(options.output, std::as_bytes(std::span(text)));
}

Status Compilation::run() {
  if (failed(diagnostics.enableRemarks(config, options.remarks)))
    return Status(StatusCode::Usage, "a filter of remarks does not parse");
  MOE_RETURN_IF_ERROR(stage("import", [&] { return import(); }));
  if (options.emit == Emit::Import)
    return writeText();
  MOE_RETURN_IF_ERROR(runPasses(
      "recognition",
      [&](OpPassManager &pm) {
        pass::buildRecognizePipeline(pm);
        if (options.crashes)
          pm.addPass(createCrashPass());
      },
      StatusCode::Unsupported));
  MOE_RETURN_IF_ERROR(lowerWeights());
  if (options.emit == Emit::Moe)
    return writeText();
  pass::DistributeOptions distribute;
  distribute.ranks = options.ranks;
  distribute.reduceExact = options.reduce == Reduce::Exact;
  distribute.mesh = options.mesh;
  distribute.layerForm = options.layerForm;
  distribute.nodeSize = options.nodeSize;
  distribute.cluster = options.cluster;
  distribute.memory = options.memory;
  distribute.weighed = &weighed;
  distribute.capacityPerRank = options.capacityPerRank;
  distribute.dropSeed = options.dropSeed;
  distribute.profile = options.profile;
  distribute.spareExperts = options.spareExperts;
  MOE_RETURN_IF_ERROR(runPasses(
      "the choice of parallelism",
      [&](OpPassManager &pm) {
        pass::buildParallelismPipeline(pm, distribute);
      },
      StatusCode::Usage));
  MOE_RETURN_IF_ERROR(runPasses(
      "distribution",
      [&](OpPassManager &pm) { pass::buildDistributePipeline(pm, distribute); },
      StatusCode::Internal));
  if (options.emit == Emit::Distributed)
    return writeText();
  MOE_RETURN_IF_ERROR(runPasses(
      "lowering",
      [&](OpPassManager &pm) {
        pass::LowerOptions lower;
        lower.overlap = options.overlap == Overlap::Auto ? "auto"
                        : options.overlap == Overlap::On ? "on"
                                                         : "off";
        pass::buildLowerPipeline(pm, lower);
      },
      StatusCode::Internal));
  if (options.emit == Emit::Plan)
    return writeText();
  if (options.report != Report::None)
    MOE_RETURN_IF_ERROR(stage("report", [&] { return writeReport(); }));
  if (options.output.empty())
    return Status::ok();
  return stage("writing", [&] { return writePlan(); });
}

Status compileModel(const Options &options, const DialectRegistry &registry,
                    const MlirOptMainConfig &config) {
  return Compilation(options, registry, config).run();
}

} // namespace moe::tool
