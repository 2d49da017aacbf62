//===- StepFloors.h - How fast the steps of a plan could be -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a step has to read and multiply (runtime/cost/StepWork.h) over what the
// machine can do at most (tools/peaks). A floor of memory is only known of
// bytes that cannot lie in a cache: weights, if a run reads many times more of
// them than the caches hold, and operands that are as large themselves.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_STEPFLOORS_H
#define MOE_TOOLS_MOE_RUN_STEPFLOORS_H

#include "runtime/cost/StepWork.h"
#include "tools/peaks/Peaks.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace moe::tools {

/// Of the rank that has most to do.
struct StepFloor {
  double bytes = 0, flops = 0;
  /// Nothing without rates, or if a cache may have what the step reads.
  std::optional<Floor> floor;

  /// Of a step that took so long; nothing if the floor is not known.
  std::optional<double> percent(double milliseconds) const;
};

/// One for each step. `program` must have passed verifyProgram, `shape` has a
/// value for every symbol of the inputs. Ranks share the machine's rates.
StatusOr<std::vector<StepFloor>>
stepFloors(const plan::ProgramT &program,
           const std::map<std::string, int64_t> &shape,
           const std::optional<Peaks> &peaks);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_STEPFLOORS_H
