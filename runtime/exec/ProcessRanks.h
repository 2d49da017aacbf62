//===- ProcessRanks.h - Ranks of a plan that are processes ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_PROCESSRANKS_H
#define MOE_RUNTIME_EXEC_PROCESSRANKS_H

#include "runtime/comm/ProcessGroup.h"
#include "runtime/exec/RankComms.h"
#include "runtime/plan/PlanFile.h"

namespace moe {

/// Called by all processes before they load weights: they must have opened the
/// same plan, with runtimes that read the same format, and be as many as it has
/// ranks. Each of them sees the same error: BadPlan or Usage, with both values.
Status agreeOnPlan(ProcessGroup &processes, const PlanFile &plan);

/// Of the rank of a plan that has the number of this process.
std::unique_ptr<Communicators>
createProcessRanks(std::shared_ptr<ProcessGroup> processes,
                   std::chrono::milliseconds timeout);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_PROCESSRANKS_H
