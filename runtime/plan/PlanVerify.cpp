//===- PlanVerify.cpp - What a program must be to be trusted --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"

#include <algorithm>

using namespace moe;

std::string Place::text() const {
  std::string result = std::string(table) + " " + std::to_string(index);
  if (name && !name->empty())
    result += " (" + *name + ")";
  return result;
}

Status Place::error(const std::string &what) const {
  return Status(StatusCode::BadPlan, text() + ": " + what);
}

Status Place::checkIndex(const char *what, int64_t value, size_t limit) const {
  if (value >= 0 && static_cast<uint64_t>(value) < limit)
    return Status::ok();
  return error(std::string(what) + " is " + std::to_string(value) +
               ", expected less than " + std::to_string(limit));
}

/// A program that was read has no null entries; one that was built may.
Status ProgramVerifier::verifyNoNulls() const {
  auto isNull = [](const auto &entry) { return entry == nullptr; };
  auto hasNull = [&](const auto &table) {
    return std::any_of(table.begin(), table.end(), isNull);
  };
  bool found =
      hasNull(program.symbols) || hasNull(program.constraints) ||
      hasNull(program.inputs) || hasNull(program.outputs) ||
      hasNull(program.buffers) || hasNull(program.constants) ||
      hasNull(program.steps) || hasNull(program.params) ||
      hasNull(program.param_exprs) || hasNull(program.files) ||
      hasNull(program.states) || hasNull(program.layers) ||
      std::any_of(program.steps.begin(), program.steps.end(),
                  [&](const auto &step) {
                    return hasNull(step->attributes) || hasNull(step->program);
                  }) ||
      std::any_of(program.params.begin(), program.params.end(),
                  [&](const auto &param) { return hasNull(param->blocks); }) ||
      std::any_of(program.layers.begin(), program.layers.end(),
                  [&](const auto &layer) { return hasNull(layer->places); });
  if (found)
    return Status(StatusCode::BadPlan, "program has a null entry in a table");
  return Status::ok();
}

Status ProgramVerifier::verifyHeader() const {
  auto error = [](const std::string &what) {
    return Status(StatusCode::BadPlan, "program: " + what);
  };
  if (program.num_ranks < 1 || program.num_ranks > kMaxRanks)
    return error("num_ranks is " + std::to_string(program.num_ranks) +
                 ", expected 1 to " + std::to_string(kMaxRanks));
  uint64_t numBlocks = uint64_t(program.dp) * program.tp;
  if (numBlocks == 0 || program.num_ranks % numBlocks != 0)
    return error("dp * tp is " + std::to_string(program.dp) + " * " +
                 std::to_string(program.tp) + ", which does not divide the " +
                 std::to_string(program.num_ranks) + " ranks");
  if (program.num_streams < 1 || program.num_streams > kMaxStreams)
    return error("num_streams is " + std::to_string(program.num_streams) +
                 ", expected 1 to " + std::to_string(kMaxStreams));
  // An event that no step records has no use.
  if (program.num_events > program.steps.size())
    return error("num_events is " + std::to_string(program.num_events) +
                 ", expected at most the number of steps " +
                 std::to_string(program.steps.size()));
  uint32_t chunk = program.chunk_bytes;
  if (chunk < 4096 || chunk > kMaxChunkBytes || chunk % 64 != 0)
    return error("chunk_bytes is " + std::to_string(chunk) +
                 ", expected a multiple of 64 from 4096 to " +
                 std::to_string(kMaxChunkBytes));
  return Status::ok();
}

Status moe::verifyProgram(const plan::ProgramT &program, uint64_t weightsSize) {
  ProgramVerifier verifier(program, weightsSize);
  MOE_RETURN_IF_ERROR(verifier.verifyNoNulls());
  MOE_RETURN_IF_ERROR(verifier.verifyHeader());
  MOE_RETURN_IF_ERROR(verifier.verifyExprs());
  MOE_RETURN_IF_ERROR(verifier.verifySymbols());
  MOE_RETURN_IF_ERROR(verifier.verifyLayers());
  MOE_RETURN_IF_ERROR(verifier.verifyPorts());
  MOE_RETURN_IF_ERROR(verifier.verifyStates());
  MOE_RETURN_IF_ERROR(verifier.verifyConstants());
  MOE_RETURN_IF_ERROR(verifier.verifyFiles());
  MOE_RETURN_IF_ERROR(verifier.verifyParamExprs());
  MOE_RETURN_IF_ERROR(verifier.verifyParams());
  MOE_RETURN_IF_ERROR(verifier.verifyBlocks());
  MOE_RETURN_IF_ERROR(verifier.verifyBuffers());
  return verifier.verifySteps();
}

Status moe::verifyParamExprs(const plan::ProgramT &program) {
  ProgramVerifier verifier(program, 0);
  MOE_RETURN_IF_ERROR(verifier.verifyNoNulls());
  MOE_RETURN_IF_ERROR(verifier.verifyConstants());
  MOE_RETURN_IF_ERROR(verifier.verifyFiles());
  return verifier.verifyParamExprs();
}

std::optional<uint64_t> moe::viewExtent(int64_t offset,
                                        std::span<const int64_t> dims,
                                        std::span<const int64_t> strides) {
  // The smallest and largest index; each is reached if the view has elements.
  __int128 lowest = offset, highest = offset;
  bool isEmpty = false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0)
      return std::nullopt;
    isEmpty |= dims[i] == 0;
    __int128 reach = static_cast<__int128>(dims[i] - 1) * strides[i];
    (reach < 0 ? lowest : highest) += reach;
  }
  if (isEmpty)
    return 0;
  if (lowest < 0 || highest >= INT64_MAX)
    return std::nullopt;
  return static_cast<uint64_t>(highest) + 1;
}
