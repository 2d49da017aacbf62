//===- ParamTable.h - Expressions of weights as table rows ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_EMIT_PARAMTABLE_H
#define MOE_PASSES_EMIT_PARAMTABLE_H

#include "dialect/moe/MoeAttrs.h"
#include "runtime/support/Status.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <string>

namespace moe::plan {
struct ProgramT;
} // namespace moe::plan

namespace moe::pass {

/// Translates #moe.param to rows of param_exprs, files and constants of a
/// program, each once.
class ParamTable {
public:
  /// `folder`: where the files of the model are. `pathPrefix` is put before
  /// their names in the table.
  ParamTable(plan::ProgramT &program, std::string folder,
             std::string pathPrefix)
      : program(program), folder(std::move(folder)),
        pathPrefix(std::move(pathPrefix)) {}

  /// The index in param_exprs. Errors: IoError if a file is not there,
  /// Internal for a kind that plans do not have.
  StatusOr<uint32_t> add(dialect::ParamAttr param);

private:
  StatusOr<uint32_t> addFile(llvm::StringRef name);
  uint32_t addConstant(mlir::DenseElementsAttr elements);

  plan::ProgramT &program;
  std::string folder, pathPrefix;
  llvm::DenseMap<mlir::Attribute, uint32_t> known;
  llvm::StringMap<uint32_t> files;
};

/// The inverse: row `index` of `program`, whose param_exprs are verified.
dialect::ParamAttr importParamExpr(const plan::ProgramT &program,
                                   uint32_t index, mlir::MLIRContext *context);

} // namespace moe::pass

#endif // MOE_PASSES_EMIT_PARAMTABLE_H
