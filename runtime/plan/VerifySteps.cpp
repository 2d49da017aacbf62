//===- VerifySteps.cpp - Steps, their operands and programs ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/ElementwiseOps.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"
#include "runtime/plan/StepAttributes.h"
#include "runtime/plan/StepKinds.h"

#include <set>

using namespace moe;

/// More would not fit the registers of any real fusion.
static constexpr size_t kMaxInstructions = 4096;

Status ProgramVerifier::verifySteps() const {
  StepProgress progress;
  progress.written.resize(program.buffers.size());
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    plan::BufferKind kind = program.buffers[i]->kind;
    progress.written[i] =
        kind != plan::BufferKind_Arena && kind != plan::BufferKind_Output;
  }
  progress.recordedBy.assign(program.num_events, -1);
  size_t numMemories = program.buffers.size() + program.states.size();
  progress.lastRead.resize(numMemories);
  progress.lastWrite.resize(numMemories);
  for (size_t i = 0; i < program.steps.size(); ++i)
    MOE_RETURN_IF_ERROR(verifyStep(i, progress));
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    int32_t buffer = program.outputs[i]->buffer;
    if (buffer != -1 && !progress.written[rootOf[buffer]])
      return Place("output", i, &program.outputs[i]->name)
          .error("is written by no step");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyStep(size_t index, StepProgress &progress) const {
  const plan::StepT &step = *program.steps[index];
  Place place("step", index, &step.kernel);
  if (step.kernel.empty())
    return place.error("has no kernel");
  MOE_RETURN_IF_ERROR(verifyWaits(place, step, progress));
  auto number = static_cast<int64_t>(index);
  for (size_t i = 0; i < step.inputs.size(); ++i)
    if (step.inputs[i] != -1)
      MOE_RETURN_IF_ERROR(
          verifyOperand(place, ("input " + std::to_string(i)).c_str(), number,
                        step.inputs[i], /*isWrite=*/false, progress));
  for (size_t i = 0; i < step.outputs.size(); ++i)
    MOE_RETURN_IF_ERROR(
        verifyOperand(place, ("output " + std::to_string(i)).c_str(), number,
                      step.outputs[i], /*isWrite=*/true, progress));
  if (step.layer != -1)
    MOE_RETURN_IF_ERROR(
        place.checkIndex("layer", step.layer, program.layers.size()));
  for (uint32_t node : step.nodes)
    MOE_RETURN_IF_ERROR(place.checkIndex("node", node, program.nodes.size()));
  MOE_RETURN_IF_ERROR(verifyGroup(place, step));
  if (step.guard != -1)
    MOE_RETURN_IF_ERROR(checkExpr(place, "guard", step.guard, kInputSymbols));
  MOE_RETURN_IF_ERROR(verifyAttributes(place, step));
  MOE_RETURN_IF_ERROR(verifyInstructions(place, step));
  MOE_RETURN_IF_ERROR(verifyExpertWeights(place, step));
  MOE_RETURN_IF_ERROR(verifyResidual(place, step));
  MOE_RETURN_IF_ERROR(verifyGatherCodes(place, step));
  return verifyRecord(place, step, progress);
}

/// The ranks that take part: of an exchange those that its layer's placement
/// counts, in equal nodes if it works in two stages.
Status ProgramVerifier::verifyGroup(const Place &place,
                                    const plan::StepT &step) const {
  MOE_RETURN_IF_ERROR(checkGroup(place, step.group));
  if (step.layer != -1 && readsPlacement(step)) {
    plan::Group group = program.layers[step.layer]->group;
    if (step.group != group)
      return place.error(std::string("has group ") +
                         plan::EnumNameGroup(step.group) +
                         ", its layer has group " + plan::EnumNameGroup(group));
  }
  int64_t nodeSize = nodeSizeOf(step);
  int numRanks = mesh.sizeOf(step.group);
  if (nodeSize < 0 || (nodeSize > 0 && numRanks % nodeSize != 0))
    return place.error("node_size is " + std::to_string(nodeSize) +
                       ", which does not divide the " +
                       std::to_string(numRanks) + " ranks of its group");
  return Status::ok();
}

Status ProgramVerifier::verifyOperand(const Place &place, const char *what,
                                      int64_t step, int32_t buffer,
                                      bool isWrite,
                                      StepProgress &progress) const {
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
  if (!isWrite && !progress.written[root])
    return place.error(shown + " is read before a step writes it");
  if (isWrite && (memory.kind == plan::BufferKind_Input ||
                  memory.kind == plan::BufferKind_Param ||
                  memory.kind == plan::BufferKind_Constant))
    return place.error(shown + " is written but is of kind " +
                       plan::EnumNameBufferKind(memory.kind));
  if (isWrite)
    progress.written[root] = true;
  return verifyStreams(place, shown, *program.steps[step], buffer, isWrite,
                       progress);
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

/// A rank has blocks of those experts only that are placed on it, so no other
/// kernel could know what memory there is.
Status ProgramVerifier::verifyExpertWeights(const Place &place,
                                            const plan::StepT &step) const {
  size_t first = firstExpertWeight(step.kernel);
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i] == -1)
      continue;
    const plan::BufferT &root = *program.buffers[rootOf[step.inputs[i]]];
    const plan::ParamT *param = root.kind == plan::BufferKind_Param
                                    ? program.params[root.index].get()
                                    : nullptr;
    bool isExpert = param && param->experts > 0;
    bool isWeight =
        first > 0 && i >= first && i < first + std::size(kExpertWeights);
    std::string operand = "input " + std::to_string(i);
    if (isWeight)
      operand += std::string(" (") + kExpertWeights[i - first] + ")";
    operand += ", buffer " + std::to_string(step.inputs[i]) + ",";
    if (isExpert && (!isWeight || param->layer != step.layer))
      return place.error(operand + " is param " + param->name +
                         " of the experts of layer " +
                         std::to_string(param->layer) +
                         ", which only steps of theirs read as weights");
    if (isWeight && !isExpert)
      return place.error(operand + " is no param of experts");
  }
  return Status::ok();
}

/// The step reads the residual after it has written sums of rows.
Status ProgramVerifier::verifyResidual(const Place &place,
                                       const plan::StepT &step) const {
  size_t index = residualOperand(step.kernel);
  if (index == 0 || index >= step.inputs.size() || step.inputs[index] == -1 ||
      step.outputs.empty())
    return Status::ok();
  int32_t operand = step.inputs[index], result = step.outputs[0];
  const plan::BufferT &residual = *program.buffers[operand];
  const plan::BufferT &sums = *program.buffers[result];
  std::string shown = "input " + std::to_string(index) +
                      " (residual), buffer " + std::to_string(operand) + ",";
  auto isSameSize = [&](uint32_t a, uint32_t b) {
    return exprs[a] == exprs[b];
  };
  if (residual.dtype != sums.dtype ||
      !std::equal(residual.dims.begin(), residual.dims.end(), sums.dims.begin(),
                  sums.dims.end(), isSameSize))
    return place.error(
        shown + " has another type or other sizes than the result, buffer " +
        std::to_string(result));
  if (memoryOf(operand) == memoryOf(result))
    return place.error(shown + " shares memory with the result, buffer " +
                       std::to_string(result));
  return Status::ok();
}

/// What of codes, scales and zero points does not depend on a run. Sizes that
/// do are checked by the kernel.
Status ProgramVerifier::verifyGatherCodes(const Place &place,
                                          const plan::StepT &step) const {
  if (step.kernel != "gather_codes")
    return Status::ok();
  auto inputOf = [&](size_t i) {
    bool isThere = i < step.inputs.size() && step.inputs[i] != -1;
    return isThere ? program.buffers[step.inputs[i]].get() : nullptr;
  };
  const plan::BufferT *codes = inputOf(0), *scales = inputOf(2),
                      *zeros = inputOf(3);
  if (!codes || !inputOf(1) || !scales || step.outputs.size() != 1 ||
      step.outputs[0] == -1)
    return place.error("needs codes, indices, scales and a result");
  StepAttributes attributes(step);
  MOE_ASSIGN_OR_RETURN(int64_t size, attributes.getInt("size"));
  MOE_ASSIGN_OR_RETURN(int64_t bits, attributes.getInt("bits"));
  MOE_ASSIGN_OR_RETURN(int64_t block, attributes.getInt("block"));
  if ((bits != 2 && bits != 4 && bits != 8) || block < 0 || size < 1 ||
      size > INT64_MAX / 8)
    return place.error("has " + std::to_string(size) + " integers of " +
                       std::to_string(bits) + " bits in blocks of " +
                       std::to_string(block));
  auto isOf = [](const plan::BufferT &buffer, DType dtype) {
    return buffer.dtype == static_cast<uint8_t>(dtype);
  };
  if (!isOf(*codes, DType::U8) || (zeros && !isOf(*zeros, DType::U8)) ||
      !isFloat(DType(scales->dtype)) || isOf(*scales, DType::F64) ||
      program.buffers[step.outputs[0]]->dtype != scales->dtype)
    return place.error("has codes, scales, zero points or a result of another "
                       "type");
  int64_t numBlocks = block == 0 ? 1 : size / block + (size % block != 0);
  // The last dimension: a byte for each integer, or packed.
  auto hasRowsOf = [&](const plan::BufferT &buffer, int64_t count,
                       bool canBePacked) {
    if (buffer.dims.size() != codes->dims.size() || buffer.dims.empty())
      return false;
    std::optional<int64_t> found = exprs[buffer.dims.back()].constantValue();
    int64_t numBits = count * bits;
    return found == count ||
           (canBePacked && found == numBits / 8 + (numBits % 8 != 0));
  };
  if (!hasRowsOf(*codes, size, true) || !hasRowsOf(*scales, numBlocks, false) ||
      (zeros && !hasRowsOf(*zeros, numBlocks, true)))
    return place.error("has codes, scales or zero points that do not fit " +
                       std::to_string(size) + " integers in a row");
  return Status::ok();
}
