//===- LayerPlan.h - A plan of one expert layer -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   logits --> gate --> (+ first) --> dispatch --> experts --> combine --> y
//                |          x ---------^              (weights) --^
//                +-------------------------------------------------+
//
// x [tokens, H] and logits [tokens, E] are inputs, so whoever runs it decides
// on the routing. Of several copies of the layer, the input "first" says where
// the experts of the one that is used begin.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LAYERPLAN_H
#define MOE_TOOLS_MOE_RUN_LAYERPLAN_H

#include "moe/Session.h"
#include "runtime/plan/Plan_generated.h"
#include "tools/moe-run/LayerSpec.h"

namespace moe::tools {

/// The program; its weights are made from `seed`.
StatusOr<plan::ProgramT> layerProgram(const LayerSpec &spec, uint64_t seed);

/// The model of it, loaded like any other, with `memoryLimit` bytes for its
/// weights.
StatusOr<std::shared_ptr<Model>> loadLayer(const LayerSpec &spec, uint64_t seed,
                                           uint64_t memoryLimit);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LAYERPLAN_H
