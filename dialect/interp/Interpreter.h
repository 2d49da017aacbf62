//===- Interpreter.h - Evaluates moe functions ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the operations mean, slowly and obviously: the oracle of the passes.
//
// A function runs on the ranks of its module's `moe.mesh` in lock-step: every
// operation is evaluated on all ranks before the next one, so a collective sees
// the values of all of its group. Floats are computed in f64 (the gate in f32,
// as it is defined), f16 and bf16 values are rounded after each operation.
//
// Arguments and results are those of the whole function. A rank takes its part
// of an argument along each dimension that names a local symbol (Grid.h); parts
// of a result are put together again, and where ranks have the same elements
// they must agree.
//
// A data symbol gets its value where it is defined, and must keep within its
// bound in `moe.data_symbols`.
//
// An operation whose `moe.guard` is zero is skipped. Results without elements
// are there all the same; other results have no value, and to read one is an
// error unless the reader is skipped too.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_INTERPRETER_H
#define MOE_DIALECT_INTERP_INTERPRETER_H

#include "dialect/moe/HostTensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/support/DimExpr.h"

namespace moe::interp {

/// What stands for the bytes of a weight file.
struct WeightSource {
  /// The folder of the files; without it, element i of a file is made up from
  /// the file's name and the byte offset of the element, so that every way to
  /// cut a weight gives the same values.
  std::optional<std::string> folder;
  uint64_t seed = 0;
};

struct InterpretOptions {
  /// 0: as many as the mesh of the module has. The mesh counts only for its
  /// number of ranks; others own rows all (tp = 1).
  int64_t ranks = 1;
  /// Values of the input symbols.
  SymbolValues symbols;
  WeightSource weights;
};

/// One result: the whole value, or each rank's if its size is a data symbol or
/// ranks disagree.
struct InterpretResult {
  std::optional<dialect::HostTensor> whole;
  llvm::SmallVector<dialect::HostTensor> ofRank;
};

/// The shape of an argument or result over all ranks: local symbols replaced
/// by what they are parts of. Fails with a diagnostic at the function if a
/// symbol has no value.
mlir::FailureOr<dialect::Shape> wholeShape(mlir::func::FuncOp function,
                                           mlir::RankedTensorType type,
                                           const SymbolValues &symbols);

/// Runs `function` on whole arguments. Errors are diagnostics at operations.
mlir::FailureOr<llvm::SmallVector<InterpretResult>>
interpret(mlir::func::FuncOp function,
          llvm::ArrayRef<dialect::HostTensor> arguments,
          const InterpretOptions &options);

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_INTERPRETER_H
