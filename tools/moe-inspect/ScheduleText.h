//===- ScheduleText.h - Steps on their streams ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INSPECT_SCHEDULETEXT_H
#define MOE_TOOLS_MOE_INSPECT_SCHEDULETEXT_H

#include "runtime/plan/Plan_generated.h"

#include <string>

namespace moe::tools {

/// The steps of each layer with work on stream 1, from the first to the last,
/// each in the column of its stream; bars mark the time in which stream 1 may
/// be at work. Empty for a plan with one stream.
///
///   Schedule of layer 0
///     step  stream 0                stream 1
///        8  dispatch
///        9  |                       all_to_all, records 0
///       10  ffn                     |
///       11  experts, waits for 0
std::string scheduleText(const plan::ProgramT &program);

/// What is special about a step: its group, guard, stream and events.
std::string howText(const plan::ProgramT &program, const plan::StepT &step);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_INSPECT_SCHEDULETEXT_H
