//===- VerifySteps.cpp - Steps, their operands and programs ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/ElementwiseOps.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"

#include <set>

using namespace moe;

/// More would not fit the registers of any real fusion.
static constexpr size_t kMaxInstructions = 4096;

Status ProgramVerifier::verifySteps() const {
  // What holds a value: by root buffer.
  std::vector<bool> written(program.buffers.size());
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    plan::BufferKind kind = program.buffers[i]->kind;
    written[i] =
        kind != plan::BufferKind_Arena && kind != plan::BufferKind_Output;
  }
  std::vector<bool> recorded(program.num_events);
  for (size_t i = 0; i < program.steps.size(); ++i)
    MOE_RETURN_IF_ERROR(verifyStep(i, written, recorded));
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    int32_t buffer = program.outputs[i]->buffer;
    if (buffer != -1 && !written[rootOf[buffer]])
      return Place("output", i, &program.outputs[i]->name)
          .error("is written by no step");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyStep(size_t index, std::vector<bool> &written,
                                   std::vector<bool> &recorded) const {
  const plan::StepT &step = *program.steps[index];
  Place place("step", index, &step.kernel);
  if (step.kernel.empty())
    return place.error("has no kernel");
  auto number = static_cast<int64_t>(index);
  for (size_t i = 0; i < step.inputs.size(); ++i)
    if (step.inputs[i] != -1)
      MOE_RETURN_IF_ERROR(
          verifyAccess(place, ("input " + std::to_string(i)).c_str(), number,
                       step.inputs[i], /*isWrite=*/false, written));
  for (size_t i = 0; i < step.outputs.size(); ++i)
    MOE_RETURN_IF_ERROR(
        verifyAccess(place, ("output " + std::to_string(i)).c_str(), number,
                     step.outputs[i], /*isWrite=*/true, written));
  if (step.layer != -1)
    MOE_RETURN_IF_ERROR(
        place.checkIndex("layer", step.layer, program.layers.size()));
  for (uint32_t node : step.nodes)
    MOE_RETURN_IF_ERROR(place.checkIndex("node", node, program.nodes.size()));
  MOE_RETURN_IF_ERROR(verifyAttributes(place, step));
  MOE_RETURN_IF_ERROR(verifyInstructions(place, step));
  return verifyEvents(place, step, recorded);
}

Status ProgramVerifier::verifyAccess(const Place &place, const char *what,
                                     int64_t step, int32_t buffer, bool isWrite,
                                     std::vector<bool> &written) const {
  if (buffer < 0 || static_cast<size_t>(buffer) >= program.buffers.size())
    return place.error(std::string(what) + " is buffer " +
                       std::to_string(buffer) + ", expected less than " +
                       std::to_string(program.buffers.size()));
  int32_t root = rootOf[buffer];
  const plan::BufferT &memory = *program.buffers[root];
  std::string shown =
      std::string(what) + ", buffer " + std::to_string(buffer) + ",";
  if (memory.kind == plan::BufferKind_Arena &&
      (step < memory.first_step || step > memory.last_step))
    return place.error(shown + " is alive in steps " +
                       std::to_string(memory.first_step) + " to " +
                       std::to_string(memory.last_step) + " only");
  if (!isWrite && !written[root])
    return place.error(shown + " is read before a step writes it");
  if (isWrite && (memory.kind == plan::BufferKind_Input ||
                  memory.kind == plan::BufferKind_Param ||
                  memory.kind == plan::BufferKind_Constant))
    return place.error(shown + " is written but is of kind " +
                       plan::EnumNameBufferKind(memory.kind));
  if (isWrite)
    written[root] = true;
  return Status::ok();
}

Status ProgramVerifier::verifyAttributes(const Place &place,
                                         const plan::StepT &step) const {
  std::set<std::string_view> names;
  for (const auto &attribute : step.attributes) {
    if (attribute->name.empty() || !names.insert(attribute->name).second)
      return place.error("attribute '" + attribute->name +
                         "' has no name or comes twice");
    if (attribute->kind > plan::AttributeKind_MAX)
      return place.error("attribute '" + attribute->name +
                         "' has an unknown kind");
    for (uint32_t expr : attribute->exprs)
      MOE_RETURN_IF_ERROR(
          checkExpr(place, attribute->name.c_str(), expr, kAllSymbols));
  }
  return Status::ok();
}

Status ProgramVerifier::verifyInstructions(const Place &place,
                                           const plan::StepT &step) const {
  if (step.kernel != "elementwise") {
    if (!step.program.empty() || !step.results.empty())
      return place.error("has a program, which only elementwise steps have");
    return Status::ok();
  }
  if (step.program.size() > kMaxInstructions ||
      step.inputs.size() > kMaxInstructions)
    return place.error(
        "has a program of " + std::to_string(step.program.size()) +
        " instructions, expected at most " + std::to_string(kMaxInstructions));
  for (size_t i = 0; i < step.inputs.size(); ++i)
    if (step.inputs[i] == -1)
      return place.error("input " + std::to_string(i) + " is absent");
  for (size_t i = 0; i < step.program.size(); ++i) {
    const plan::InstrT &instr = *step.program[i];
    auto error = [&](const std::string &what) {
      return place.error("instruction " + std::to_string(i) + " (" + instr.op +
                         ") " + what);
    };
    std::optional<int> arity = elementwiseArity(instr.op);
    if (!arity)
      return error("is not known");
    if (instr.type >= kNumDTypes)
      return error("has an unknown type");
    const int32_t operands[] = {instr.a, instr.b, instr.c};
    auto limit = static_cast<int64_t>(step.inputs.size() + i);
    for (int k = 0; k < 3; ++k) {
      bool fits = k < *arity ? operands[k] >= 0 && operands[k] < limit
                             : operands[k] == -1;
      if (!fits)
        return error("has register " + std::to_string(operands[k]) +
                     " as operand " + std::to_string(k));
    }
  }
  if (step.results.size() != step.outputs.size())
    return place.error("has " + std::to_string(step.results.size()) +
                       " results, expected " +
                       std::to_string(step.outputs.size()));
  for (int32_t result : step.results)
    MOE_RETURN_IF_ERROR(place.checkIndex(
        "result register", result, step.inputs.size() + step.program.size()));
  return Status::ok();
}

/// A wait for an event that no earlier step records would never end.
Status ProgramVerifier::verifyEvents(const Place &place,
                                     const plan::StepT &step,
                                     std::vector<bool> &recorded) const {
  MOE_RETURN_IF_ERROR(
      place.checkIndex("stream", step.stream, program.num_streams));
  for (uint32_t event : step.waits) {
    MOE_RETURN_IF_ERROR(place.checkIndex("event", event, recorded.size()));
    if (!recorded[event])
      return place.error("waits for event " + std::to_string(event) +
                         ", which no earlier step records");
  }
  if (step.records == -1)
    return Status::ok();
  MOE_RETURN_IF_ERROR(place.checkIndex("event", step.records, recorded.size()));
  if (recorded[step.records])
    return place.error("records event " + std::to_string(step.records) +
                       " for the second time");
  recorded[step.records] = true;
  return Status::ok();
}
