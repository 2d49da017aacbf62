//===- LoadRecorder.cpp - Which experts a rank's tokens chose -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/LoadRecorder.h"
#include "runtime/plan/Mesh.h"

using namespace moe;

/// True if all ranks of the layer's group dispatch the same tokens.
static bool isReplicated(const plan::ProgramT &program, int layer) {
  for (const auto &step : program.steps) {
    if (step->kernel != "all_to_all" || step->layer != layer)
      continue;
    for (const auto &attribute : step->attributes)
      if (attribute->name == "form")
        return attribute->s == "replicated";
  }
  return false;
}

LoadRecorder::LoadRecorder(const plan::ProgramT &program, int rank)
    : layerOf(program.steps.size(), -1), choosesItself(program.steps.size()) {
  Mesh mesh = Mesh::of(program);
  for (const auto &layer : program.layers)
    layers.emplace_back(layer->experts);
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    bool isDispatch =
        (step.kernel == "dispatch" || step.kernel == "routed_experts") &&
        step.inputs.size() > 1;
    // A router that leaves rows to these leaves the recording to them.
    bool isRouter = step.kernel == "router" && step.outputs.size() > 2;
    if ((!isDispatch && !isRouter) || step.layer < 0)
      continue;
    plan::Group group = program.layers[step.layer]->group;
    bool isOwn =
        !isReplicated(program, step.layer) || mesh.placeOf(rank, group) == 0;
    if (isOwn)
      layerOf[i] = step.layer;
    choosesItself[i] = isRouter;
  }
}

void LoadRecorder::record(int step, std::span<const TensorView> inputs,
                          std::span<const TensorView> outputs) {
  const TensorView &choices = choosesItself[step] ? outputs[1] : inputs[1];
  if (choices.rank != 2 || choices.dtype != DType::I32 ||
      !choices.isContiguous())
    return;
  layers[layerOf[step]].record(
      {choices.as<const int32_t>(), static_cast<size_t>(choices.numElements())},
      choices.dims[1]);
}
