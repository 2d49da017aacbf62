//===- ProcessTable.cpp - How other processes of a machine are ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/ProcessTable.h"

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <unistd.h>

using namespace moe;

// "4711 (name with ) and blanks) S ppid ...": the state follows the last
// parenthesis, the start time is the 22nd field.
std::optional<ProcessStat> moe::readProcessStat(int number) {
  std::ifstream file("/proc/" + std::to_string(number) + "/stat");
  std::string line;
  if (!std::getline(file, line))
    return std::nullopt;
  size_t nameEnd = line.rfind(')');
  if (nameEnd == line.npos)
    return std::nullopt;
  std::istringstream fields(line.substr(nameEnd + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field)
    fields >> skipped;
  fields >> stat.startTime;
  if (!fields)
    return std::nullopt;
  return stat;
}

/// Processes that share a kernel and a name space of process numbers.
static uint64_t machineOfThis() {
  std::string bootId;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), bootId);
  char nameSpace[128];
  ssize_t length = readlink("/proc/self/ns/pid", nameSpace, sizeof(nameSpace));
  if (bootId.empty() || length <= 0)
    return 0;
  return std::hash<std::string>()(bootId + std::string(nameSpace, length));
}

ProcessId ProcessId::ofThis() {
  ProcessId id;
  id.number = getpid();
  std::optional<ProcessStat> stat = readProcessStat(id.number);
  if (!stat)
    return id;
  id.startTime = stat->startTime;
  id.machine = machineOfThis();
  return id;
}

ProcessState moe::stateOf(const ProcessId &process, const ProcessId &self) {
  if (self.machine == 0 || process.machine != self.machine)
    return ProcessState::Unknown;
  std::optional<ProcessStat> stat = readProcessStat(process.number);
  if (!stat || stat->startTime != process.startTime)
    return ProcessState::Dead;
  switch (stat->state) {
  case 'Z':
  case 'X':
    return ProcessState::Dead;
  case 'T':
  case 't':
    return ProcessState::Stopped;
  default:
    return ProcessState::Running;
  }
}
