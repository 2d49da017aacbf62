//===- Cores.cpp - The cores that a process may use -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/Cores.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

using namespace moe;

int CoreBudget::numThreads() const {
  double cores = std::max<double>(1, static_cast<double>(allowed.size()));
  return static_cast<int>(std::clamp(std::ceil(quota), 1.0, cores));
}

bool CoreBudget::hasRoomFor(int count) const {
  return static_cast<size_t>(count) <= allowed.size() && count <= quota;
}

//===----------------------------------------------------------------------===//
// Affinity
//===----------------------------------------------------------------------===//

/// Of a process, 0: the calling thread; empty if the system does not tell.
static std::vector<int> affinityMask([[maybe_unused]] int process = 0) {
  std::vector<int> cores;
#if defined(__linux__)
  // The kernel refuses masks that are shorter than its own.
  for (int size = CPU_SETSIZE; cores.empty() && size <= 1 << 16; size *= 4) {
    cpu_set_t *set = CPU_ALLOC(size);
    if (!set)
      break;
    size_t bytes = CPU_ALLOC_SIZE(size);
    if (sched_getaffinity(process, bytes, set) == 0)
      for (int core = 0; core < size; ++core)
        if (CPU_ISSET_S(core, bytes, set))
          cores.push_back(core);
    CPU_FREE(set);
  }
#endif
  return cores;
}

bool moe::isBoundByParent() {
#if defined(__linux__)
  return coreBudget().allowed != affinityMask(getppid());
#else
  return false;
#endif
}

std::vector<int> moe::coresOfProcess(const std::vector<int> &cores, int place,
                                     int numProcesses) {
  size_t count = cores.size(), parts = numProcesses;
  if (count < parts)
    return {};
  return {cores.begin() + static_cast<std::ptrdiff_t>(place * count / parts),
          cores.begin() +
              static_cast<std::ptrdiff_t>((place + 1) * count / parts)};
}

//===----------------------------------------------------------------------===//
// Control groups
//===----------------------------------------------------------------------===//

/// Takes the first word off `text`, which is between blanks.
static std::string_view takeWord(std::string_view &text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  return word;
}

/// A positive number of microseconds.
static std::optional<double> parseMicroseconds(std::string_view word) {
  int64_t value = 0;
  const char *end = word.data() + word.size();
  auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end || value <= 0)
    return std::nullopt;
  return static_cast<double>(value);
}

static std::optional<double> quotientOf(std::string_view quota,
                                        std::string_view period) {
  auto above = parseMicroseconds(quota), below = parseMicroseconds(period);
  if (!above || !below)
    return std::nullopt;
  return *above / *below;
}

std::optional<double> moe::parseCpuMax(std::string_view text) {
  std::string_view quota = takeWord(text), period = takeWord(text);
  return takeWord(text).empty() ? quotientOf(quota, period) : std::nullopt;
}

std::optional<double> moe::parseCfsQuota(std::string_view quota,
                                         std::string_view period) {
  std::string_view quotaWord = takeWord(quota), periodWord = takeWord(period);
  return takeWord(quota).empty() && takeWord(period).empty()
             ? quotientOf(quotaWord, periodWord)
             : std::nullopt;
}

/// Calls body(folder) for the folder of a group and those of the groups above
/// it. Paths that lead out of what this process sees are not followed.
template <typename Body>
static void forGroups(const std::string &root, std::string_view group,
                      Body body) {
  if (group.find("..") != std::string_view::npos)
    group = "";
  for (;;) {
    while (group.ends_with('/'))
      group.remove_suffix(1);
    body(root + std::string(group));
    if (group.empty())
      return;
    size_t slash = group.rfind('/');
    group = group.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
}

static bool listContains(std::string_view list, std::string_view wanted) {
  for (;;) {
    size_t comma = list.find(',');
    if (list.substr(0, comma) == wanted)
      return true;
    if (comma == std::string_view::npos)
      return false;
    list.remove_prefix(comma + 1);
  }
}

double moe::findCpuQuota(const TextReader &read) {
  double smallest = std::numeric_limits<double>::infinity();
  auto take = [&](std::optional<double> quota) {
    smallest = std::min(smallest, quota.value_or(smallest));
  };
  auto takeV2 = [&](const std::string &folder) {
    if (auto text = read(folder + "/cpu.max"))
      take(parseCpuMax(*text));
  };
  auto takeV1 = [&](const std::string &folder) {
    auto quota = read(folder + "/cpu.cfs_quota_us");
    auto period = read(folder + "/cpu.cfs_period_us");
    if (quota && period)
      take(parseCfsQuota(*quota, *period));
  };
  // Lines such as "0::/user.slice" (v2) and "4:cpu,cpuacct:/docker/1" (v1).
  std::string text = read("/proc/self/cgroup").value_or("");
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    size_t first = line.find(':');
    size_t second = line.find(':', std::min(first, line.size() - 1) + 1);
    if (first == std::string_view::npos || second == std::string_view::npos)
      continue;
    std::string_view list = line.substr(first + 1, second - first - 1);
    std::string_view group = line.substr(second + 1);
    if (list.empty())
      forGroups("/sys/fs/cgroup", group, takeV2);
    else if (listContains(list, "cpu"))
      forGroups("/sys/fs/cgroup/cpu", group, takeV1);
  }
  return smallest;
}

/// Files of the kernel, which are short.
static std::optional<std::string> readText(const std::string &path) {
  constexpr std::streamsize kMaxBytes = 1 << 16;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxBytes, '\0');
  file.read(text.data(), kMaxBytes);
  if (file.bad() || (file.fail() && !file.eof()))
    return std::nullopt;
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

const CoreBudget &moe::coreBudget() {
  static const CoreBudget budget = [] {
    CoreBudget result;
    std::vector<int> mask = affinityMask();
    if (mask.empty()) {
      mask.resize(std::max(1u, std::thread::hardware_concurrency()));
      std::iota(mask.begin(), mask.end(), 0);
    }
    result.allowed = std::move(mask);
    result.quota = findCpuQuota(readText);
    return result;
  }();
  return budget;
}
