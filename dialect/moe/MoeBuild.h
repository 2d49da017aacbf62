//===- MoeBuild.h - Operations whose constraints may fail -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `OpTy::create` ends the process if a result type cannot be inferred. Whoever
// builds operations from a file calls this instead: a constraint that does not
// hold becomes a diagnostic at `loc` and a failure.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEBUILD_H
#define MOE_DIALECT_MOE_MOEBUILD_H

#include "dialect/moe/MoeOps.h"

namespace moe::dialect {

/// As OpTy::create(builder, loc, args...) for an operation whose result types
/// are inferred.
template <typename OpTy, typename... Args>
mlir::FailureOr<OpTy> createChecked(mlir::OpBuilder &builder,
                                    mlir::Location loc, Args &&...args) {
  mlir::OperationState state(loc, OpTy::getOperationName());
  // The builder that takes result types infers nothing; these are replaced.
  mlir::Type none = builder.getNoneType();
  if constexpr (OpTy::template hasTrait<mlir::OpTrait::OneResult>())
    OpTy::build(builder, state, none, std::forward<Args>(args)...);
  else
    OpTy::build(builder, state, none, none, std::forward<Args>(args)...);
  state.types.clear();
  auto regions = llvm::to_vector(llvm::map_range(
      state.regions, [](auto &region) { return region.get(); }));
  if (failed(OpTy::inferReturnTypes(
          builder.getContext(), loc, state.operands,
          state.attributes.getDictionary(builder.getContext()),
          state.getRawProperties(), regions, state.types)))
    return mlir::failure();
  auto op = llvm::cast<OpTy>(builder.create(state));
  if (failed(verifySizedTensors(op))) {
    op->erase();
    return mlir::failure();
  }
  return op;
}

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_MOEBUILD_H
