//===- EmitPlan.h - From a plan.program to a plan file ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The plan dialect and the plan file say the same, operation by table. Weights
// are the exception: the IR has expressions, the file has bytes, and this is
// the only place that evaluates them, one block after the other, so the memory
// for it is that of the largest block.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_EMIT_EMITPLAN_H
#define MOE_PASSES_EMIT_EMITPLAN_H

#include "runtime/support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <functional>
#include <string>

namespace moe::plan {
struct ProgramT;
} // namespace moe::plan

namespace moe::pass {

/// What the plan file holds of the weights.
enum class WeightsMode {
  Embed,     ///< their bytes, in the layouts that the kernels read
  Reference, ///< where they are in the model's files
  Synthetic, ///< seeds: values are made up when the plan is loaded
};

struct EmitOptions {
  std::string outputPath;
  /// The folder of the model: file names in #moe.param are relative to it.
  std::string modelFolder;
  /// File name of the model, without its folder.
  std::string modelName;
  WeightsMode weights = WeightsMode::Embed;
  uint64_t seed = 0;
  /// Called after each written block with the bytes so far and in all.
  std::function<void(uint64_t, uint64_t)> progress;
};

/// Writes the one plan.program in `module`. The same module and options give
/// the same bytes. Errors: IoError; BadModel for weights that cannot be read;
/// Internal if there is no verified plan.
Status emitPlan(mlir::ModuleOp module, const EmitOptions &options);

/// The program without weight bytes: blocks have their sizes only.
StatusOr<plan::ProgramT> exportProgram(mlir::ModuleOp module);

/// The inverse, for moe-opt and tests: a module with one plan.program.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
importProgram(const plan::ProgramT &program, mlir::MLIRContext *context);

} // namespace moe::pass

#endif // MOE_PASSES_EMIT_EMITPLAN_H
