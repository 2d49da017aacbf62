//===- CompileModel.h - From a model file to a plan file ---------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_COMPILEMODEL_H
#define MOE_TOOLS_MOE_OPT_COMPILEMODEL_H

#include "runtime/support/Status.h"
#include "tools/moe-opt/CommandLine.h"

namespace mlir {
class DialectRegistry;
class MlirOptMainConfig;
} // namespace mlir

namespace moe::tool {

/// Imports, recognises, distributes, lowers and writes, as far as
/// options.emit says. What a pass or the importer finds is printed when it is
/// found; the status says how it ends. Nothing is written unless all is well.
Status compileModel(const Options &options,
                    const mlir::DialectRegistry &registry,
                    const mlir::MlirOptMainConfig &config);

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_COMPILEMODEL_H
