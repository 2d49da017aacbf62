//===- ProcessTable.h - How other processes of a machine are ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_PROCESSTABLE_H
#define MOE_RUNTIME_COMM_PROCESSTABLE_H

#include <cstdint>
#include <optional>

namespace moe {

/// Tells a process from all others, also from a later one of the same number.
struct ProcessId {
  /// Equal for processes that see each other in /proc; 0: unknown.
  uint64_t machine = 0;
  uint64_t startTime = 0;
  int32_t number = 0;
  int32_t reserved = 0;

  static ProcessId ofThis();
};

enum class ProcessState : uint8_t { Running, Stopped, Dead, Unknown };

/// Unknown for a process of another machine.
ProcessState stateOf(const ProcessId &process, const ProcessId &self);

/// The letter of a process's state in /proc/NUMBER/stat and when it started.
struct ProcessStat {
  char state = 0;
  uint64_t startTime = 0;
};
/// Nothing if there is no such process.
std::optional<ProcessStat> readProcessStat(int number);

} // namespace moe

#endif // MOE_RUNTIME_COMM_PROCESSTABLE_H
