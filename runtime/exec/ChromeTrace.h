//===- ChromeTrace.h - A run for chrome://tracing ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_CHROMETRACE_H
#define MOE_RUNTIME_EXEC_CHROMETRACE_H

#include "moe/Session.h"

namespace moe {

/// The steps of a run as trace events in JSON: one track for each rank and
/// stream, each event named after the step's kernel, with the number of the
/// step and the ONNX nodes it came from. Opens in chrome://tracing and
/// Perfetto.
std::string chromeTrace(const Model &model, std::span<const StepTime> times);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_CHROMETRACE_H
