//===- StepParts.h - What a step takes from its operation -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_STEPPARTS_H
#define MOE_PASSES_LOWER_STEPPARTS_H

#include "dialect/moe/MoeOps.h"

#include <set>
#include <string>

namespace moe::pass {

/// The first of the weights of moe.experts, by slot.
inline constexpr unsigned kFirstExpertWeight = 2;

/// Operands as the .td lists them, null where an optional one is absent.
llvm::SmallVector<mlir::Value> operandSlots(mlir::Operation *op);

/// The attributes of `op` as settings of a step: booleans as 0 and 1, enums as
/// their keyword. Placements, groups and names of states are left out: layer,
/// step and buffer say them; so are those that passes have put on it, such as
/// `moe.stream`. An attribute of a kind that plans do not have is an error.
llvm::FailureOr<mlir::DictionaryAttr> stepSettings(mlir::Operation *op);

/// The ranks that take part in `op`, or of which one has the part that it
/// reads.
dialect::CommGroup stepGroup(mlir::Operation *op);

/// False for operations that run under different conditions or on different
/// streams: they cannot become one step.
bool runTogether(mlir::Operation *a, mlir::Operation *b);

/// The expression in `moe.guard`, which the dialect has verified, or null.
mlir::StringAttr stepGuard(mlir::Operation *op);

/// The program of an elementwise operation.
struct ElementwiseProgram {
  mlir::ArrayAttr instructions;
  mlir::DenseI64ArrayAttr registers;
};
ElementwiseProgram elementwiseProgram(dialect::ElementwiseOp op);

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_STEPPARTS_H
