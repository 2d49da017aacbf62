//===- ShapeSolver.h - Values of symbols from shapes ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_SHAPESOLVER_H
#define MOE_RUNTIME_EXEC_SHAPESOLVER_H

#include "runtime/exec/Executable.h"

namespace moe {

/// The shape that an input port has in a run.
struct PortShape {
  static constexpr int64_t kUnknown = -1;

  bool isPresent = false;
  int rank = 0;
  /// kUnknown where a kept cache is empty and could have any size.
  int64_t dims[kMaxRank] = {};
  /// A kept cache, not an input of the caller.
  bool isKept = false;
};

/// Sets the values of input symbols (the others are left alone) and checks
/// that all shapes and the plan's constraints agree with them. Errors (IoError)
/// name the input, the dimension, what it is and what it should be:
///
///   input "x" has dimension 1 = 7, expected past + seq = 9
Status solveShapes(const Executable &executable,
                   std::span<const PortShape> inputs,
                   std::span<int64_t> values);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_SHAPESOLVER_H
