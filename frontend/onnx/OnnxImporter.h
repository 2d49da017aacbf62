//===- OnnxImporter.h - From ONNX files to the moe dialect -------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One ONNX model becomes a module with one function:
//
//   module attributes {moe.model = "model.onnx"} {
//     func.func @main(%x: tensor<?x16xf32, #moe.dims<batch, 16>>
//                         {moe.name = "x"})
//         -> (tensor<?x16xf32, #moe.dims<batch, 16>> {moe.name = "y"})
//         attributes {moe.data_symbols = {d0 = "batch"}} { ... }
//   }
//
// Weights stay in the files: a moe.param names a file relative to the model's
// folder. Every operation has the name of its ONNX node as location.
//
// The phases, each in its own file:
//
//   WireScan       the file without its weights, which become file ranges
//   ModelFile      the message parsed, and the folder that data may lie in
//   GraphOrder     names, cycles and order of the nodes of one graph
//   GraphImporter  walks the nodes, inlines functions and decided branches,
//                  and starts again when a node demands that sizes are equal
//   OpTable        one row for each operator: which builder makes it
//   Build*         the builders
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_ONNXIMPORTER_H
#define MOE_FRONTEND_ONNX_ONNXIMPORTER_H

#include "runtime/support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace moe::onnx_import {

struct ImportOptions {
  /// External data may be links that lead out of the model's folder, as in the
  /// cache of the Hugging Face hub.
  bool allowLinkedData = false;
};

/// Imports the model at `path`. A path that ends in .textproto or .onnxtxt is
/// protobuf text, at most 16 MiB. Errors are emitted as diagnostics; `code` is
/// then their class: IoError, BadModel, or Unsupported, where all unsupported
/// nodes are reported.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnx(llvm::StringRef path, mlir::MLIRContext &context,
           const ImportOptions &options, StatusCode &code);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_ONNXIMPORTER_H
