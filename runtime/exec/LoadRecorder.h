//===- LoadRecorder.h - Which experts a rank's tokens chose -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_LOADRECORDER_H
#define MOE_RUNTIME_EXEC_LOADRECORDER_H

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/ExpertLoads.h"
#include "runtime/support/TensorView.h"

#include <vector>

namespace moe {

/// What one rank dispatched, by MoE layer. A rank writes its own only.
class LoadRecorder {
public:
  /// `rank` of the mesh; it records what no other rank records too.
  LoadRecorder(const plan::ProgramT &program, int rank);

  /// True if `step` is a dispatch, or does its work among others, and its
  /// choices are to be recorded here.
  bool isWanted(int step) const { return layerOf[step] >= 0; }
  /// Counts the choices [T, k] i32 among the operands of a wanted step.
  void record(int step, std::span<const TensorView> inputs,
              std::span<const TensorView> outputs);

  const std::vector<ExpertLoads> &loads() const { return layers; }

private:
  /// By step: the layer, or -1.
  std::vector<int> layerOf;
  /// By step: whether the choices are a result.
  std::vector<bool> choosesItself;
  std::vector<ExpertLoads> layers;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_LOADRECORDER_H
