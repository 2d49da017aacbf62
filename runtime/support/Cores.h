//===- Cores.h - The cores that a process may use ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A machine may have more cores than a process can use: its affinity mask
// leaves some out (taskset, mpirun, a container's cpuset), and the control
// groups of a container may grant less time than its cores have.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_CORES_H
#define MOE_RUNTIME_SUPPORT_CORES_H

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// What a process may compute with.
struct CoreBudget {
  /// The cores of its affinity mask, ascending; at least one.
  std::vector<int> allowed{0};
  /// How many cores' time it is granted.
  double quota = std::numeric_limits<double>::infinity();

  /// How many threads have something to run on, at least 1. The rest of a quota
  /// that is no whole number counts as one.
  int numThreads() const;
  /// Whether `count` threads may wait awake: they take neither cores nor time
  /// from one another.
  bool hasRoomFor(int count) const;
};

/// Of this process, as it was at the first call.
const CoreBudget &coreBudget();

/// The cores of the place-th of `numProcesses` that all may use `cores`:
/// neighbours in their order, as equal a part for each as can be. Empty if
/// there is not a core for each.
std::vector<int> coresOfProcess(const std::vector<int> &cores, int place,
                                int numProcesses);
/// Whether somebody has bound this process to fewer cores than the one that
/// started it may use, as launchers do.
bool isBoundByParent();

/// The quota in a file cpu.max of control groups v2, such as "150000 100000" or
/// "max 100000". Nothing without a limit, or for any other text.
std::optional<double> parseCpuMax(std::string_view text);
/// The same for the files cpu.cfs_quota_us (-1: no limit) and cpu.cfs_period_us
/// of v1.
std::optional<double> parseCfsQuota(std::string_view quota,
                                    std::string_view period);

/// The text of a file, or nothing.
using TextReader =
    std::function<std::optional<std::string>(const std::string &path)>;
/// The smallest quota among the control groups of this process and those above
/// them, infinity if there is none.
double findCpuQuota(const TextReader &read);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_CORES_H
