//===- Calibration.h - Measures what the cost model needs -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_CALIBRATION_H
#define MOE_TOOLS_MOE_RUN_CALIBRATION_H

#include "runtime/cost/Cluster.h"

#include <functional>
#include <string_view>

namespace moe::tools {

/// Measures this machine: one thread as a device, all cores as a node, threads
/// as ranks. Takes a few seconds; calls `progress` with what comes next.
/// Errors: what kernels and communicators report, Interrupted.
StatusOr<cost::Cluster>
calibrate(const std::function<void(std::string_view)> &progress);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_CALIBRATION_H
