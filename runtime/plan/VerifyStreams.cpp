//===- VerifyStreams.cpp - Events, and what two streams share -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step of stream 1 begins when all steps before it have begun and those of
// stream 0 have ended, and may run until a step of stream 0 waits for it:
//
//   step   stream
//    0       0                     [=====]
//    1       1     records 0              [==============]
//    2       0                            [====]           must not touch what
//    3       0     waits for 0                            [===]   1 uses
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/ProgramVerifier.h"

#include <algorithm>

using namespace moe;

/// A wait for an event that no earlier step records would never end.
Status ProgramVerifier::verifyWaits(const Place &place, const plan::StepT &step,
                                    StepProgress &progress) const {
  MOE_RETURN_IF_ERROR(
      place.checkIndex("stream", step.stream, program.num_streams));
  for (uint32_t event : step.waits) {
    MOE_RETURN_IF_ERROR(place.checkIndex("event", event, program.num_events));
    int64_t recorder = progress.recordedBy[event];
    if (recorder < 0)
      return place.error("waits for event " + std::to_string(event) +
                         ", which no earlier step records");
    if (step.stream == 0)
      progress.numJoined = std::max(progress.numJoined, recorder);
  }
  if (step.stream == 1)
    ++progress.numBegun;
  return Status::ok();
}

Status ProgramVerifier::verifyRecord(const Place &place,
                                     const plan::StepT &step,
                                     StepProgress &progress) const {
  if (step.records == -1) {
    if (step.stream == 0)
      return Status::ok();
    return place.error("runs on stream 1 and records no event");
  }
  MOE_RETURN_IF_ERROR(
      place.checkIndex("event", step.records, program.num_events));
  if (progress.recordedBy[step.records] >= 0)
    return place.error("records event " + std::to_string(step.records) +
                       " for the second time");
  progress.recordedBy[step.records] = step.stream == 1 ? progress.numBegun : 0;
  return Status::ok();
}

/// Roots share memory only if they are the same state.
size_t ProgramVerifier::memoryOf(int32_t buffer) const {
  const plan::BufferT &root = *program.buffers[rootOf[buffer]];
  int32_t state = -1;
  if (root.kind == plan::BufferKind_State)
    state = root.index;
  else if (root.kind == plan::BufferKind_Input)
    state = program.inputs[root.index]->state;
  return state < 0 ? rootOf[buffer] : program.buffers.size() + state;
}

Status ProgramVerifier::verifyStreams(const Place &place,
                                      const std::string &what,
                                      const plan::StepT &step, int32_t buffer,
                                      bool isWrite,
                                      StepProgress &progress) const {
  size_t memory = memoryOf(buffer);
  if (step.stream == 1) {
    (isWrite ? progress.lastWrite : progress.lastRead)[memory] =
        progress.numBegun;
    return Status::ok();
  }
  int64_t needed = progress.lastWrite[memory];
  if (isWrite)
    needed = std::max(needed, progress.lastRead[memory]);
  if (needed > progress.numJoined)
    return place.error(what + " is used by a step of stream 1 for which " +
                       "nothing has waited");
  return Status::ok();
}
