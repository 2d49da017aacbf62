//===- Processes.h - Ranks of moe-run that are processes --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Under mpirun each process is one rank. All of them do the same; the first one
// prints and writes files. What ends one of them ends all: an error is told to
// the others, and each prints one line that names its rank and what it did.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_PROCESSES_H
#define MOE_TOOLS_MOE_RUN_PROCESSES_H

#include "moe/Session.h"
#include "runtime/comm/ProcessGroup.h"
#include "tools/common/Signals.h"

#include <string>
#include <string_view>

namespace moe::tools {

/// Meets the other processes. `mode` is "mpi", "none", or "auto": if a launcher
/// started this process. Null if ranks are threads. A program calls it once.
StatusOr<std::shared_ptr<ProcessGroup>>
joinProcesses(const std::string &mode, std::chrono::milliseconds timeout);

/// True on the process that prints and writes.
bool isFirstProcess();

/// All processes have found the same error and end together.
void expectCommonEnd();

/// How a command ends: reports an error, tells it to other processes or waits
/// for them. Returns the exit code.
int endProgram(std::string_view program, const Status &status);

/// While it lives, a signal ends runs of `context`, and other processes.
CancelOnSignal cancelOnSignal(Context &context);

/// How processes are opened, for tests that make them fail.
using ProcessOpener =
    StatusOr<std::shared_ptr<ProcessGroup>> (*)(const ProcessOptions &options);
void setProcessOpener(ProcessOpener opener);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_PROCESSES_H
