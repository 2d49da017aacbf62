//===- Diagnostics.h - Messages about a model --------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A user of a model knows its nodes, not MLIR: messages are
//
//   model.onnx: error: node "/layers.3/mlp/TopK": selects 9 experts
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_DIAGNOSTICS_H
#define MOE_TOOLS_MOE_OPT_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"

#include <string>

namespace mlir {
class MLIRContext;
class MlirOptMainConfig;
} // namespace mlir

namespace moe::tool {

/// Prints the diagnostics and remarks of a context to standard error while it
/// lives.
class DiagnosticPrinter {
public:
  DiagnosticPrinter(mlir::MLIRContext &context, std::string modelName);
  ~DiagnosticPrinter();

  /// Shows remarks: those that --remarks-filter and the like select, or, if
  /// there are no filters and `showsAll`, all.
  llvm::LogicalResult enableRemarks(const mlir::MlirOptMainConfig &config,
                                    bool showsAll);
  /// "model.onnx: severity: node "...": text".
  void print(llvm::StringRef severity, mlir::Location location,
             llvm::StringRef text) const;

private:
  mlir::MLIRContext &context;
  std::string modelName;
  bool showsRemarks = false;
  mlir::DiagnosticEngine::HandlerID handler;
};

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_DIAGNOSTICS_H
